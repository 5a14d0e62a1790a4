#include "core/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/no_postgres.hpp"

namespace cc {
namespace {

// Far beyond every limit, but adding lengths to it cannot overflow.
constexpr std::int64_t kExponentCap = 1'000'000'000'000;

bool IsDigit(char c) noexcept { return c >= '0' && c <= '9'; }

std::size_t DigitsAt(std::string_view text, std::size_t at) noexcept {
  std::size_t end = at;
  while (end < text.size() && IsDigit(text[end])) ++end;
  return end - at;
}

// The parts of a number, as offsets. `length` is 0 if there is no number.
struct Spelling {
  std::size_t integer_at = 0, integer_length = 0, fraction_at = 0, fraction_length = 0;
  std::size_t exponent_at = 0, exponent_length = 0;  // digits only
  bool exponent_negative = false;
  std::size_t length = 0;
};

Spelling Spell(std::string_view text) noexcept {
  Spelling s;
  s.integer_at = !text.empty() && text[0] == '-' ? 1 : 0;
  // Digits after a leading zero do not belong to the number. They are not scanned: a caller that tries every position would scan
  // a megabyte of zeros from each of them.
  const bool begins_with_zero = s.integer_at < text.size() && text[s.integer_at] == '0';
  s.integer_length = begins_with_zero ? 1 : DigitsAt(text, s.integer_at);
  if (s.integer_length == 0) return s;
  s.length = s.integer_at + s.integer_length;

  if (s.length < text.size() && text[s.length] == '.') {
    s.fraction_at = s.length + 1;
    s.fraction_length = DigitsAt(text, s.fraction_at);
    if (s.fraction_length == 0) return s;
    s.length = s.fraction_at + s.fraction_length;
  }
  if (s.length < text.size() && (text[s.length] == 'e' || text[s.length] == 'E')) {
    std::size_t at = s.length + 1;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) s.exponent_negative = text[at++] == '-';
    s.exponent_length = DigitsAt(text, at);
    if (s.exponent_length == 0) return s;
    s.exponent_at = at;
    s.length = at + s.exponent_length;
  }
  return s;
}

std::int64_t ReadExponent(std::string_view digits, bool negative) noexcept {
  std::int64_t value = 0;
  for (const char c : digits) value = std::min(value * 10 + (c - '0'), kExponentCap);
  return negative ? -value : value;
}

}  // namespace

std::size_t NumberLength(std::string_view text) noexcept { return Spell(text).length; }

bool ParseDecimal(std::string_view text, Decimal& decimal) noexcept {
  const Spelling s = Spell(text);
  if (s.length == 0 || s.length != text.size()) return false;

  decimal = Decimal{};
  decimal.integer_text = text.substr(s.integer_at, s.integer_length);
  decimal.fraction_text = text.substr(s.fraction_at, s.fraction_length);
  const auto integer_length = static_cast<std::int64_t>(s.integer_length);
  const auto fraction_length = static_cast<std::int64_t>(s.fraction_length);
  const std::int64_t power = ReadExponent(text.substr(s.exponent_at, s.exponent_length), s.exponent_negative);
  decimal.exponent = power - fraction_length;
  decimal.scale = std::max<std::int64_t>(0, -decimal.exponent);

  // Positions of the first and the last nonzero digit, counted over both parts. The decimal point is before position `point`.
  std::int64_t first = static_cast<std::int64_t>(std::min(decimal.integer_text.find_first_not_of('0'), s.integer_length));
  if (first == integer_length)
    first += static_cast<std::int64_t>(std::min(decimal.fraction_text.find_first_not_of('0'), s.fraction_length));
  if (first == integer_length + fraction_length) {  // zero, also as 0e9999999999, which numeric rejects
    decimal.exponent = std::min<std::int64_t>(decimal.exponent, 0);
    return true;
  }
  const std::size_t last_in_fraction = decimal.fraction_text.find_last_not_of('0');
  const std::int64_t last = last_in_fraction != std::string_view::npos
                                ? integer_length + static_cast<std::int64_t>(last_in_fraction)
                                : static_cast<std::int64_t>(decimal.integer_text.find_last_not_of('0'));
  const std::int64_t point = integer_length + power;
  decimal.negative = text[0] == '-';
  decimal.integer_digits = std::max<std::int64_t>(0, point - first);
  decimal.decimals = std::max<std::int64_t>(0, last + 1 - point);
  return true;
}

bool Decimal::ToInt64(std::int64_t& value) const noexcept {
  std::int64_t result = 0;
  // 10^18 has 19 digits; leading zeros (0.000113) do not count.
  for (const std::string_view part : {integer_text, fraction_text})
    for (const char c : part) {
      if (result >= 100'000'000'000'000'000) return false;
      result = result * 10 + (c - '0');
    }
  value = negative ? -result : result;
  return true;
}

void WriteDecimal(const Decimal& decimal, char* buffer) noexcept {
  if (decimal.negative) *buffer++ = '-';
  for (const std::string_view part : {decimal.integer_text, decimal.fraction_text}) {
    std::memcpy(buffer, part.data(), part.size());
    buffer += part.size();
  }
  *buffer++ = 'e';
  *std::to_chars(buffer, buffer + 21, decimal.exponent).ptr = '\0';
}

}  // namespace cc
