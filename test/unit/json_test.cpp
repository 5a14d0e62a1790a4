#include "core/json.hpp"

#include <gtest/gtest.h>

#include "core/utf8.hpp"
#include "support.hpp"

namespace cc::test {
namespace {

// The text as compact JSON, or "refused". Like the reader of bodies it first checks that the text is UTF-8.
std::string Read(std::string_view json) {
  const ExactText text(json);
  const ExactWorkspace workspace = ExactWorkspace::ForJson(json.size());
  Document document;
  if (!IsUtf8(text.view()) || !ParseJson(text.view(), workspace.get(), document)) return "refused";
  EXPECT_TRUE(IsTree(document, TextCapacity(json.size()))) << json;
  return Show(document);
}

// `value` as the only member's value.
std::string ReadValue(std::string_view value) {
  const std::string shown = Read("{\"a\":" + std::string(value) + "}");
  return shown == "refused" ? shown : shown.substr(5, shown.size() - 6);
}

std::string Repeat(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(Json, AnObjectKeepsItsMembersInTheOrderSentAndAllOfThem) {
  EXPECT_EQ(Read(R"( { "b" : 1 , "a" : [ true , false , null ] , "b" : { } } )"), R"({"b":1,"a":[true,false,null],"b":{}})");
}

TEST(Json, OnlyAnObjectWillDo) {
  for (const char* const json : {"[]", "[{}]", "\"a\"", "1", "null", "true", "", " ", "a", "undefined"})
    EXPECT_EQ(Read(json), "refused") << json;
}

TEST(Json, WhiteSpaceIsTheFourCharactersOfRfc8259) {
  EXPECT_EQ(Read("\t\r\n {\t\r\n \"a\"\t\r\n :\t\r\n 1\t\r\n }\t\r\n "), R"({"a":1})");
  for (const char* const space : {"\v", "\f", "\xC2\xA0", "\xE2\x80\xA8", "\xEF\xBB\xBF"}) {
    EXPECT_EQ(Read(space + std::string("{}")), "refused");
    EXPECT_EQ(Read("{}" + std::string(space)), "refused");
    EXPECT_EQ(Read("{" + std::string(space) + "}"), "refused");
  }
}

TEST(Json, WhatIsNearlyJsonIsRefused) {
  for (const char* const json : {"{",
                                 "}",
                                 "{}}",
                                 "{}{}",
                                 "{} x",
                                 "{,}",
                                 "{\"a\"}",
                                 "{\"a\":}",
                                 "{\"a\":1,}",
                                 "{\"a\":1 \"b\":2}",
                                 "{\"a\":1,,\"b\":2}",
                                 "{a:1}",
                                 "{'a':1}",
                                 "{\"a\":'b'}",
                                 "{\"a\":1;}",
                                 "{\"a\"=1}",
                                 "{1:1}",
                                 "{null:1}",
                                 "{\"a\":[1,]}",
                                 "{\"a\":[,1]}",
                                 "{\"a\":[1 2]}",
                                 "{\"a\":[}",
                                 "{\"a\":[1}",
                                 "{\"a\":1]",
                                 "{\"a\":[1]]}",
                                 "{\"a\":tru}",
                                 "{\"a\":True}",
                                 "{\"a\":nul}",
                                 "{\"a\":nulll}",
                                 "{\"a\":falsey}",
                                 "{/**/}",
                                 "{}//",
                                 "{}#",
                                 "{\"a\":\"b}",
                                 "{\"a\":\"b\"\"c\"}",
                                 "{\"a\":undefined}",
                                 "{\"a\":NaN}",
                                 "{\"a\":Infinity}",
                                 "{\"a\":-Infinity}"})
    EXPECT_EQ(Read(json), "refused") << json;
}

TEST(Json, NothingHidesBehindANul) {
  for (const std::string_view json : {std::string_view("{}\0", 3), std::string_view("{}\0{", 4), std::string_view("\0{}", 3),
                                      std::string_view("{\"a\0\":1}", 8), std::string_view("{\0}", 3)})
    EXPECT_EQ(Read(json), "refused");
}

TEST(Json, NestingEndsAt64) {
  for (const int depth : {2, 63, 64, 65, 66, 1000, 100000}) {
    const auto times = static_cast<std::size_t>(depth);
    const std::string objects = Repeat("{\"a\":", times - 1) + "{}" + Repeat("}", times - 1);
    const std::string arrays = "{\"a\":" + Repeat("[", times - 1) + Repeat("]", times - 1) + "}";
    EXPECT_EQ(Read(objects) != "refused", depth <= 64) << depth;
    EXPECT_EQ(Read(arrays) != "refused", depth <= 64) << depth;
    EXPECT_EQ(Read(Repeat("{\"a\":", times)), "refused") << depth << ", and never closed";
    EXPECT_EQ(Read("{\"a\":" + Repeat("[", times)), "refused") << depth << ", and never closed";
  }
}

TEST(Json, NestingCountsWhatIsOpenNotWhatWas) {
  const std::string deep = Repeat("[", 63) + Repeat("]", 63);
  EXPECT_NE(ReadValue(deep), "refused");
  const std::string wide = "{\"a\":" + deep + Repeat(",\"b\":" + deep, 100) + "}";
  EXPECT_EQ(Read(wide), wide);
}

TEST(Json, EveryNumberOfRfc8259IsKeptAsSpelled) {
  for (const char* const number : {"0",
                                   "-0",
                                   "-0.0",
                                   "1",
                                   "-1",
                                   "123456789012345678901234567890",
                                   "0.000113",
                                   "1e-06",
                                   "1E+5",
                                   "1.50e-3",
                                   "1e308",
                                   "1e309",
                                   "-1e400",
                                   "1e-400",
                                   "1e131071",
                                   "1e99999999999999999999",
                                   "0e99999",
                                   "4.9e-324",
                                   "1.7976931348623157e308",
                                   "1.7976931348623159e308",
                                   "0.4e006699999999999999999999999999999999999"})
    EXPECT_EQ(ReadValue(number), number);
}

TEST(Json, WhatIsNoNumberIsRefused) {
  for (const char* const number :
       {"01",   "-01", "+1",  ".5",    "-.5",  "5.", "1.e5",   "1e",     "1e+",    "-",           "--1",
        "0x10", "1_0", "1,0", "1e5.5", "1 e5", "00", "1e400x", "1e400.", "01e400", "\xEF\xBC\x91"})
    EXPECT_EQ(ReadValue(number), "refused") << number;
}

// RapidJSON refuses numbers that no double holds; ParseJson then reads a second time, with all numbers hidden.
TEST(Json, ANumberTooBigForADoubleChangesNothingElse) {
  EXPECT_EQ(Read(R"({"a":[1e400,"1e400","\"1e400\\",-0.5,"\\",1e400],"1e400":{"x":-1e999,"1":2}})"),
            R"({"a":[1e400,"1e400",""1e400\",-0.5,"\",1e400],"1e400":{"x":-1e999,"1":2}})");
  for (const char* const json :
       {"{\"a\":1e400", "{\"a\":1e400,}", "{\"a\":1e400 1}", "{\"a\":1e400,\"b\":01}", "{\"a\":1e400e1}", "{\"a\":1e400}1",
        "{\"a\":1e400,\"b\":-}", "{\"a\":[1e400,1.]}", "{1e400:1}", "{\"a\":1e400,\"b\":\"\\ud800\"}",
        "{\"a\":1e400,\"b\":\"\\u0000\"}", "{\"a\":1e400,\"b\":\"c}", "{\"a\":1e400,\"b\":\"c\\", "[1e400]", "1e400"})
    EXPECT_EQ(Read(json), "refused") << json;
}

TEST(Json, EveryEscapeIsResolved) {
  EXPECT_EQ(ReadValue(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u00E9\u20ac\ud83d\ude00")"),
            "\"\"\\/\b\f\n\r\tA\xC3\xA9\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  EXPECT_EQ(Read(R"({"\u0061\n":1})"), "{\"a\n\":1}");
  EXPECT_EQ(ReadValue(R"("\ud7ff\ue000\uffff\udbff\udfff\ud800\udc00")"),
            "\"\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF\xF0\x90\x80\x80\"");
}

TEST(Json, AnyOtherEscapeIsRefused) {
  for (const char* const string : {R"("\a")", R"("\x41")", R"("\'")", R"("\0")", R"("\U0041")", R"("\u")", R"("\u004")",
                                   R"("\u004g")", R"("\u 041")", R"("\u{41}")", R"("\u00)", R"("\)", R"("\")", R"("\ n")"})
    EXPECT_EQ(ReadValue(string), "refused") << string;
}

TEST(Json, ANulIsRefusedHoweverItIsEscaped) {
  for (const char* const string : {R"("\u0000")", R"("a\u0000b")", R"("\n\u0000")"})
    EXPECT_EQ(ReadValue(string), "refused") << string;
  EXPECT_EQ(Read(R"({"\u0000":1})"), "refused");
  EXPECT_EQ(ReadValue(R"("\\u0000")"), R"("\u0000")") << "a backslash and five characters";
}

TEST(Json, ALoneSurrogateIsRefused) {
  for (const char* const string : {R"("\ud800")", R"("\udbff")", R"("\udc00")", R"("\udfff")", R"("\ud800a")", R"("\ud800\n")",
                                   R"("\ud800\ud800")", R"("\ud800\u0041")", R"("\udc00\ud800")", R"("\ud83d\ude00\ude00")",
                                   R"("\ud83d\ud83d\ude00")", R"("\uD800\u")", R"("\uDEAD")", R"("a\uDC00b")"}) {
    EXPECT_EQ(ReadValue(string), "refused") << string;
    EXPECT_EQ(Read("{" + std::string(string) + ":1}"), "refused") << string;
  }
}

TEST(Json, EverySurrogateAloneIsRefusedAndEveryOtherUnitIsNot) {
  for (unsigned unit = 1; unit < 0x10000; ++unit) {
    char string[16];
    std::snprintf(string, sizeof string, "\"\\u%04x\"", unit);
    ASSERT_EQ(ReadValue(string) == "refused", unit >= 0xD800 && unit < 0xE000) << string;
  }
}

TEST(Json, AControlCharacterMustBeEscaped) {
  for (char c = 1; c < 0x20; ++c) {
    EXPECT_EQ(ReadValue(std::string("\"") + c + "\""), "refused") << int{c};
    EXPECT_EQ(ReadValue(std::string("\"0123456789abcdef0123456789abcdef") + c + "\""), "refused")
        << int{c} << ", in the SIMD loop";
  }
  EXPECT_NE(ReadValue("\"\x7F\""), "refused");
}

TEST(Json, InvalidUtf8IsRefused) {
  for (const char* const bytes : {"\xFF", "\xC3", "\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    EXPECT_EQ(ReadValue("\"" + std::string(bytes) + "\""), "refused");
    EXPECT_EQ(Read("{\"" + std::string(bytes) + "\":1}"), "refused");
  }
}

TEST(Json, StringsOfEveryLengthAndAlignmentComeBack) {
  for (std::size_t before = 0; before < 20; ++before)
    for (std::size_t size = 0; size < 40; ++size) {
      const std::string json =
          "{" + std::string(before, ' ') + "\"" + std::string(size, 'k') + "\":\"" + std::string(size, 'v') + "\\n\"}";
      ASSERT_EQ(Read(json), "{\"" + std::string(size, 'k') + "\":\"" + std::string(size, 'v') + "\n\"}");
    }
}

// The text that takes the most nodes for its length, at the limit of the capacity.
TEST(Json, TheDensestTextsFitTheCapacity) {
  for (std::size_t count = 1; count < 300; ++count)
    for (const char* const element : {"0,", "[],", "{},", "\"\",", "{\"\":0},", "[0],", "[[[[]]]],"}) {
      std::string elements = Repeat(element, count);
      elements.pop_back();
      for (const std::size_t depth : {0U, 1U, 58U}) {
        const std::string json = "{\"\":" + Repeat("[", depth) + "[" + elements + "]" + Repeat("]", depth) + "}";
        ASSERT_EQ(Read(json), json);
      }
    }
  for (std::size_t count = 1; count < 300; ++count) {
    std::string members = Repeat("\"\":0,", count);
    members.pop_back();
    ASSERT_EQ(Read("{" + members + "}"), "{" + members + "}");
  }
}

TEST(Json, ATextCutAnywhereIsRefused) {
  const std::string json = R"({"a":[1.5e-3,true,"\u00e9\ud83d\ude00"],"b":{"c":null},"d":1e400})";
  for (std::size_t size = 0; size < json.size(); ++size)
    EXPECT_EQ(Read(std::string_view(json).substr(0, size)), "refused") << size;
  EXPECT_NE(Read(json), "refused");
}

// 1e400 makes the parser scan the numbers itself: see MaskNumbers.
TEST(Json, ANumberTooBigHidesNoSyntaxErrorOfAnother) {
  for (const char* const number :
       {"1.-1", "--1", "1.-0", "-1.-1", "1e-1", "1e--1", "1.e5", "1E+", "01", "1-1", "1.5.5", "-", "1e5e5", ".5", "+1", "1 2"}) {
    const std::string json = std::string(R"({"x":1e400,"y":)") + number + "}";
    if (std::string_view(number) == "1e-1")
      EXPECT_NE(Read(json), "refused") << json;
    else
      EXPECT_EQ(Read(json), "refused") << json;
  }
}

TEST(Json, MoreThanANodeCanCountIsRefused) {
  std::string json(kMaxJsonLength, ' ');
  json[0] = '{';
  json[1] = '}';
  const ExactWorkspace workspace(TextCapacity(json.size() + 1), JsonNodeCapacity(2));
  Document document;
  EXPECT_TRUE(ParseJson(json, workspace.get(), document));
  json += ' ';
  EXPECT_FALSE(ParseJson(json, workspace.get(), document));
}

TEST(Document, TheLastMemberOfAName) {
  const std::string json = R"({"a":1,"b":{"a":2},"a":[3],"a ":4})";
  const ExactWorkspace workspace = ExactWorkspace::ForJson(json.size());
  Document document;
  ASSERT_TRUE(ParseJson(json, workspace.get(), document));
  EXPECT_EQ(Show(document, *document.FindMember(document.root(), "a")), "[3]");
  EXPECT_EQ(document.FindMember(document.root(), "c"), nullptr);
  EXPECT_EQ(document.FindMember(document.root(), ""), nullptr);
  EXPECT_EQ(document.FindMember(*document.FindMember(document.root(), "a"), "a"), nullptr) << "an array has no members";
}

}  // namespace
}  // namespace cc::test
