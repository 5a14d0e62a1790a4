#include "core/hmac.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace cc::test {
namespace {

std::string Hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) / 16];
    text += kDigits[static_cast<unsigned char>(byte) % 16];
  }
  return text;
}

std::string Compute(HmacSha256& hmac, std::string_view key, std::string_view message) {
  Sha256 digest{};
  EXPECT_TRUE(hmac.Compute(key, message, digest));
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

struct Vector {
  std::string key, message, digest;
};

// RFC 4231, section 4; case 5 truncates and is left out.
const Vector kRfc4231[] = {
    {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {std::string(20, '\xaa'), std::string(50, '\xdd'), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19",
     std::string(50, '\xcd'), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {std::string(131, '\xaa'),
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before "
     "being "
     "used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"}};

TEST(Hmac, GivesTheDigestsOfRfc4231) {
  for (const Vector& vector : kRfc4231) {
    HmacSha256 hmac;
    EXPECT_EQ(Hex(Compute(hmac, vector.key, vector.message)), vector.digest);
  }
}

TEST(Hmac, AKeptKeyGivesTheSameDigests) {
  HmacSha256 hmac;
  for (int round = 0; round < 3; ++round)
    for (const Vector& vector : kRfc4231)
      for (int again = 0; again < 3; ++again) EXPECT_EQ(Hex(Compute(hmac, vector.key, vector.message)), vector.digest);
}

// Keys up to 256 bytes are kept, longer ones set again. Keys of one length, or with a common beginning, must not be mixed up.
TEST(Hmac, KeysOfAllLengthsInTurnAreNeverMixedUp) {
  HmacSha256 hmac;
  for (std::size_t size = 1; size < 600; ++size) {
    std::string key(size, 'k');
    EXPECT_EQ(Compute(hmac, key, "message"), Hmac("message", key)) << size;
    key.back() = 'l';
    EXPECT_EQ(Compute(hmac, key, "message"), Hmac("message", key)) << size;
    EXPECT_EQ(Compute(hmac, key, ""), Hmac("", key)) << size;
    key.front() = 'm';
    EXPECT_EQ(Compute(hmac, key, "message"), Hmac("message", key)) << size;
  }
}

TEST(Hmac, AKeyMayHoldAnyByte) {
  HmacSha256 hmac;
  for (const std::string_view key :
       {std::string_view("\0", 1), std::string_view("a\0b", 3), std::string_view("a\0c", 3), std::string_view("\xFF\xFE", 2)})
    EXPECT_EQ(Compute(hmac, key, "message"), Hmac("message", key));
}

TEST(Hmac, AMessageOfAnyLength) {
  HmacSha256 hmac;
  for (const std::size_t size : {0U, 1U, 55U, 56U, 63U, 64U, 65U, 4096U, 1048576U})
    EXPECT_EQ(Compute(hmac, kSecret, std::string(size, 'x')), Hmac(std::string(size, 'x'), kSecret)) << size;
}

TEST(Hmac, EqualOnlyIfSizeAndEveryBitAre) {
  EXPECT_TRUE(EqualInConstantTime("", ""));
  EXPECT_TRUE(EqualInConstantTime("abc", "abc"));
  EXPECT_FALSE(EqualInConstantTime("abc", "abcd"));
  EXPECT_FALSE(EqualInConstantTime("abcd", "abc"));
  EXPECT_FALSE(EqualInConstantTime("", "a"));
  const std::string digest(32, 'd');
  for (std::size_t bit = 0; bit < 256; ++bit) {
    std::string other = digest;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(EqualInConstantTime(digest, other)) << bit;
  }
}

TEST(Sha256, GivesTheDigestsOfFips180) {
  Sha256 digest{};
  const auto hex = [&] { return Hex({reinterpret_cast<const char*>(digest.data()), digest.size()}); };
  ASSERT_TRUE(ComputeSha256("", digest));
  EXPECT_EQ(hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  ASSERT_TRUE(ComputeSha256("abc", digest));
  EXPECT_EQ(hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  ASSERT_TRUE(ComputeSha256(std::string(1000000, 'a'), digest));
  EXPECT_EQ(hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace cc::test
