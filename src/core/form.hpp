// application/x-www-form-urlencoded (WHATWG URL Standard, section 5.1) to Document. It is stricter than browsers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "core/document.hpp"

namespace cc {

/// The largest number of pairs name=value; empty ones (a&&b) do not count.
inline constexpr std::size_t kMaxFormPairs = 1000;

/// Returns the number of nodes that a form of `length` bytes needs at most.
constexpr std::size_t FormNodeCapacity(std::size_t length) noexcept { return 1 + 2 * std::min(length, kMaxFormPairs); }

/// Parses `form` to an object of strings, in the order sent, with all repetitions of a name. Returns false for a percent sign
/// without two hexadecimal digits, for a NUL or invalid UTF-8 in a decoded name or value, and for more than kMaxFormPairs pairs.
/// Its time is linear in the length, and it allocates nothing.
bool ParseForm(std::string_view form, const Workspace& workspace, Document& document) noexcept;

}  // namespace cc
