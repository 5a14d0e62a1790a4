#include "core/base64url.hpp"

#include <array>
#include <cstdint>

#include "core/no_postgres.hpp"

// OpenSSL's decoder supports neither this alphabet nor the check that unused bits are 0.

namespace cc {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint32_t kInvalid = 0x80;  // above every value, and still set after values are or-ed

constexpr auto kValues = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(kInvalid);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return values;
}();

std::uint32_t ValueOf(char c) noexcept { return kValues[static_cast<unsigned char>(c)]; }
char ByteOf(std::uint32_t bits, int shift) noexcept { return static_cast<char>((bits >> shift) & 0xFF); }
char LetterOf(std::uint32_t bits, int shift) noexcept { return kAlphabet[(bits >> shift) & 0x3F]; }

}  // namespace

bool Base64UrlDecode(std::string_view text, char* out) noexcept {
  std::uint32_t seen = 0;
  std::size_t i = 0;
  for (; i + 4 <= text.size(); i += 4) {
    const std::uint32_t a = ValueOf(text[i]), b = ValueOf(text[i + 1]), c = ValueOf(text[i + 2]), d = ValueOf(text[i + 3]);
    seen |= a | b | c | d;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    *out++ = ByteOf(bits, 16);
    *out++ = ByteOf(bits, 8);
    *out++ = ByteOf(bits, 0);
  }
  const std::size_t rest = text.size() - i;
  if (rest == 1) return false;
  if (rest >= 2) {
    const std::uint32_t a = ValueOf(text[i]), b = ValueOf(text[i + 1]), c = rest == 3 ? ValueOf(text[i + 2]) : 0;
    seen |= a | b | c;
    const std::uint32_t bits = a << 18 | b << 12 | c << 6;
    *out++ = ByteOf(bits, 16);
    if (rest == 3) *out++ = ByteOf(bits, 8);
    if ((bits & (rest == 3 ? 0xFFU : 0xFFFFU)) != 0) return false;
  }
  return (seen & kInvalid) == 0;
}

void Base64UrlEncode(std::string_view bytes, char* out) noexcept {
  const auto byte = [&](std::size_t at) { return std::uint32_t{static_cast<unsigned char>(bytes[at])}; };
  std::size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const std::uint32_t bits = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) *out++ = LetterOf(bits, shift);
  }
  const std::size_t rest = bytes.size() - i;
  if (rest == 0) return;
  const std::uint32_t bits = byte(i) << 16 | (rest == 2 ? byte(i + 1) << 8 : 0);
  *out++ = LetterOf(bits, 18);
  *out++ = LetterOf(bits, 12);
  if (rest == 2) *out++ = LetterOf(bits, 6);
}

}  // namespace cc
