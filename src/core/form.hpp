// application/x-www-form-urlencoded (WHATWG URL Standard, section 5.1) to Document, more strictly than browsers read it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "core/document.hpp"

namespace cc {

/// Most pairs name=value; empty ones (a&&b) do not count.
inline constexpr std::size_t kMaxFormPairs = 1000;

/// Nodes that any form of `length` bytes needs at most.
constexpr std::size_t FormNodeCapacity(std::size_t length) noexcept { return 1 + 2 * std::min(length, kMaxFormPairs); }

/// Parses `form` to an object of strings, in the order sent; a repeated name stands there as often as it was sent.
/// False for a percent sign without two hexadecimal digits, for a NUL or invalid UTF-8 in a decoded name or value, and for
/// more than kMaxFormPairs pairs. Linear in the length; nothing is allocated.
bool ParseForm(std::string_view form, const Workspace& workspace, Document& document) noexcept;

}  // namespace cc
