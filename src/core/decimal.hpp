// Decimal numbers as JSON spells them (RFC 8259 section 6), by exact arithmetic on their digits. No float is involved.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cc {

/// Most digits on either side of the point, for numbers that decide neither money nor identity.
inline constexpr int kMaxDigits = 400;

/// Returns the length of the JSON number at the beginning of `text`; 0 if there is none.
std::size_t NumberLength(std::string_view text) noexcept;

/// The parts of a number: value = (-1)^negative * digits * 10^exponent, where digits is integer_text followed by fraction_text.
struct Decimal {
  bool negative = false;  ///< false for -0
  std::string_view integer_text;
  std::string_view fraction_text;
  std::int64_t exponent = 0;  ///< of the last digit; saturated far beyond any limit of this project

  // Digits of the value, not of the spelling: 0.0100 has no integer digits and two decimals.
  std::int64_t integer_digits = 0;
  std::int64_t decimals = 0;
  /// Decimals of the spelling, with trailing zeros: PostgreSQL's display scale. 1.50e-3 has 5.
  std::int64_t scale = 0;

  /// Returns true if there are at most kMaxDigits integer digits and, in the spelling, at most kMaxDigits decimals.
  bool IsExact() const noexcept { return integer_digits <= kMaxDigits && scale <= kMaxDigits; }
  bool IsZero() const noexcept { return integer_digits == 0 && decimals == 0; }
  /// Sets `value` to the digits as an integer. Returns false unless it is exact and below 10^18, so that it fits an int64 with a
  /// sign.
  bool ToInt64(std::int64_t& value) const noexcept;
};

/// Parses a JSON number. Returns false unless it is the whole of `text`.
bool ParseDecimal(std::string_view text, Decimal& decimal) noexcept;

/// Writes digits and exponent, such as "-1234e-2", into `buffer`, and a NUL. The buffer holds at least integer_text.size() +
/// fraction_text.size() + 24 bytes.
void WriteDecimal(const Decimal& decimal, char* buffer) noexcept;

}  // namespace cc
