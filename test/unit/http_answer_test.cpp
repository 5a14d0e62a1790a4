// What a proxy sends back. The status of each reason stands in README.md, and test/t/readme.pl compares.
#include "core/http_answer.hpp"

#include <gtest/gtest.h>

#include "core/reason.hpp"

namespace {

using cc::HttpAnswerFor;

TEST(HttpAnswer, IsSuccessForWhateverIsSafe) {
  for (const char* state : {"applied", "duplicate", "conflict", "pending", "failed"}) {
    EXPECT_EQ(HttpAnswerFor(state, "").status, 200) << state;
    EXPECT_EQ(HttpAnswerFor(state, "").words, "Postback received") << state;
  }
}

TEST(HttpAnswer, SaysWhatIsWrongWithABody) {
  EXPECT_EQ(HttpAnswerFor("rejected", "invalid_json").status, 400);
  EXPECT_EQ(HttpAnswerFor("rejected", "invalid_json").words, "Invalid JSON");
  EXPECT_EQ(HttpAnswerFor("rejected", "missing_order_id").words, "Missing invoice_id or order_id");
}

TEST(HttpAnswer, DoesNotSayWhatIsWrongWithAToken) {
  for (auto reason = static_cast<int>(cc::Reason::kMissingToken); reason <= static_cast<int>(cc::Reason::kInvoiceMismatch); ++reason) {
    const char* const name = cc::ReasonWord(static_cast<cc::Reason>(reason));
    EXPECT_EQ(HttpAnswerFor("rejected", name).status, 401) << name;
    EXPECT_EQ(HttpAnswerFor("rejected", name).words, "Invalid token") << name;
  }
}

TEST(HttpAnswer, TakesAnUnknownReasonForTheTokens) { EXPECT_EQ(HttpAnswerFor("rejected", "").status, 401); }

TEST(HttpAnswer, NeedsNoEscapingInJson) {
  for (const char* reason : {"empty_body", "body_too_large", "unsupported_content_type", "invalid_json", "invalid_form", "duplicate_field",
                             "missing_invoice_id", "missing_order_id", "invalid_field", "invalid_amount", "token_reused",
                             "unknown_project", "bad_signature"})
    for (const char c : HttpAnswerFor("rejected", reason).words) EXPECT_TRUE(c >= ' ' && c <= '~' && c != '"' && c != '\\') << reason;
}

}  // namespace
