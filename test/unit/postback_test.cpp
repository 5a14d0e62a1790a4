// Every row of the table of reasons, with a case just below, at and just above its limit, for JSON and for forms.
#include "core/postback.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "support.hpp"

namespace cc::test {
namespace {

std::string Name(Reason reason) { return reason == Reason::kVerified ? "verified" : ReasonWord(reason); }

// A verified body with everything that its result points into.
class Verification {
 public:
  Verification(std::string_view body, std::string_view content_type, bool is_utf8 = false)
      : body_(body), room_(ExactWorkspace::ForBody(body.size() > kMaxBodySize ? 0 : body.size())),
        postback(ReadPostback({.body = body_.view(), .is_utf8 = is_utf8, .content_type = content_type}, room_.get())),
        reason(postback.reason), token_room_(ExactWorkspace::ForJson(postback.fields.token.size())) {
    if (postback.document.count > 0) {
      EXPECT_TRUE(IsTree(postback.document, TextCapacity(body.size())));
    }
    if (reason != Reason::kVerified) return;
    HmacSha256 hmac;
    const std::string_view secrets[] = {kSecret};
    reason = VerifyToken(postback, secrets, kClock, hmac, token_room_.get()).reason;
  }

 private:
  ExactText body_;
  ExactWorkspace room_;

 public:
  const Postback postback;
  Reason reason;

 private:
  ExactWorkspace token_room_;
};

std::string Verify(std::string_view body, std::string_view content_type) { return Name(Verification(body, content_type).reason); }

// --- Bodies: an honest one, with one member changed, removed or added ---

using Members = std::vector<std::pair<std::string, std::string>>;  // names and values, raw

Members HonestJson() {
  return {{R"("status")", R"("success")"},
          {R"("invoice_id")", R"("ILRAJE1Q")"},
          {R"("amount_crypto")", "0.000113"},
          {R"("currency")", R"("BNB")"},
          {R"("order_id")", R"("ORDER_93223")"},
          {R"("token")", '"' + HonestToken() + '"'},
          {R"("invoice_info")", R"({"uuid":"INV-ILRAJE1Q"})"}};
}

Members HonestForm() {
  return {{"status", "success"},       {"invoice_id", "ILRAJE1Q"}, {"amount_crypto", "0.000113"}, {"currency", "BNB"},
          {"order_id", "ORDER_93223"}, {"token", HonestToken()},   {"invoice_info", "uuid"},      {"invoice_info", "created"}};
}

std::string Join(const Members& members, std::string_view between, std::string_view separator) {
  std::string joined;
  for (const auto& [name, value] : members) {
    if (!joined.empty()) joined += separator;
    joined += name;
    joined += between;
    joined += value;
  }
  return joined;
}
std::string ToJson(const Members& members) { return "{" + Join(members, ":", ",") + "}"; }
std::string ToForm(const Members& members) { return Join(members, "=", "&"); }

Members Changed(Members members, std::string_view name, const std::string& value) {
  for (auto& member : members)
    if (member.first == name) member.second = value;
  return members;
}
Members Without(Members members, std::string_view name) {
  std::erase_if(members, [&](const auto& member) { return member.first == name; });
  return members;
}

std::string Quoted(std::string_view text) { return '"' + std::string(text) + '"'; }
std::string JsonWith(std::string_view name, const std::string& value) {
  return ToJson(Changed(HonestJson(), Quoted(name), value));
}
std::string JsonWithout(std::string_view name) { return ToJson(Without(HonestJson(), Quoted(name))); }
std::string FormWith(std::string_view name, const std::string& value) { return ToForm(Changed(HonestForm(), name, value)); }
std::string FormWithout(std::string_view name) { return ToForm(Without(HonestForm(), name)); }
std::string JsonPlus(const std::string& member) {
  std::string json = ToJson(HonestJson());
  json.back() = ',';
  return json + member + "}";
}
std::string FormPlus(const std::string& pair) { return ToForm(HonestForm()) + "&" + pair; }

std::string Repeat(std::string_view text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

constexpr std::string_view kSix[] = {"status", "invoice_id", "amount_crypto", "currency", "order_id", "token"};

void ExpectJson(std::string_view expected, std::string_view body) {
  EXPECT_EQ(Verify(body, kJson), expected) << body.substr(0, 300);
}
void ExpectForm(std::string_view expected, std::string_view body) {
  EXPECT_EQ(Verify(body, kForm), expected) << body.substr(0, 300);
}
void ExpectJsonValue(std::string_view expected, std::string_view name, std::initializer_list<std::string> values) {
  for (const std::string& value : values) ExpectJson(expected, JsonWith(name, value));
}
void ExpectFormValue(std::string_view expected, std::string_view name, std::initializer_list<std::string> values) {
  for (const std::string& value : values) ExpectForm(expected, FormWith(name, value));
}

// --- What verifies ---

TEST(Postback, TheHonestOnesVerify) {
  ExpectJson("verified", ToJson(HonestJson()));
  ExpectForm("verified", ToForm(HonestForm()));
}

TEST(Postback, TheSixFieldsAreWhatWasSent) {
  for (const bool is_json : {true, false}) {
    const Verification v(is_json ? ToJson(HonestJson()) : ToForm(HonestForm()), is_json ? kJson : kForm);
    EXPECT_EQ(v.postback.fields.status, "success");
    EXPECT_EQ(v.postback.fields.invoice_id, "ILRAJE1Q");
    EXPECT_EQ(v.postback.fields.currency, "BNB");
    EXPECT_EQ(v.postback.fields.order_id, "ORDER_93223");
    EXPECT_EQ(v.postback.fields.token, HonestToken());
    EXPECT_EQ(v.postback.fields.amount_crypto.decimals, 6);
    EXPECT_EQ(v.postback.fields.amount_crypto.fraction_text, "000113");
    EXPECT_EQ(v.postback.format, is_json ? Format::kJson : Format::kForm);
    ASSERT_NE(v.postback.invoice_info, nullptr);
    EXPECT_EQ(Show(v.postback.document, *v.postback.invoice_info), is_json ? R"({"uuid":"INV-ILRAJE1Q"})" : "\"uuid\"");
  }
}

TEST(Postback, EscapesInNamesAndValuesAreResolvedFirst) {
  const Verification json(
      R"({"st\u0061tus":"succ\u0065ss","invoice_id":"\u0049LRAJE1Q","amount_crypto":"\u0031","currency":"B\u004eB","token":")" +
          HonestToken() + "\"}",
      kJson);
  EXPECT_EQ(Name(json.reason), "verified");
  EXPECT_EQ(json.postback.fields.status, "success");
  const Verification form(
      "%73tatus=succ%65ss&invoice_id=%49LRAJE1Q&amount_crypto=%31&currency=B%4EB&order_id=a+b%2Bc&token=" + HonestToken(), kForm);
  EXPECT_EQ(Name(form.reason), "verified");
  EXPECT_EQ(form.postback.fields.order_id, "a b+c");
}

TEST(Postback, OnePrefixIsTakenOffTheInvoiceId) {
  const auto id = [](const std::string& sent) {
    return std::string(Verification(JsonWith("invoice_id", Quoted(sent)), kJson).postback.fields.invoice_id);
  };
  EXPECT_EQ(id("INV-ILRAJE1Q"), "ILRAJE1Q");
  EXPECT_EQ(id("INV-INV-ILRAJE1Q"), "INV-ILRAJE1Q");
  EXPECT_EQ(id("inv-ILRAJE1Q"), "inv-ILRAJE1Q");
  EXPECT_EQ(id(" INV-ILRAJE1Q"), " INV-ILRAJE1Q");
  EXPECT_EQ(id(" ILRAJE1Q "), " ILRAJE1Q ") << "unchanged";
  EXPECT_EQ(id("INV"), "INV");
  ExpectJsonValue("verified", "invoice_id", {R"("INV-ILRAJE1Q")"});
  ExpectJsonValue("invoice_mismatch", "invoice_id",
                  {R"("ilraje1q")", R"("ILRAJE1Q ")", R"(" ILRAJE1Q")", R"("INV-INV-ILRAJE1Q")", "13"});
  ExpectFormValue("verified", "invoice_id", {"INV-ILRAJE1Q"});
  ExpectFormValue("invoice_mismatch", "invoice_id", {"ilraje1q", "ILRAJE1Q+", "%20ILRAJE1Q"});
}

TEST(Postback, WithoutAnOrderIdItIsEmpty) {
  for (const std::string& body : {JsonWith("order_id", "null"), JsonWith("order_id", "\"\""), JsonWithout("order_id")}) {
    ExpectJson("verified", body);
    EXPECT_EQ(Verification(body, kJson).postback.fields.order_id, "");
  }
  for (const std::string& body : {FormWith("order_id", ""), FormWithout("order_id")}) {
    ExpectForm("verified", body);
    EXPECT_EQ(Verification(body, kForm).postback.fields.order_id, "");
  }
}

TEST(Postback, OtherMembersMayBeAnything) {
  for (const char* const value :
       {"null", "1e400", "-1e99999999999999999999", "[]", "[[{}]]", "\"\\u0007\"", "1.6543612251060553e-24", "true"}) {
    ExpectJson("verified", JsonPlus(std::string("\"x\":") + value + ",\"x\":" + value));
    ExpectJsonValue("verified", "invoice_info", {value});
  }
  ExpectJson("verified", JsonWithout("invoice_info"));
  ExpectForm("verified", FormWithout("invoice_info"));
  ExpectForm("verified", FormPlus("x=%07&x=&=&x"));
  ExpectJson("verified", JsonPlus(R"("Status":1,"STATUS":2,"status ":3,"x":{"status":4,"status":5,"token":6})"));
}

TEST(Postback, WhiteSpaceAroundTheBodyIsIgnored) {
  ExpectJson("verified", " \t\r\n" + ToJson(HonestJson()) + "\r\n\t ");
  ExpectForm("verified", " \t\r\n" + ToForm(HonestForm()) + "\r\n\t ");
}

TEST(Postback, WhiteSpaceAroundTheTokenIsIgnored) {
  ExpectJsonValue("verified", "token", {"\" \\t\\r\\n" + HonestToken() + "\\n\\r\\t \""});
  ExpectFormValue("verified", "token", {"+%09%0D%0A" + HonestToken() + "%0A%0D%09+"});
  ExpectJsonValue("malformed_token", "token", {"\"\xC2\xA0" + HonestToken() + "\""});
  ExpectJsonValue("invalid_field", "token", {"\"\\u000b" + HonestToken() + "\""});
}

// --- empty_body ---

TEST(EmptyBody, NothingButWhiteSpace) {
  for (const std::string_view type : {kJson, kForm, std::string_view(""), std::string_view("text/plain")})
    for (const char* const body : {"", " ", "\t", "\r\n", " \t\r\n"}) EXPECT_EQ(Verify(body, type), "empty_body");
  EXPECT_EQ(Name(Verification({}, kJson).reason), "empty_body");
}

TEST(EmptyBody, ComesBeforeTooLarge) { ExpectJson("empty_body", std::string(2 * kMaxBodySize, ' ')); }

TEST(EmptyBody, OtherCharactersAreNoWhiteSpace) {
  for (const char* const body : {"\v", "\f", "x", "&"}) {
    ExpectJson("invalid_json", body);
    ExpectForm("missing_invoice_id", body);
  }
}

// --- body_too_large ---

TEST(BodyTooLarge, AtOneMebibyteByTheByte) {
  for (const std::size_t size : {kMaxBodySize - 1, kMaxBodySize, kMaxBodySize + 1}) {
    const std::string_view expected = size <= kMaxBodySize ? "verified" : "body_too_large";
    const std::string json = ToJson(HonestJson()), form = ToForm(HonestForm());
    ExpectJson(expected, json + std::string(size - json.size(), ' '));
    ExpectForm(expected, form + std::string(size - form.size(), '&'));
    const std::string start = JsonPlus("\"x\":\"");
    ExpectJson(expected, start.substr(0, start.size() - 1) + std::string(size - start.size() - 1, 'x') + "\"}");
  }
}

TEST(BodyTooLarge, ComesBeforeAllThatFollowsAndNeedsNoRoom) {
  EXPECT_EQ(Verify(std::string(kMaxBodySize + 1, '\xFF'), "text/plain"), "body_too_large");
}

// --- unsupported_content_type ---

TEST(UnsupportedContentType, ComesBeforeWhatIsWrongWithTheBody) {
  EXPECT_EQ(Verify("{", "text/plain"), "unsupported_content_type");
  EXPECT_EQ(Verify("%", "application/json; charset=latin1"), "unsupported_content_type");
  EXPECT_EQ(Verify("{", "application/json; charset=utf-8"), "invalid_json");
}

TEST(UnsupportedContentType, NeverBecauseThereIsNone) {
  for (const std::string_view type : {std::string_view(), std::string_view(""), std::string_view(" \t\r\n")}) {
    EXPECT_EQ(Verify(ToJson(HonestJson()), type), "verified");
    EXPECT_EQ(Verify("\n" + ToJson(HonestJson()), type), "verified");
    EXPECT_EQ(Verify(ToForm(HonestForm()), type), "verified");
    EXPECT_EQ(Verify("{", type), "invalid_json");
    EXPECT_EQ(Verify("[]", type), "missing_invoice_id") << "a form with the name []";
    EXPECT_EQ(Verify("%", type), "invalid_form");
  }
}

TEST(UnsupportedContentType, TheTypeSaysHowToReadNotTheBody) {
  ExpectForm("missing_invoice_id", ToJson(HonestJson()));
  ExpectJson("invalid_json", ToForm(HonestForm()));
}

// --- invalid_json; json_test.cpp has malformed texts ---

TEST(InvalidJson, MalformedOrNoObject) {
  for (const char* const body : {"[]", "null", "1", "\"x\"", "{", "{}x", "{\"a\":1,}", "x"}) ExpectJson("invalid_json", body);
  ExpectJson("invalid_json", "[" + ToJson(HonestJson()) + "]");
  ExpectJson("invalid_json", ToJson(HonestJson()) + ToJson(HonestJson()));
  ExpectJson("invalid_json", ToJson(HonestJson()).substr(1));
}

TEST(InvalidJson, AByteOrderMark) {
  ExpectJson("invalid_json", "\xEF\xBB\xBF" + ToJson(HonestJson()));
  ExpectJson("invalid_json", "\xFE\xFF{}");
}

TEST(InvalidJson, DeeperThan64) {
  for (const std::size_t depth : {63U, 64U, 65U})
    for (const auto& [open, close] : {std::pair{"[", "]"}, {"{\"x\":", "}"}}) {
      const std::string innermost = *open == '[' ? "" : "1";  // the innermost object needs a value
      const std::string value = Repeat(open, depth - 1) + innermost + Repeat(close, depth - 1);
      ExpectJson(depth <= 64 ? "verified" : "invalid_json", JsonPlus("\"x\":" + value));
      ExpectJson(depth <= 64 ? "verified" : "invalid_json", JsonWith("invoice_info", value));
    }
}

TEST(InvalidJson, NulLoneSurrogateOrInvalidUtf8Anywhere) {
  for (const std::string bad : {R"(\u0000)", R"(\ud800)", R"(\udfff)", "\xFF", "\xC3", "\xED\xA0\x80"}) {
    ExpectJson("invalid_json", JsonPlus("\"x\":\"" + bad + "\""));
    ExpectJson("invalid_json", JsonPlus("\"" + bad + "\":1"));
    ExpectJson("invalid_json", JsonPlus("\"x\":[{\"y\":\"" + bad + "\"}]"));
    ExpectJson("invalid_json", JsonWith("order_id", Quoted(bad)));
  }
  ExpectJson("invalid_json", ToJson(HonestJson()) + std::string(1, '\0'));
  ExpectJson("verified", JsonPlus(R"("x":"\u0001\ud83d\ude00")"));
}

TEST(InvalidJson, EveryUnescapedControlCharacter) {
  for (int c = 0; c < 0x20; ++c)
    ExpectJson("invalid_json", JsonPlus("\"x\":\"0123456789abcdef" + std::string(1, static_cast<char>(c)) + "\""));
}

TEST(InvalidJson, ComesBeforeWhatItsFieldsWouldSay) { ExpectJson("invalid_json", R"({"status":1,"status":2,)"); }

TEST(InvalidJson, IsNotSaidOfTextThatSomebodyCheckedAlready) {
  EXPECT_EQ(Name(Verification(ToJson(HonestJson()), kJson, true).reason), "verified");
}

// --- invalid_form ---

TEST(InvalidForm, ABadEscapeAnywhere) {
  for (const char* const pair : {"x=%", "x=%4", "x=%zz", "%=x", "%g0=x", "x=%%41"}) ExpectForm("invalid_form", FormPlus(pair));
  ExpectForm("verified", FormPlus("x=%41%c3%A9%C3%a9"));
}

TEST(InvalidForm, NulOrInvalidUtf8AfterDecoding) {
  for (const char* const pair : {"x=%00", "%00=x", "x=%FF", "x=\xFF", "x=%C3", "x=%ED%A0%80", "x=%C0%AF"})
    ExpectForm("invalid_form", FormPlus(pair));
  ExpectForm("invalid_form", FormPlus(std::string("x=\0", 3)));
}

TEST(InvalidForm, OverAThousandPairsThatAreNotEmpty) {
  const std::size_t sent = HonestForm().size();
  for (const std::size_t pairs : {999U, 1000U, 1001U}) {
    const std::string_view expected = pairs <= 1000 ? "verified" : "invalid_form";
    ExpectForm(expected, ToForm(HonestForm()) + Repeat("&x=1", pairs - sent));
    ExpectForm(expected, ToForm(HonestForm()) + Repeat("&x", pairs - sent) + "&&&&");
    ExpectForm(expected, Repeat("&&&", 2000) + ToForm(HonestForm()) + Repeat("&=", pairs - sent));
  }
}

// --- duplicate_field ---

TEST(DuplicateField, EachOfTheSixTwice) {
  for (const std::string_view name : kSix) {
    const Members json = HonestJson(), form = HonestForm();
    const auto value = [&](const Members& members, const std::string& of) {
      return std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == of; })->second;
    };
    ExpectJson("duplicate_field", JsonPlus(Quoted(name) + ":" + value(json, Quoted(name))));
    ExpectJson("duplicate_field", JsonPlus(Quoted(name) + ":null"));
    ExpectForm("duplicate_field", FormPlus(std::string(name) + "=" + value(form, std::string(name))));
    ExpectForm("duplicate_field", FormPlus(std::string(name)));
  }
}

TEST(DuplicateField, AfterUnescaping) {
  ExpectJson("duplicate_field", JsonPlus(R"("\u0073tatus":"success")"));
  ExpectJson("duplicate_field", JsonPlus(R"("t\u006fken":"x")"));
  ExpectForm("duplicate_field", FormPlus("%73tatus=success"));
  ExpectForm("duplicate_field", FormPlus("t%6fken=x"));
}

TEST(DuplicateField, InvoiceInfoInJsonOnly) {
  ExpectJson("duplicate_field", JsonPlus(R"("invoice_info":{})"));
  ExpectForm("verified", FormPlus("invoice_info=x&invoice_info=x"));
}

// A form repeats invoice_info once a key of the object that its sender flattened.
TEST(InvoiceInfo, OfAFormIsTheFirstThatIsJsonOrElseTheFirst) {
  const auto info = [](const std::string& pairs) {
    const Verification verification(FormPlus(pairs), kForm);
    return std::string(verification.postback.document.TextOf(*verification.postback.invoice_info));
  };
  EXPECT_EQ(info("invoice_info=a"), "uuid");
  EXPECT_EQ(info("invoice_info=%7B%22b%22:1%7D&invoice_info=c"), R"({"b":1})");
  EXPECT_EQ(info("invoice_info=%7B%22a%22:1%7D&invoice_info=%7B%22b%22:1%7D"), R"({"a":1})");
}

TEST(DuplicateField, NeverFurtherInOrOfAnotherName) {
  ExpectJson("verified", JsonWith("invoice_info", R"({"status":1,"status":2,"token":3,"token":4})"));
  ExpectJson("verified", JsonPlus(R"("x":1,"x":2,"Status":"x","status\u200b":"x")"));
  ExpectForm("verified", FormPlus("x=1&x=2&Status=x&+status=x"));
}

TEST(DuplicateField, ComesBeforeWhatItsValuesWouldSay) {
  ExpectJson("duplicate_field", R"({"invoice_id":1,"invoice_id":[]})");
  ExpectForm("duplicate_field", "status=&status=");
}

// --- missing_invoice_id ---

TEST(MissingInvoiceId, AbsentNullBlankOrNothingAfterItsPrefix) {
  ExpectJson("missing_invoice_id", "{}");
  ExpectJson("missing_invoice_id", JsonWithout("invoice_id"));
  ExpectJsonValue("missing_invoice_id", "invoice_id",
                  {"null", R"("")", R"(" ")", R"("\t\r\n ")", R"("INV-")", R"("INV- ")", R"("INV-\n")"});
  ExpectForm("missing_invoice_id", FormWithout("invoice_id"));
  ExpectFormValue("missing_invoice_id", "invoice_id", {"", "+", "%20%09%0D%0A", "INV-", "INV-+"});
}

TEST(MissingInvoiceId, NotForAnythingElse) {
  ExpectJsonValue("invoice_mismatch", "invoice_id", {R"("INV-INV-")", R"("-")", R"("inv-")", R"(" INV-")", "0"});
  ExpectFormValue("invoice_mismatch", "invoice_id", {"INV-INV-", "-", "inv-", "+INV-"});
}

TEST(MissingInvoiceId, ComesBeforeInvalidFields) {
  ExpectJson("missing_invoice_id", R"({"status":1,"currency":[]})");
  ExpectForm("missing_invoice_id", "status=&currency=%07");
}

// --- invalid_field ---

TEST(InvalidField, TheWrongJsonType) {
  for (const std::string_view name : {"status", "currency", "token"})
    ExpectJsonValue("invalid_field", name, {"1", "true", "false", "[]", "{}", R"(["x"])", "0.5"});
  for (const std::string_view name : {"invoice_id", "order_id"})
    ExpectJsonValue("invalid_field", name, {"true", "false", "[]", "{}", "1.0", "1.5", "1e3", "1E3", "1e400", "0e0", "-1.0"});
  ExpectJsonValue("invalid_field", "amount_crypto", {"true", "false", "[]", "{}", "[1]"});
}

TEST(InvalidField, AnIntegerNumberIsFineAsAnId) {
  ExpectJsonValue("verified", "order_id", {"0", "-0", "-1", "13", "123456789012345678901234567890"});
  ExpectJsonValue("invoice_mismatch", "invoice_id", {"0", "-1", "13", "123456789012345678901234567890"});
  EXPECT_EQ(Verification(JsonWith("order_id", "13"), kJson).postback.fields.order_id, "13");
}

TEST(InvalidField, StatusAndCurrencyAbsentNullOrEmpty) {
  for (const std::string_view name : {"status", "currency"}) {
    ExpectJson("invalid_field", JsonWithout(name));
    ExpectJsonValue("invalid_field", name, {"null", R"("")"});
    ExpectJsonValue("verified", name, {R"(" ")", R"("x")"});
    ExpectForm("invalid_field", FormWithout(name));
    ExpectFormValue("invalid_field", name, {""});
    ExpectFormValue("verified", name, {"+", "x"});
  }
}

TEST(InvalidField, Over255Characters) {
  for (const std::string_view name : {"status", "currency", "order_id"})
    for (const char* const letter : {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"})
      for (const std::size_t size : {254U, 255U, 256U}) {
        const std::string text = Repeat(letter, size);
        ExpectJson(size <= 255 ? "verified" : "invalid_field", JsonWith(name, Quoted(text)));
        ExpectForm(size <= 255 ? "verified" : "invalid_field", FormWith(name, text));
      }
  for (const std::size_t size : {254U, 255U, 256U}) {
    const std::string_view expected = size <= 255 ? "invoice_mismatch" : "invalid_field";
    ExpectJson(expected, JsonWith("invoice_id", Quoted(std::string(size, 'x'))));
    ExpectJson(expected, JsonWith("invoice_id", Quoted("INV-" + std::string(size - 4, 'x'))));
    ExpectJson(expected, JsonWith("invoice_id", std::string(size, '1')));
    ExpectForm(expected, FormWith("invoice_id", std::string(size, 'x')));
    const std::string_view amount = size <= 255 ? "verified" : "invalid_field";
    ExpectJson(amount, JsonWith("amount_crypto", "1." + std::string(size - 2, '0')));
    ExpectJson(amount, JsonWith("amount_crypto", Quoted(std::string(size - 1, ' ') + "1")));
    ExpectForm(amount, FormWith("amount_crypto", std::string(size - 1, '+') + "1"));
    ExpectJson(amount, JsonWith("order_id", std::string(size, '1')));
  }
}

TEST(InvalidField, EscapesCountAsTheCharactersTheyMean) {
  ExpectJson("verified", JsonWith("order_id", Quoted(Repeat(R"(\ud83d\ude00)", 255))));
  ExpectJson("invalid_field", JsonWith("order_id", Quoted(Repeat(R"(\ud83d\ude00)", 256))));
  ExpectForm("verified", FormWith("order_id", Repeat("%F0%9F%98%80", 255)));
  ExpectForm("invalid_field", FormWith("order_id", Repeat("%F0%9F%98%80", 256)));
}

TEST(InvalidField, ATokenOver4096Characters) {
  for (const std::size_t size : {4095U, 4096U, 4097U}) {
    const std::string_view expected = size <= 4096 ? "malformed_token" : "invalid_field";
    ExpectJson(expected, JsonWith("token", Quoted(std::string(size, 'x'))));
    ExpectForm(expected, FormWith("token", std::string(size, 'x')));
    ExpectJson(expected, JsonWith("token", "\"   " + std::string(size, 'x') + "\\n\""));
    ExpectForm(expected, FormWith("token", "+++" + std::string(size, 'x') + "%0A"));
    ExpectJson(expected, JsonWith("token", Quoted(Repeat("\xC3\xA9", size))));
  }
}

TEST(InvalidField, EveryControlCharacter) {
  for (unsigned code = 1; code < 0x200; ++code) {
    const bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", code);
    const std::string json = std::string("\"a") + escape + "b\"";
    char percent[16];
    if (code < 0x80)
      std::snprintf(percent, sizeof percent, "a%%%02Xb", code);
    else
      std::snprintf(percent, sizeof percent, "a%%%02X%%%02xb", 0xC0 | (code >> 6), 0x80 | (code & 0x3F));
    for (const std::string_view name : {"status", "currency", "order_id"}) {
      ExpectJson(is_control ? "invalid_field" : "verified", JsonWith(name, json));
      ExpectForm(is_control ? "invalid_field" : "verified", FormWith(name, percent));
    }
    ExpectJson(is_control ? "invalid_field" : "invoice_mismatch", JsonWith("invoice_id", json));
    ExpectForm(is_control ? "invalid_field" : "invoice_mismatch", FormWith("invoice_id", percent));
    ExpectJson(is_control ? "invalid_field" : "malformed_token", JsonWith("token", json));
    ExpectForm(is_control ? "invalid_field" : "malformed_token", FormWith("token", percent));
    ExpectJson(is_control ? "invalid_field" : "invalid_amount", JsonWith("amount_crypto", json));
    ExpectForm(is_control ? "invalid_field" : "invalid_amount", FormWith("amount_crypto", percent));
  }
}

TEST(InvalidField, ComesBeforeTheAmountAndTheToken) {
  ExpectJson("invalid_field", R"({"invoice_id":"x","status":"x","currency":"","amount_crypto":"x"})");
  ExpectForm("invalid_field", "invoice_id=x&status=x&currency=&amount_crypto=x");
}

// --- invalid_amount ---

TEST(InvalidAmount, AbsentOrNull) {
  ExpectJson("invalid_amount", JsonWithout("amount_crypto"));
  ExpectJsonValue("invalid_amount", "amount_crypto", {"null", R"("")", R"(" ")"});
  ExpectForm("invalid_amount", FormWithout("amount_crypto"));
  ExpectFormValue("invalid_amount", "amount_crypto", {"", "+"});
}

TEST(InvalidAmount, NoDecimalAsJsonSpellsThem) {
  for (const char* const text :
       {"x",  "NaN", "Infinity", "-Infinity", "1,5",   "0x10", "1e", "1e+",  ".5",       "5.",
        "01", "00",  "1 2",      "1_000",     "1.2.3", "--1",  "$1", "1BNB", "\xD9\xA1", "\xEF\xBC\x91"}) {
    ExpectJsonValue("invalid_amount", "amount_crypto", {Quoted(text)});
    ExpectFormValue("invalid_amount", "amount_crypto", {text});
  }
  ExpectFormValue("invalid_amount", "amount_crypto", {"%2B1", "1%2B", "1%2C5"});
}

TEST(InvalidAmount, BlanksAroundAreAllowed) {
  ExpectJsonValue("verified", "amount_crypto", {R"(" 1 ")", R"("   0.5")"});
  ExpectFormValue("verified", "amount_crypto", {"+1+", "%201"});
}

TEST(InvalidAmount, NegativeButForMinusZero) {
  ExpectJsonValue("invalid_amount", "amount_crypto", {"-1", "-0.000000000000000000000000000000000001", "-1e-400", R"("-1")"});
  ExpectJsonValue("verified", "amount_crypto",
                  {"0", "-0", "-0.0", "-0e5", R"("-0")", "0.0", "0e400", "0e-400", "0e99999999999999999999"});
  ExpectFormValue("invalid_amount", "amount_crypto", {"-1", "-1e-36"});
  ExpectFormValue("verified", "amount_crypto", {"0", "-0", "-0.0", "0e400"});
  EXPECT_FALSE(Verification(JsonWith("amount_crypto", "-0"), kJson).postback.fields.amount_crypto.negative);
}

TEST(InvalidAmount, Over38IntegerDigitsByValue) {
  const std::string nines(37, '9');
  for (const bool quoted : {false, true}) {
    const auto json = [&](const std::string& amount) { return JsonWith("amount_crypto", quoted ? Quoted(amount) : amount); };
    for (const std::string& amount :
         {nines, nines + "9", "1" + std::string(37, '0'), std::string("1e37"), std::string("0.1e38"), std::string("1000e34")}) {
      ExpectJson("verified", json(amount));
      ExpectForm("verified", FormWith("amount_crypto", amount));
    }
    for (const std::string& amount : {nines + "99", "1" + std::string(38, '0'), std::string("1e38"), std::string("0.1e39"),
                                      std::string("1e400"), std::string("1e99999999999999999999"), nines + "9.0e1"}) {
      ExpectJson("invalid_amount", json(amount));
      ExpectForm("invalid_amount", FormWith("amount_crypto", amount));
    }
  }
}

TEST(InvalidAmount, Over36DecimalsByValue) {
  const std::string threes(35, '3');
  for (const bool quoted : {false, true}) {
    const auto json = [&](const std::string& amount) { return JsonWith("amount_crypto", quoted ? Quoted(amount) : amount); };
    for (const std::string& amount :
         {"0." + threes, "0." + threes + "3", std::string("1e-36"), std::string("10e-37"),
          "0." + threes + "3" + std::string(100, '0'), "1." + std::string(200, '0'), std::string("12300e-38")}) {
      ExpectJson("verified", json(amount));
      ExpectForm("verified", FormWith("amount_crypto", amount));
    }
    for (const std::string& amount : {"0." + threes + "33", std::string("1e-37"), std::string("1e-400"),
                                      std::string("1e-99999999999999999999"), "0." + std::string(36, '0') + "1"}) {
      ExpectJson("invalid_amount", json(amount));
      ExpectForm("invalid_amount", FormWith("amount_crypto", amount));
    }
  }
}

TEST(InvalidAmount, ComesBeforeTheToken) {
  ExpectJson("invalid_amount", R"({"invoice_id":"x","status":"x","currency":"x","amount_crypto":"x"})");
  ExpectForm("invalid_amount", "invoice_id=x&status=x&currency=x&amount_crypto=x");
}

// --- missing_token and the token's own; token_test.cpp has the rest ---

TEST(MissingToken, AbsentNullOrBlank) {
  ExpectJson("missing_token", JsonWithout("token"));
  ExpectJsonValue("missing_token", "token", {"null", R"("")", R"(" ")", R"("\t\r\n")"});
  ExpectForm("missing_token", FormWithout("token"));
  ExpectFormValue("missing_token", "token", {"", "+", "%0A"});
}

TEST(MissingToken, IsNotSaidOfAnyOther) {
  ExpectJsonValue("malformed_token", "token", {R"("x")", R"(".")", R"("..")", R"("\u00a0")"});
  ExpectFormValue("malformed_token", "token", {"x", ".", "..", "%C2%A0"});
}

TEST(Postback, EveryReasonOfTheTokenComesThroughInBothFormats) {
  const std::pair<std::string_view, std::string> tokens[] = {
      {"malformed_token", HonestToken() + "."},
      {"unsupported_algorithm", Sign(R"({"alg":"none"})", kClaims)},
      {"bad_signature", Sign(kHeader, kClaims, "another secret")},
      {"invalid_claims", Sign(kHeader, "{}")},
      {"token_not_yet_valid", Sign(kHeader, R"({"exp":1769509700,"nbf":1769509401})")},
      {"token_expired", Sign(kHeader, R"({"exp":1769509400})")},
      {"invoice_mismatch", Sign(kHeader, R"({"exp":1769509401,"id":"OTHER"})")},
      {"verified", Sign(kHeader, R"({"exp":1769509401})")}};
  for (const auto& [expected, token] : tokens) {
    ExpectJsonValue(expected, "token", {Quoted(token)});
    ExpectFormValue(expected, "token", {token});
  }
}

}  // namespace
}  // namespace cc::test
