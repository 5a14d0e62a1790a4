// Decimal numbers as JSON spells them (RFC 8259 section 6), by exact arithmetic on their digits. No float is involved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cc {

/// Digits on either side of the point up to which a number is kept as a number where it decides nothing.
inline constexpr int kMaxDigits = 400;

/// The length of the JSON number that `text` begins with; 0 if it begins with none.
std::size_t NumberLength(std::string_view text) noexcept;

/// A number, taken apart: value = (-1)^negative * digits * 10^exponent, where digits is integer_text and fraction_text in a row.
struct Decimal {
  bool negative = false;  ///< false for -0
  std::string_view integer_text;
  std::string_view fraction_text;
  std::int64_t exponent = 0;  ///< of the last digit; saturated far beyond any limit of this project

  // Of the value: "00.0100" cannot be spelled so, but 0.0100 has no integer digits and two decimals.
  std::int64_t integer_digits = 0;
  std::int64_t decimals = 0;
  /// Decimals as spelled, trailing zeros counted: PostgreSQL's display scale. 1.50e-3 has 5.
  std::int64_t scale = 0;

  /// True if it has at most kMaxDigits integer digits and, as spelled, decimals.
  bool IsExact() const noexcept { return integer_digits <= kMaxDigits && scale <= kMaxDigits; }
  bool IsZero() const noexcept { return integer_digits == 0 && decimals == 0; }
  /// The digits as an integer, if that is exact and below 10^18 (it then fits an int64 with its sign).
  bool ToInt64(std::int64_t& value) const noexcept;
};

/// True if the whole of `text` is a JSON number.
bool ParseDecimal(std::string_view text, Decimal& decimal) noexcept;

/// Writes digits and exponent, such as "-1234e-2", into `buffer` and ends it with a NUL. The buffer holds at least
/// integer_text.size() + fraction_text.size() + 24 bytes.
void WriteDecimal(const Decimal& decimal, char* buffer) noexcept;

}  // namespace cc
