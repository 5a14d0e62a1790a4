#include "core/utf8.hpp"

#include <gtest/gtest.h>

#include "core/trim.hpp"
#include "support.hpp"

namespace cc::test {
namespace {

// The bits of `code` in `length` bytes, whether that is the correct length or not.
std::string Encode(std::uint32_t code, int length) {
  if (length == 1) return {static_cast<char>(code)};
  std::string bytes;
  constexpr unsigned char kLead[] = {0, 0, 0xC0, 0xE0, 0xF0, 0xF8, 0xFC};
  bytes += static_cast<char>(kLead[length] | (code >> (6 * (length - 1))));
  for (int i = length - 2; i >= 0; --i) bytes += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F));
  return bytes;
}

int LengthOf(std::uint32_t code) { return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; }
std::string Encode(std::uint32_t code) { return Encode(code, LengthOf(code)); }

bool IsValid(std::string_view bytes) { return IsUtf8(ExactText(bytes).view()); }

TEST(Utf8, AcceptsEveryCharacterAndNoSurrogate) {
  for (std::uint32_t code = 0; code <= 0x10FFFF; ++code)
    ASSERT_EQ(IsUtf8(Encode(code)), code < 0xD800 || code > 0xDFFF) << std::hex << code;
}

TEST(Utf8, RefusesWhatLiesBeyondUnicode) {
  for (const std::uint32_t code : {0x110000U, 0x13FFFFU, 0x1FFFFFU}) EXPECT_FALSE(IsValid(Encode(code, 4))) << code;
  EXPECT_FALSE(IsValid(Encode(0x200000, 5)));
  EXPECT_FALSE(IsValid(Encode(0x4000000, 6)));
}

TEST(Utf8, RefusesEveryOverlongForm) {
  for (std::uint32_t code = 0; code < 0x10000; ++code)
    for (int length = LengthOf(code) + 1; length <= 4; ++length)
      ASSERT_FALSE(IsUtf8(Encode(code, length))) << code << " in " << length;
}

TEST(Utf8, RefusesEverySequenceCutShort) {
  for (const std::uint32_t code : {0x80U, 0x7FFU, 0x800U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    const std::string whole = Encode(code);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      EXPECT_FALSE(IsValid(whole.substr(0, size))) << code;
      EXPECT_FALSE(IsValid(whole.substr(0, size) + "a")) << code;
      EXPECT_FALSE(IsValid(whole.substr(0, size) + whole)) << code;
    }
  }
}

TEST(Utf8, RefusesALoneContinuationAndTheBytesThatNeverOccur) {
  for (int byte = 0x80; byte < 0x100; ++byte) EXPECT_FALSE(IsValid(std::string(1, static_cast<char>(byte)))) << byte;
}

// ASCII is skipped eight bytes at a time.
TEST(Utf8, FindsABadByteAtEveryPlace) {
  for (std::size_t size = 1; size < 40; ++size)
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      text[at] = '\x80';
      EXPECT_FALSE(IsValid(text)) << at << " of " << size;
    }
}

TEST(Utf8, AcceptsNothingAndNul) {
  EXPECT_TRUE(IsUtf8({}));
  EXPECT_TRUE(IsUtf8(std::string(3, '\0')));
}

TEST(Utf8, CountsCharactersNotBytes) {
  EXPECT_EQ(CharacterCount(""), 0U);
  EXPECT_EQ(CharacterCount("abc"), 3U);
  for (const std::uint32_t code : {0x80U, 0x800U, 0x10000U})
    EXPECT_EQ(CharacterCount(Encode(code) + "a" + Encode(code)), 3U) << code;
}

TEST(Utf8, KnowsTheControlCharactersToTheEdge) {
  for (std::uint32_t code = 0; code < 0x3000; ++code)
    ASSERT_EQ(HasControlCharacter("a" + Encode(code)), code < 0x20 || (code >= 0x7F && code < 0xA0)) << code;
  EXPECT_FALSE(HasControlCharacter(""));
}

TEST(Text, TrimTakesTheFourKindsOfWhiteSpaceFromBothEndsOnly) {
  EXPECT_EQ(Trim(""), "");
  EXPECT_EQ(Trim(" \t\r\n"), "");
  EXPECT_EQ(Trim("\n a \t b\r\n"), "a \t b");
  for (const std::string_view kept : {"\v", "\f", "\xC2\xA0", "\xEF\xBB\xBF"}) EXPECT_EQ(Trim(kept), kept);
  EXPECT_EQ(Trim(std::string_view("\0", 1)).size(), 1U);
}

}  // namespace
}  // namespace cc::test
