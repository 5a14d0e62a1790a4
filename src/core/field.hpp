// The rules for fields that decide money or identity, in a postback and in an answer of the service's API.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/decimal.hpp"
#include "core/trim.hpp"
#include "core/utf8.hpp"

namespace cc {

/// The longest field other than the token, in characters.
inline constexpr std::size_t kMaxFieldLength = 255;

/// Returns the id of an invoice without its prefix, which is upper case only.
constexpr std::string_view WithoutPrefix(std::string_view id) noexcept {
  constexpr std::string_view kPrefix = "INV-";
  return id.starts_with(kPrefix) ? id.substr(kPrefix.size()) : id;
}

/// Returns true if `text` has at most `limit` characters and no control character.
inline bool IsFieldText(std::string_view text, std::size_t limit) noexcept {
  return (text.size() <= limit || CharacterCount(text) <= limit) && !HasControlCharacter(text);
}

/// Returns true if a JSON number is spelled as an integer.
constexpr bool IsInteger(std::string_view number) noexcept { return number.find_first_of(".eE") == std::string_view::npos; }

/// Reads an amount. Returns false unless it is not negative and has at most 38 integer digits and 36 decimals.
inline bool ReadAmount(std::string_view text, Decimal& amount) noexcept {
  constexpr int kMaxIntegerDigits = 38;
  constexpr int kMaxDecimals = 36;
  return ParseDecimal(Trim(text), amount) && !amount.negative && amount.integer_digits <= kMaxIntegerDigits &&
         amount.decimals <= kMaxDecimals;
}

}  // namespace cc
