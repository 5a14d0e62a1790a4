// invoice_info, read leniently: a descriptive member never costs a payment. An unreadable member is absent, whatever it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/decimal.hpp"
#include "core/document.hpp"
#include "core/invoice_columns.hpp"

namespace cc {

/// The values of kInvoiceColumns that come from invoice_info; nullptr where the member is absent. If a member comes twice, the
/// last one counts, as in jsonb.
using InvoiceInfo = std::array<const Node*, kInvoiceColumnCount>;

/// Finds the members of `info`, any node of `document`. All are absent unless it is an object.
InvoiceInfo ReadInvoiceInfo(const Document& document, const Node& info) noexcept;

// Each of these reads one value, and returns false if the column cannot hold it.

/// Reads a string that is not empty.
bool ReadText(const Document& document, const Node& node, std::string_view& text) noexcept;

/// Reads a number, or a string that spells one, of at most kMaxDigits digits on either side of the point.
bool ReadNumber(const Document& document, const Node& node, Decimal& decimal) noexcept;

/// Reads test_mode: false, 0, "false" and "0" are a real payment, any other value but null is a test.
bool ReadTestMode(const Document& document, const Node& node, bool& is_test) noexcept;

/// Returns true if invoice_status is absent, null or the string success.
bool ConfirmsSuccess(const Document& document, const Node* invoice_status) noexcept;

/// Reads "YYYY-MM-DD HH:MI:SS" as UTC, in microseconds since 1970; years 1 to 9999. Allowed are a fraction (rounded down to
/// microseconds), T instead of the blank, and Z or +00:00 at the end.
bool ReadTime(const Document& document, const Node& node, std::int64_t& microseconds) noexcept;

/// Returns true for a non-empty array of strings. Its elements are the node.size nodes after it.
bool IsTextList(const Document& document, const Node& node) noexcept;

}  // namespace cc
