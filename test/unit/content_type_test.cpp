#include "core/content_type.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support.hpp"

namespace cc::test {
namespace {

void ExpectAll(MediaType expected, std::initializer_list<std::string_view> headers) {
  for (const std::string_view header : headers) EXPECT_EQ(ReadContentType(ExactText(header).view()), expected) << header;
}

TEST(ContentType, NoneIfEmptyOrBlank) { ExpectAll(MediaType::kNone, {"", " ", "\t", " \r\n "}); }

TEST(ContentType, JsonInItsThreeSpellings) {
  ExpectAll(MediaType::kJson, {"application/json", "text/json", "application/ld+json", "application/vnd.api+json",
                               "application/a+json", "application/a.b-c_d+json", "application/+x+json"});
}

TEST(ContentType, Form) { ExpectAll(MediaType::kForm, {"application/x-www-form-urlencoded"}); }

TEST(ContentType, CaseAndBlanksAroundDoNotMatter) {
  ExpectAll(MediaType::kJson,
            {"APPLICATION/JSON", "Text/Json", "application/LD+JSON", " application/json ", "application/json ; charset=utf-8"});
  ExpectAll(MediaType::kForm, {"Application/X-WWW-Form-Urlencoded", "\tapplication/x-www-form-urlencoded\r\n"});
}

TEST(ContentType, AnyParameterIsAllowed) {
  ExpectAll(MediaType::kJson,
            {"application/json;", "application/json;;", "application/json; boundary=x", "application/json;v=1;q",
             "application/json; =", "application/json; x=\"a;b\"", "application/json; chars=latin1"});
}

TEST(ContentType, CharsetIsUtf8OrAscii) {
  ExpectAll(MediaType::kJson,
            {"application/json; charset=utf-8", "application/json;charset=UTF-8", "application/json; Charset=Utf8",
             "application/json; charset=us-ascii", "application/json; charset=\"utf-8\"", "application/json; x=y; charset=utf-8",
             "application/json; charset = utf-8 "});
  ExpectAll(MediaType::kForm, {"application/x-www-form-urlencoded; charset=UTF-8"});
}

TEST(ContentType, AnyOtherCharsetIsUnsupported) {
  ExpectAll(MediaType::kUnsupported,
            {"application/json; charset=latin1", "application/json; charset=utf-16",
             "application/json; charset=", "application/json; charset=\"\"", "application/json; charset=utf-8x",
             "application/json; charset=utf_8", "application/json; charset=ascii", "application/json; CHARSET=iso-8859-1",
             "application/json; charset=utf-8; charset=latin1", "application/json; charset=latin1; charset=utf-8",
             "application/x-www-form-urlencoded;charset=windows-1251", "application/json; charset=\"utf-8",
             "application/json; charset='utf-8'"});
}

TEST(ContentType, ACharsetWithinAQuotedStringIsNone) {
  ExpectAll(MediaType::kJson, {R"(application/json; x=";charset=latin1")", R"(application/json; x="\";charset=latin1")",
                               R"(application/json; x="\\"; charset=utf-8)"});
  ExpectAll(MediaType::kUnsupported,
            {R"(application/json; x="\\"; charset=latin1)", R"(application/json; x=""; charset=latin1)"});
}

TEST(ContentType, EverythingElseIsUnsupported) {
  ExpectAll(MediaType::kUnsupported, {"text/plain",
                                      "application/jsonx",
                                      "xapplication/json",
                                      "application/ json",
                                      "application /json",
                                      "application/json/x",
                                      "application/+json",
                                      "application/ld+jsonx",
                                      "text/ld+json",
                                      "application/a b+json",
                                      "application/a/b+json",
                                      "application/\xC3\xA9+json",
                                      "application/x-www-form-urlencoded2",
                                      "multipart/form-data",
                                      "application/json,text/plain",
                                      "application/json, application/json",
                                      ";application/json",
                                      "/",
                                      "json",
                                      "*/*",
                                      "application/*",
                                      "application/json\v"});
  ExpectAll(MediaType::kUnsupported, {std::string_view("application/json\0", 17), std::string_view("\0", 1)});
}

TEST(ContentType, AVeryLongOneIsReadAllTheSame) {
  std::string header{"application/json"};
  for (int i = 0; i < 10000; ++i) header += "; a=\"\\;\"";
  EXPECT_EQ(ReadContentType(header), MediaType::kJson);
  EXPECT_EQ(ReadContentType(header + "; charset=latin1"), MediaType::kUnsupported);
}

}  // namespace
}  // namespace cc::test
