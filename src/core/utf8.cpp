#include "core/utf8.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/rapidjson.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

// Streams for RapidJSON's UTF8<>::Validate: one reads the bytes, the other drops its output.
struct ByteReader {
  using Ch = char;
  const char* at;
  const char* end;
  // After the end it returns a byte that cannot continue a sequence.
  char Take() noexcept { return at < end ? *at++ : '\0'; }
};
struct NoWriter {
  void Put(char) const noexcept {}
};

std::size_t AsciiPrefix(const char* at, const char* end) noexcept {
  const char* p = at;
  for (std::uint64_t word; end - p >= 8; p += 8) {
    std::memcpy(&word, p, 8);
    if ((word & 0x8080808080808080) != 0) break;
  }
  while (p < end && static_cast<signed char>(*p) >= 0) ++p;
  return static_cast<std::size_t>(p - at);
}

}  // namespace

bool IsUtf8(std::string_view bytes) noexcept {
  ByteReader reader{bytes.data(), bytes.data() + bytes.size()};
  NoWriter nothing;
  for (;;) {
    reader.at += AsciiPrefix(reader.at, reader.end);
    if (reader.at == reader.end) return true;
    if (!rapidjson::UTF8<>::Validate(reader, nothing)) return false;
  }
}

std::size_t CharacterCount(std::string_view text) noexcept {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool HasControlCharacter(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    if (c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) return true;  // valid UTF-8: C2 is never the last byte
  }
  return false;
}

}  // namespace cc
