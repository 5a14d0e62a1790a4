// Reasons, states and HTTP answers. README.md lists the status of each reason, and test/t/readme.pl compares.
#include "core/reason.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace cc {
namespace {

TEST(Reason, HasTheContractsWordsInItsOrder) {
  const char* const words[] = {"empty_body",         "body_too_large",   "unsupported_content_type",
                               "invalid_json",       "invalid_form",     "duplicate_field",
                               "missing_invoice_id", "invalid_field",    "invalid_amount",
                               "missing_token",      "malformed_token",  "unsupported_algorithm",
                               "bad_signature",      "invalid_claims",   "token_not_yet_valid",
                               "token_expired",      "invoice_mismatch", "missing_order_id",
                               "token_reused",       "unknown_project"};
  EXPECT_EQ(ReasonWord(Reason::kVerified), nullptr);
  int reason = 1;
  for (const char* const word : words) EXPECT_STREQ(ReasonWord(static_cast<Reason>(reason++)), word);
  EXPECT_EQ(static_cast<int>(Reason::kCount), reason);
}

TEST(Reason, IsFoundByItsWord) {
  std::set<std::string> words;
  for (const ReasonEntry& entry : kReasons) {
    if (entry.word == nullptr) continue;
    EXPECT_EQ(ReasonFrom(entry.word), entry.reason);
    EXPECT_TRUE(words.insert(entry.word).second) << entry.word << " stands twice";
  }
  EXPECT_EQ(ReasonFrom("nonsense"), Reason::kVerified);
}

TEST(State, IsFoundByItsWord) {
  for (const char* const word : {"rejected", "pending", "applied", "duplicate", "conflict", "failed"}) {
    ASSERT_TRUE(StateFrom(word).has_value()) << word;
    EXPECT_STREQ(StateWord(*StateFrom(word)), word);
  }
  EXPECT_FALSE(StateFrom("").has_value());
  EXPECT_FALSE(StateFrom("Applied").has_value());
}

TEST(HttpAnswer, IsSuccessForWhateverIsSafe) {
  for (const char* state : {"applied", "duplicate", "conflict", "pending", "failed"}) {
    EXPECT_EQ(HttpAnswerFor(state, "").status, 200) << state;
    EXPECT_EQ(HttpAnswerFor(state, "").message, "Postback received") << state;
  }
}

TEST(HttpAnswer, SaysWhatIsWrongWithABody) {
  EXPECT_EQ(HttpAnswerFor("rejected", "invalid_json").status, 400);
  EXPECT_EQ(HttpAnswerFor("rejected", "invalid_json").message, "Invalid JSON");
  EXPECT_EQ(HttpAnswerFor("rejected", "missing_order_id").message, "Missing invoice_id or order_id");
}

TEST(HttpAnswer, DoesNotSayWhatIsWrongWithAToken) {
  for (auto reason = static_cast<int>(Reason::kMissingToken); reason <= static_cast<int>(Reason::kInvoiceMismatch); ++reason) {
    const char* const name = ReasonWord(static_cast<Reason>(reason));
    EXPECT_EQ(HttpAnswerFor("rejected", name).status, 401) << name;
    EXPECT_EQ(HttpAnswerFor("rejected", name).message, "Invalid token") << name;
  }
}

TEST(HttpAnswer, TakesAnUnknownReasonForTheTokens) { EXPECT_EQ(HttpAnswerFor("rejected", "").status, 401); }

TEST(HttpAnswer, NeedsNoEscapingInJson) {
  for (const ReasonEntry& entry : kReasons)
    for (const char c : entry.answer.message) EXPECT_TRUE(c >= ' ' && c <= '~' && c != '"' && c != '\\') << entry.answer.message;
}

}  // namespace
}  // namespace cc
