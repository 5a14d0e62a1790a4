// Every case of test/vectors (format: its README) through the core: the reason and the six fields. test/sql/vectors.sql runs them
// through SQL, and also compares claims and payload.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/postback.hpp"
#include "support.hpp"

namespace cc::test {
namespace {

// Some vectors expect numbers that no double holds.
using json = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t, std::uint64_t, long double>;

struct Vector {
  std::string suite;
  json value;
};

void PrintTo(const Vector& vector, std::ostream* out) { *out << vector.suite << ": " << vector.value["name"]; }

std::vector<Vector> Read(std::string_view suite) {
  std::vector<Vector> vectors;
  std::ifstream file(VECTORS "/" + std::string(suite) + ".jsonl");
  for (std::string line; std::getline(file, line);) {
    Vector vector{std::string(suite), json::parse(line)};
    // The core does not see this error of the caller (no secret): src/pg raises it before.
    if (!vector.value["expect"].contains("error")) vectors.push_back(std::move(vector));
  }
  if (vectors.empty()) throw std::runtime_error("no vectors in " + std::string(suite));
  return vectors;
}

// GoogleTest allows only letters and digits.
std::string NameOf(const testing::TestParamInfo<Vector>& info) {
  std::string name;
  for (const char c : info.param.value["name"].get<std::string>()) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name + "_" + std::to_string(info.index);
}

std::string DecodeBase64(const std::string& text) {
  std::string bytes(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  EXPECT_GE(size, 0);
  const auto padding = static_cast<std::size_t>(std::count(text.begin(), text.end(), '='));
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

std::string TextOr(const json& value, std::string_view otherwise) {
  return value.is_string() ? value.get<std::string>() : std::string(otherwise);
}

// "2026-01-27T10:23:20Z", with or without a fraction.
std::int64_t Microseconds(const std::string& time) {
  std::tm parts{};
  const char* const rest = strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  EXPECT_NE(rest, nullptr) << time;
  return timegm(&parts) * kMicroseconds + std::llround(std::strtod(*rest == '.' ? rest : "0", nullptr) * 1e6);
}

// Two decimals are equal if the digits and the place of the first one are equal, ignoring zeros at both ends.
std::string Canonical(const Decimal& decimal) {
  std::string digits = std::string(decimal.integer_text) + std::string(decimal.fraction_text);
  std::int64_t exponent = decimal.exponent;
  while (!digits.empty() && digits.back() == '0') {
    digits.pop_back();
    ++exponent;
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) return "0";
  return (decimal.negative ? "-" : "") + digits + "e" + std::to_string(exponent);
}

class VectorTest : public testing::TestWithParam<Vector> {};

TEST_P(VectorTest, HasTheVerdictThatItSays) {
  const json& vector = GetParam().value;
  const json& expect = vector["expect"];
  const std::string body = vector.contains("body") ? vector["body"].get<std::string>() : DecodeBase64(vector["body_b64"]);
  const std::string type = TextOr(vector["content_type"], ""), secret = vector["secret"];
  const Clock clock{.at = Microseconds(vector["at"]), .leeway = std::stoll(vector["leeway"].get<std::string>()) * kMicroseconds};

  const ExactText text(body);
  const ExactWorkspace room = ExactWorkspace::ForBody(body.size() > kMaxBodySize ? 0 : body.size());
  const Postback postback = ReadPostback({.body = text.view(), .is_utf8 = false, .content_type = type}, room.get());
  if (postback.document.count > 0) {
    ASSERT_TRUE(IsTree(postback.document, TextCapacity(body.size())));
  }
  Reason reason = postback.reason;
  TokenVerdict verdict;
  const ExactWorkspace token_room = ExactWorkspace::ForJson(postback.fields.token.size());
  if (reason == Reason::kVerified) {
    HmacSha256 hmac;
    const std::string_view secrets[] = {secret};
    verdict = VerifyToken(postback, secrets, clock, hmac, token_room.get());
    ASSERT_FALSE(verdict.crypto_failed);
    reason = verdict.reason;
  }

  const std::string got = reason == Reason::kVerified ? "verified" : ReasonWord(reason);
  if (expect["reason"] != "any") {
    EXPECT_EQ(got, TextOr(expect["reason"], "verified")) << vector["why"];
  }
  if (expect["verified"] != "any") {
    EXPECT_EQ(reason == Reason::kVerified, expect["verified"].get<bool>());
  }
  if (reason != Reason::kVerified) return;

  const Fields& fields = postback.fields;
  const json& expected = expect["fields"];
  for (const auto& [name, text] : {std::pair{"status", fields.status},
                                   {"invoice_id", fields.invoice_id},
                                   {"currency", fields.currency},
                                   {"order_id", fields.order_id}})
    if (expected.contains(name)) {
      EXPECT_EQ(text, TextOr(expected[name], "")) << name;
    }
  if (expected.contains("token_expires_at")) {
    EXPECT_EQ(static_cast<std::int64_t>(verdict.times.expires_at), Microseconds(expected["token_expires_at"]));
  }
  if (expected.contains("amount_crypto")) {
    Decimal amount;
    ASSERT_TRUE(ParseDecimal(expected["amount_crypto"].get_ref<const std::string&>(), amount));
    EXPECT_EQ(Canonical(fields.amount_crypto), Canonical(amount));
  }
}

INSTANTIATE_TEST_SUITE_P(Documentation, VectorTest, testing::ValuesIn(Read("documentation")), NameOf);
INSTANTIATE_TEST_SUITE_P(Wire, VectorTest, testing::ValuesIn(Read("wire")), NameOf);
INSTANTIATE_TEST_SUITE_P(Rfc, VectorTest, testing::ValuesIn(Read("rfc")), NameOf);
INSTANTIATE_TEST_SUITE_P(Wycheproof, VectorTest, testing::ValuesIn(Read("wycheproof")), NameOf);
INSTANTIATE_TEST_SUITE_P(JsonSuite, VectorTest, testing::ValuesIn(Read("json_suite")), NameOf);

}  // namespace
}  // namespace cc::test
