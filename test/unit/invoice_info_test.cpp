#include "core/invoice_info.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "core/json.hpp"
#include "support.hpp"

namespace cc::test {
namespace {

// One JSON value, kept as long as this lives.
class Value {
 public:
  explicit Value(std::string_view value)
      : json_("{\"v\":" + std::string(value) + "}"), workspace_(ExactWorkspace::ForJson(json_.size())) {
    EXPECT_TRUE(ParseJson(json_, workspace_.get(), document)) << json_;
  }
  const Node& node() const { return document.nodes[2]; }

  Document document;

 private:
  std::string json_;
  ExactWorkspace workspace_;
};

std::optional<std::string> Text(std::string_view json) {
  const Value value(json);
  std::string_view text;
  if (!ReadText(value.document, value.node(), text)) return std::nullopt;
  return std::string(text);
}

bool IsNumber(std::string_view json) {
  const Value value(json);
  Decimal decimal;
  return ReadNumber(value.document, value.node(), decimal);
}

std::optional<bool> TestMode(std::string_view json) {
  const Value value(json);
  bool is_test;
  if (!ReadTestMode(value.document, value.node(), is_test)) return std::nullopt;
  return is_test;
}

bool Confirms(std::string_view json) {
  const Value value(json);
  return ConfirmsSuccess(value.document, &value.node());
}

std::optional<std::int64_t> Time(std::string_view text) {
  const Value value('"' + std::string(text) + '"');
  std::int64_t microseconds;
  if (!ReadTime(value.document, value.node(), microseconds)) return std::nullopt;
  return microseconds;
}

bool IsList(std::string_view json) {
  const Value value(json);
  return IsTextList(value.document, value.node());
}

// The column's name and value for each value.
std::string Columns(std::string_view json) {
  const Value value(json);
  const InvoiceInfo info = ReadInvoiceInfo(value.document, value.node());
  std::string shown;
  for (std::size_t i = 0; i < info.size(); ++i)
    if (info[i] != nullptr) shown += std::string(kInvoiceColumns[i].name) + "=" + Show(value.document, *info[i]) + " ";
  return shown;
}

TEST(InvoiceInfo, TextIsAStringThatIsNotEmpty) {
  EXPECT_EQ(Text(R"("paid")"), "paid");
  EXPECT_EQ(Text(R"(" ")"), " ");
  for (const char* const json : {R"("")", "1", "null", "true", "[]", "{}", R"(["paid"])"})
    EXPECT_EQ(Text(json), std::nullopt) << json;
}

TEST(InvoiceInfo, NumberMayBeSpelledInAString) {
  for (const char* const json :
       {"0", "-1.5", "1e-06", R"("0.1")", R"(" 0.1 ")", R"("-1")", "1.6543612251060553e-24", "1e399", "1e-400"})
    EXPECT_TRUE(IsNumber(json)) << json;
  for (const char* const json :
       {R"("")", R"("1,5")", R"("NaN")", R"("+1")", R"("1 2")", "null", "true", "[1]", "{}", "1e400", "1e-401"})
    EXPECT_FALSE(IsNumber(json)) << json;
}

TEST(InvoiceInfo, TestModeIsRealOnlyInTheseSpellings) {
  for (const char* const json : {"false", "0", R"("false")", R"("0")"}) EXPECT_EQ(TestMode(json), false) << json;
  EXPECT_EQ(TestMode("null"), std::nullopt);
}

TEST(InvoiceInfo, TestModeThatCannotBeUnderstoodIsATest) {
  for (const char* const json : {"true", "1", R"("true")", "2", "1.0", "0.0", "-0", R"("")", R"("yes")", R"("on")", R"("False")",
                                 R"(" false")", "[true]", "[false]", "{}"})
    EXPECT_EQ(TestMode(json), true) << json;
}

TEST(InvoiceInfo, OnlyTheStringSuccessConfirms) {
  EXPECT_TRUE(ConfirmsSuccess({}, nullptr)) << "absent";
  for (const char* const json : {"null", R"("success")"}) EXPECT_TRUE(Confirms(json)) << json;
  for (const char* const json :
       {R"("created")", R"("Success")", R"("success ")", R"("")", "true", "1", R"(["success"])", R"({"a":"success"})"})
    EXPECT_FALSE(Confirms(json)) << json;
}

TEST(InvoiceInfo, TimeIsReadAsUtc) {
  EXPECT_EQ(Time("2026-01-27 10:23:20"), kNow * kMicroseconds);
  EXPECT_EQ(Time("2026-01-27T10:23:20"), kNow * kMicroseconds);
  EXPECT_EQ(Time("2026-01-27 10:23:20Z"), kNow * kMicroseconds);
  EXPECT_EQ(Time("2026-01-27T10:23:20+00:00"), kNow * kMicroseconds);
  EXPECT_EQ(Time(" 2026-01-27 10:23:20 "), kNow * kMicroseconds);
  EXPECT_EQ(Time("1970-01-01 00:00:00"), 0);
  EXPECT_EQ(Time("1969-12-31 23:59:59"), -kMicroseconds);
  EXPECT_EQ(Time("0001-01-01 00:00:00"), -62'135'596'800 * kMicroseconds);
  EXPECT_EQ(Time("9999-12-31 23:59:59.999999"), 253'402'300'800 * kMicroseconds - 1);
}

TEST(InvoiceInfo, AFractionOfASecondIsRoundedDownToMicroseconds) {
  EXPECT_EQ(Time("2026-01-27 10:23:20.222439"), kNow * kMicroseconds + 222439);
  EXPECT_EQ(Time("2026-01-27 10:23:20.5"), kNow * kMicroseconds + 500000);
  EXPECT_EQ(Time("2026-01-27 10:23:20.000940Z"), kNow * kMicroseconds + 940);
  EXPECT_EQ(Time("2026-01-27 10:23:20.2224399999999999"), kNow * kMicroseconds + 222439);
  EXPECT_EQ(Time("1969-12-31 23:59:59.9999999"), -1);
}

TEST(InvoiceInfo, TheCalendarIsGregorian) {
  EXPECT_TRUE(Time("2024-02-29 00:00:00"));
  EXPECT_TRUE(Time("2000-02-29 00:00:00"));
  for (const char* const time : {"2026-02-29 00:00:00", "1900-02-29 00:00:00", "2026-04-31 00:00:00", "2026-13-01 00:00:00",
                                 "2026-00-01 00:00:00", "2026-01-00 00:00:00", "2026-01-32 00:00:00", "0000-01-01 00:00:00"})
    EXPECT_EQ(Time(time), std::nullopt) << time;
}

TEST(InvoiceInfo, WhatIsNoTimeIsAbsent) {
  for (const char* const time : {"",
                                 "2026-01-27",
                                 "2026-01-27 10:23",
                                 "2026-01-27 24:00:00",
                                 "2026-01-27 10:60:00",
                                 "2026-01-27 10:23:60",
                                 "2026-1-27 10:23:20",
                                 "26-01-27 10:23:20",
                                 "12026-01-27 10:23:20",
                                 "2026-01-27  10:23:20",
                                 "2026/01/27 10:23:20",
                                 "2026-01-27 10:23:20.",
                                 "2026-01-27 10:23:20,5",
                                 "2026-01-27 10:23:20 Z",
                                 "2026-01-27 10:23:20z",
                                 "2026-01-27 10:23:20+01:00",
                                 "2026-01-27 10:23:20-00:00",
                                 "2026-01-27 10:23:20Zx",
                                 "-001-01-27 10:23:20",
                                 "+026-01-27 10:23:20",
                                 "2026-01-27 10:23:2 ",
                                 "now"})
    EXPECT_EQ(Time(time), std::nullopt) << time;
  const Value number("1769509400");
  std::int64_t ignored;
  EXPECT_FALSE(ReadTime(number.document, number.node(), ignored));
}

TEST(InvoiceInfo, ATextListIsAnArrayOfStringsOnly) {
  EXPECT_TRUE(IsList(R"(["a"])"));
  EXPECT_TRUE(IsList(R"(["a","","b"])"));
  for (const char* const json : {"[]", "[1]", R"(["a",1])", R"(["a",null])", R"(["a",["b"]])", R"([["a","b"]])", R"([{"a":"b"}])",
                                 R"(["a",[]])", R"("a")", "null", R"({"a":"b"})"})
    EXPECT_FALSE(IsList(json)) << json;
}

TEST(InvoiceInfo, EachMemberIsFoundByItsName) {
  for (const InvoiceColumn& column : kInvoiceColumns) {
    const std::string member{column.member};
    if (member.empty() || member.find('.') != std::string::npos) continue;
    EXPECT_EQ(Columns("{\"x\":[{}],\"" + member + "\":7,\"y\":{}}"), std::string(column.name) + "=7 ");
  }
}

TEST(InvoiceColumns, HaveEachNameAndEachMemberOnce) {
  for (const InvoiceColumn& a : kInvoiceColumns)
    for (const InvoiceColumn& b : kInvoiceColumns)
      if (&a != &b) {
        EXPECT_NE(a.name, b.name);
        EXPECT_TRUE(a.member.empty() || a.member != b.member) << a.member;
      }
}

TEST(InvoiceInfo, OtherNamesAreNoColumns) {
  for (const char* const json : {"{}", R"({"":1})", R"({"amount_":1})", R"({"Amount":1})", R"({"amoun":1})",
                                 R"({"network":"BSC"})", R"({"zz":1})", R"({"x":{"amount":1}})"})
    EXPECT_EQ(Columns(json), "") << json;
}

TEST(InvoiceInfo, OfAMemberThatComesTwiceTheLastCounts) {
  EXPECT_EQ(Columns(R"({"amount":1,"amount":[2,3],"fee":4})"), "amount=[2,3] fee=4 ");
  EXPECT_EQ(Columns(R"({"currency":{"network":{"code":"A"}},"currency":{"network":{"code":"B","code":"C"}}})"), "network=\"C\" ");
}

TEST(InvoiceInfo, TheNetworkIsThreeLevelsDeep) {
  EXPECT_EQ(Columns(R"({"currency":{"code":"BNB","network":{"code":"BSC","id":20}}})"), "network=\"BSC\" ");
  for (const char* const json :
       {R"({"currency":"BNB"})", R"({"currency":null})", R"({"currency":{}})", R"({"currency":{"network":"BSC"}})",
        R"({"currency":{"network":[{"code":"BSC"}]}})", R"({"currency":{"network":{"id":20}}})"})
    EXPECT_EQ(Columns(json), "") << json;
}

TEST(InvoiceInfo, AnythingButAnObjectHasNoColumns) {
  for (const char* const json : {"null", "true", "1", R"("amount")", "[]", R"(["amount",1])", R"([{"amount":1}])"})
    EXPECT_EQ(Columns(json), "") << json;
}

}  // namespace
}  // namespace cc::test
