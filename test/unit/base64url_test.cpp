#include "core/base64url.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace cc::test {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Returns false if refused. `out` has exactly the promised size.
bool Decode(std::string_view text, std::string& out) {
  const auto buffer = std::make_unique<char[]>(Base64UrlDecodedSize(text.size()));
  if (!Base64UrlDecode(ExactText(text).view(), buffer.get())) return false;
  out.assign(buffer.get(), Base64UrlDecodedSize(text.size()));
  return true;
}

bool IsDecodable(std::string_view text) {
  std::string ignored;
  return Decode(text, ignored);
}

struct Pair {
  std::string_view bytes, text;
};

TEST(Base64Url, SpellsTheVectorsOfRfc4648AndRfc7515) {
  using namespace std::string_view_literals;
  for (const Pair& pair : {Pair{"", ""}, Pair{"f", "Zg"}, Pair{"fo", "Zm8"}, Pair{"foo", "Zm9v"}, Pair{"foob", "Zm9vYg"},
                           Pair{"fooba", "Zm9vYmE"}, Pair{"foobar", "Zm9vYmFy"}, Pair{"\x03\xEC\xFF\xE0\xC1"sv, "A-z_4ME"},
                           Pair{"\0\0\0"sv, "AAAA"}, Pair{"\xFF\xFF\xFF"sv, "____"}}) {
    std::string decoded;
    EXPECT_TRUE(Decode(pair.text, decoded)) << pair.text;
    EXPECT_EQ(decoded, pair.bytes);
    EXPECT_EQ(Base64Url(pair.bytes), pair.text);
  }
}

TEST(Base64Url, ComesBackAtEveryLength) {
  std::string bytes;
  for (int size = 0; size < 300; ++size) {
    std::string decoded;
    ASSERT_TRUE(Decode(Base64Url(bytes), decoded)) << size;
    ASSERT_EQ(decoded, bytes);
    bytes += static_cast<char>(size * 151 + 7);
  }
}

TEST(Base64Url, RefusesEveryCharacterOutsideTheAlphabetAtEveryPlace) {
  for (int c = 0; c < 256; ++c) {
    const bool is_letter = kAlphabet.find(static_cast<char>(c)) != std::string_view::npos;
    for (std::size_t size : {4U, 8U, 6U, 7U})
      for (std::size_t at = 0; at < size; ++at) {
        std::string text(size, 'A');
        text[at] = static_cast<char>(c);
        // The last character of an incomplete group has bits that must be 0.
        if (is_letter && at + 1 == size && size % 4 != 0) continue;
        EXPECT_EQ(IsDecodable(text), is_letter) << c << " at " << at << " of " << size;
      }
  }
}

TEST(Base64Url, RefusesPaddingWhiteSpaceAndTheOtherAlphabet) {
  for (const char* const text : {"Zg==", "Zm8=", "Zm9v=", "=", "Zm9v\n", " Zm9v", "Zm 9v", "Zm9v\r\n", "A+z/4ME", "Zm9v."})
    EXPECT_FALSE(IsDecodable(text)) << text;
}

TEST(Base64Url, RefusesALengthThatNoBytesHave) {
  for (std::size_t size = 1; size < 64; size += 4) EXPECT_FALSE(IsDecodable(std::string(size, 'A'))) << size;
}

TEST(Base64Url, AcceptsOneSpellingOnlyOfOneByte) {
  int accepted = 0;
  for (const char a : kAlphabet)
    for (const char b : kAlphabet) {
      const std::string text{a, b};
      std::string decoded;
      if (!Decode(text, decoded)) continue;
      ++accepted;
      EXPECT_EQ(Base64Url(decoded), text);
    }
  EXPECT_EQ(accepted, 256);
}

TEST(Base64Url, AcceptsOneSpellingOnlyOfTwoBytes) {
  int accepted = 0;
  for (const char a : kAlphabet)
    for (const char b : kAlphabet)
      for (const char c : kAlphabet) {
        const char text[] = {a, b, c};
        char decoded[2];
        if (!Base64UrlDecode({text, 3}, decoded)) continue;
        ++accepted;
        char again[3];
        Base64UrlEncode({decoded, 2}, again);
        ASSERT_EQ(std::string_view(again, 3), std::string_view(text, 3));
      }
  EXPECT_EQ(accepted, 65536);
}

}  // namespace
}  // namespace cc::test
