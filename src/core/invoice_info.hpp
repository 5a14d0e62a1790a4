// invoice_info, read leniently: decoration never costs a payment. What cannot be read is absent, whatever it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/decimal.hpp"
#include "core/document.hpp"

namespace cc {

enum class InfoKind : std::uint8_t { kText, kNumber, kTime, kBoolean, kTextList };

struct InfoColumn {
  std::string_view member;  ///< the member's name in invoice_info
  InfoKind kind;
};

/// The typed columns, in the order of SQL's type cc_delivery. `network` is not a member of its own: see ReadInvoiceInfo.
inline constexpr std::array kInfoColumns = std::to_array<InfoColumn>({
    {"address", InfoKind::kText},
    {"", InfoKind::kText},  // network
    {"invoice_status", InfoKind::kText},
    {"status", InfoKind::kText},
    {"side_commission", InfoKind::kText},
    {"type_payments", InfoKind::kText},
    {"test_mode", InfoKind::kBoolean},
    {"amount", InfoKind::kNumber},
    {"amount_in_crypto", InfoKind::kNumber},
    {"amount_in_fiat", InfoKind::kNumber},
    {"amount_usd", InfoKind::kNumber},
    {"amount_to_pay", InfoKind::kNumber},
    {"amount_to_pay_usd", InfoKind::kNumber},
    {"amount_paid", InfoKind::kNumber},
    {"amount_paid_usd", InfoKind::kNumber},
    {"fee", InfoKind::kNumber},
    {"fee_usd", InfoKind::kNumber},
    {"service_fee", InfoKind::kNumber},
    {"service_fee_usd", InfoKind::kNumber},
    {"received", InfoKind::kNumber},
    {"received_usd", InfoKind::kNumber},
    {"to_surcharge", InfoKind::kNumber},
    {"to_surcharge_usd", InfoKind::kNumber},
    {"tx_list", InfoKind::kTextList},
    {"created", InfoKind::kTime},
    {"expiry_date", InfoKind::kTime},
    {"date_finished", InfoKind::kTime},
});
inline constexpr std::size_t kNetworkColumn = 1;

/// The values of kInfoColumns; nullptr where the member is absent. Of a member that comes twice the last one counts, as in jsonb.
using InvoiceInfo = std::array<const Node*, kInfoColumns.size()>;

/// Finds the members of `info`, any node of `document`; all are absent unless it is an object.
/// The network is currency.network.code.
InvoiceInfo ReadInvoiceInfo(const Document& document, const Node& info) noexcept;

// Each reads one value and returns false if it is not what the column takes.

/// A string that is not empty.
bool ReadText(const Document& document, const Node& node, std::string_view& text) noexcept;

/// A number, or a string that spells one, of at most kMaxDigits digits on either side of the point.
bool ReadNumber(const Document& document, const Node& node, Decimal& decimal) noexcept;

/// true or false, 1 or 0, or a string that spells one of these in any case.
bool ReadBoolean(const Document& document, const Node& node, bool& value) noexcept;

/// "YYYY-MM-DD HH:MI:SS" with an optional fraction (rounded down to microseconds), T instead of the blank, and a trailing Z or
/// +00:00 allowed: read as UTC, in microseconds since 1970. Years 1 to 9999.
bool ReadTime(const Document& document, const Node& node, std::int64_t& microseconds) noexcept;

/// True for a non-empty array of strings; its elements are the node.size nodes that follow it.
bool IsTextList(const Document& document, const Node& node) noexcept;

}  // namespace cc
