#include "core/form.hpp"

#include <gtest/gtest.h>

#include "support.hpp"

namespace cc::test {
namespace {

// The form as a JSON object, or "refused".
std::string Read(std::string_view form) {
  const ExactText text(form);
  const ExactWorkspace workspace = ExactWorkspace::ForForm(form.size());
  Document document;
  if (!ParseForm(text.view(), workspace.get(), document)) return "refused";
  EXPECT_TRUE(IsTree(document, TextCapacity(form.size()))) << form;
  return Show(document);
}

std::string Pairs(std::size_t count, std::string_view pair = "a=b&") {
  std::string form;
  for (std::size_t i = 0; i < count; ++i) form += pair;
  return form;
}

TEST(Form, PairsComeInTheOrderSent) { EXPECT_EQ(Read("b=2&a=1&c="), R"({"b":"2","a":"1","c":""})"); }

TEST(Form, ARepeatedNameStaysRepeated) { EXPECT_EQ(Read("a=1&b=2&a=3"), R"({"a":"1","b":"2","a":"3"})"); }

TEST(Form, EmptyPairsDoNotCount) {
  EXPECT_EQ(Read("&&a=1&&&b=2&"), R"({"a":"1","b":"2"})");
  EXPECT_EQ(Read(""), "{}");
  EXPECT_EQ(Read("&"), "{}");
}

TEST(Form, APairWithoutEqualsSignIsANameWithAnEmptyValue) { EXPECT_EQ(Read("a&b"), R"({"a":"","b":""})"); }

TEST(Form, TheFirstEqualsSignCounts) {
  EXPECT_EQ(Read("a=b=c"), R"({"a":"b=c"})");
  EXPECT_EQ(Read("=="), R"({"":"="})");
  EXPECT_EQ(Read("="), R"({"":""})");
}

TEST(Form, PlusIsABlankAndPercentIsAByte) {
  EXPECT_EQ(Read("a+b=c+d%2B%20"), R"({"a b":"c d+ "})");
  EXPECT_EQ(Read("%61%3D=%26%25"), R"({"a=":"&%"})");
  EXPECT_EQ(Read("a=%C3%A9%c3%a9\xC3%A9"), "{\"a\":\"\xC3\xA9\xC3\xA9\xC3\xA9\"}");
}

TEST(Form, NothingIsDecodedTwice) { EXPECT_EQ(Read("a=%2541%252B"), R"({"a":"%41%2B"})"); }

TEST(Form, ABadEscapeIsRefused) {
  for (const char* const form : {"%", "a=%", "a=%4", "a=%4&b=1", "a=%&b=1", "a=%zz", "a=%4g", "a=%g4", "a=% 4", "a=%+4", "a=%-4",
                                 "a=%%41", "%4=a", "a=%u0041", "a=%0x", "a=%\xC3\xA9"})
    EXPECT_EQ(Read(form), "refused") << form;
}

TEST(Form, EveryByteCanBeEscapedInEitherCaseUnlessItIsNulOrNoUtf8) {
  constexpr char kLower[] = "0123456789abcdef", kUpper[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte)
    for (const char* const digits : {kLower, kUpper}) {
      const std::string form{'%', digits[byte / 16], digits[byte % 16]};
      const std::string expected = std::string("{\"") + static_cast<char>(byte) + "\":\"\"}";
      EXPECT_EQ(Read(form), byte == 0 || byte >= 0x80 ? "refused" : expected) << form;
    }
}

TEST(Form, NulIsRefusedHoweverItComes) {
  for (const std::string& form : {std::string("a=b\0c", 5), std::string("\0", 1), std::string("a%00=b"), std::string("a=%00")})
    EXPECT_EQ(Read(form), "refused");
}

TEST(Form, InvalidUtf8IsRefusedHoweverItComes) {
  for (const char* const form :
       {"a=\xFF", "\xC3=a", "a=%FF", "a=%C3", "a=%C3&b=%A9", "%C3=%A9", "a=%ED%A0%80", "a=%C0%80", "a=%F4%90%80%80"})
    EXPECT_EQ(Read(form), "refused") << form;
}

TEST(Form, AThousandPairsAreTheLimit) {
  EXPECT_NE(Read(Pairs(999)), "refused");
  EXPECT_NE(Read(Pairs(1000)), "refused");
  EXPECT_EQ(Read(Pairs(1001)), "refused");
  EXPECT_EQ(Read(Pairs(1000) + "&&&=&"), "refused") << "a pair of two empty texts is a pair";
  EXPECT_NE(Read(Pairs(1000, "a&&&&") + "&&&&"), "refused") << "empty ones do not count";
}

TEST(Form, TheShortestPairsFitTheCapacity) {
  for (std::size_t count = 0; count <= 1000; ++count) EXPECT_NE(Read(Pairs(count, "=&")), "refused") << count;
  EXPECT_EQ(Read("a"), R"({"a":""})");
}

}  // namespace
}  // namespace cc::test
