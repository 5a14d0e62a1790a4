// invoice_info, read leniently: decoration never costs a payment. What cannot be read is absent, whatever it is.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/decimal.hpp"
#include "core/document.hpp"
#include "core/invoice_columns.hpp"

namespace cc {

/// The values of kInvoiceColumns that come from invoice_info; nullptr where the member is absent. Of a member that comes twice
/// the last one counts, as in jsonb.
using InvoiceInfo = std::array<const Node*, kInvoiceColumnCount>;

/// Finds the members of `info`, any node of `document`; all are absent unless it is an object.
InvoiceInfo ReadInvoiceInfo(const Document& document, const Node& info) noexcept;

// Each reads one value and returns false if it is not what the column takes.

/// A string that is not empty.
bool ReadText(const Document& document, const Node& node, std::string_view& text) noexcept;

/// A number, or a string that spells one, of at most kMaxDigits digits on either side of the point.
bool ReadNumber(const Document& document, const Node& node, Decimal& decimal) noexcept;

/// Whether test_mode marks a test payment. false, 0, "false" and "0" are a real one; anything else but null is a test.
bool ReadTestMode(const Document& document, const Node& node, bool& is_test) noexcept;

/// True unless invoice_status is there, is not null, and is anything but the string success.
bool ConfirmsSuccess(const Document& document, const Node* invoice_status) noexcept;

/// "YYYY-MM-DD HH:MI:SS" with an optional fraction (rounded down to microseconds), T instead of the blank, and a trailing Z or
/// +00:00 allowed: read as UTC, in microseconds since 1970. Years 1 to 9999.
bool ReadTime(const Document& document, const Node& node, std::int64_t& microseconds) noexcept;

/// True for a non-empty array of strings; its elements are the node.size nodes that follow it.
bool IsTextList(const Document& document, const Node& node) noexcept;

}  // namespace cc
