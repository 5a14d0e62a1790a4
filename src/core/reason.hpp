// The outcome of a postback: its state, the reason of a rejection, and the HTTP answer, each in one table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace cc {

/// Why a postback is rejected, in order of precedence up to kInvoiceMismatch. The inbox adds the last three: kUnknownProject
/// precedes all others; kTokenReused, and then kMissingOrderId, come after all others.
enum class Reason : std::uint8_t {
  kVerified,
  kEmptyBody,
  kBodyTooLarge,
  kUnsupportedContentType,
  kInvalidJson,
  kInvalidForm,
  kDuplicateField,
  kMissingInvoiceId,
  kInvalidField,
  kInvalidAmount,
  kMissingToken,
  kMalformedToken,
  kUnsupportedAlgorithm,
  kBadSignature,
  kInvalidClaims,
  kTokenNotYetValid,
  kTokenExpired,
  kInvoiceMismatch,
  kMissingOrderId,
  kTokenReused,
  kUnknownProject,
  kCount
};

/// `message` is for outsiders: short, ASCII, without a character that JSON escapes. It never names the fault of a token.
struct HttpAnswer {
  int status;
  std::string_view message;
};

struct ReasonEntry {
  Reason reason;
  const char* word;  ///< in SQL; nullptr for kVerified
  HttpAnswer answer;
};

inline constexpr HttpAnswer kReceivedAnswer{200, "Postback received"};
inline constexpr HttpAnswer kTokenAnswer{401, "Invalid token"};

inline constexpr auto kReasons = std::to_array<ReasonEntry>({
    {Reason::kVerified, nullptr, kReceivedAnswer},
    {Reason::kEmptyBody, "empty_body", {400, "Empty body"}},
    {Reason::kBodyTooLarge, "body_too_large", {413, "Body too large"}},
    {Reason::kUnsupportedContentType, "unsupported_content_type", {415, "Unsupported content type"}},
    {Reason::kInvalidJson, "invalid_json", {400, "Invalid JSON"}},
    {Reason::kInvalidForm, "invalid_form", {400, "Invalid form"}},
    {Reason::kDuplicateField, "duplicate_field", {400, "Duplicate field"}},
    {Reason::kMissingInvoiceId, "missing_invoice_id", {400, "Missing invoice_id or order_id"}},
    {Reason::kInvalidField, "invalid_field", {400, "Invalid field"}},
    {Reason::kInvalidAmount, "invalid_amount", {400, "Invalid amount"}},
    {Reason::kMissingToken, "missing_token", kTokenAnswer},
    {Reason::kMalformedToken, "malformed_token", kTokenAnswer},
    {Reason::kUnsupportedAlgorithm, "unsupported_algorithm", kTokenAnswer},
    {Reason::kBadSignature, "bad_signature", kTokenAnswer},
    {Reason::kInvalidClaims, "invalid_claims", kTokenAnswer},
    {Reason::kTokenNotYetValid, "token_not_yet_valid", kTokenAnswer},
    {Reason::kTokenExpired, "token_expired", kTokenAnswer},
    {Reason::kInvoiceMismatch, "invoice_mismatch", kTokenAnswer},
    {Reason::kMissingOrderId, "missing_order_id", {400, "Missing invoice_id or order_id"}},
    {Reason::kTokenReused, "token_reused", {409, "Token already used"}},
    {Reason::kUnknownProject, "unknown_project", {404, "Unknown project"}},
});

/// Returns true if the table has each reason once, in the order of the enumeration, so that a reason can be the index.
constexpr bool ListsEachReason() noexcept {
  for (std::size_t i = 0; i < kReasons.size(); ++i)
    if (kReasons[i].reason != static_cast<Reason>(i)) return false;
  return kReasons.size() == static_cast<std::size_t>(Reason::kCount);
}
static_assert(ListsEachReason());

/// Returns the SQL word of a reason, such as "bad_signature"; nullptr for kVerified.
constexpr const char* ReasonWord(Reason reason) noexcept { return kReasons[static_cast<std::size_t>(reason)].word; }

/// Returns the reason of a word; kVerified for any other text.
constexpr Reason ReasonFrom(std::string_view word) noexcept {
  for (const ReasonEntry& entry : kReasons)
    if (entry.word != nullptr && word == entry.word) return entry.reason;
  return Reason::kVerified;
}

/// The state of a row of cc_inbox.
enum class State : std::uint8_t { kRejected, kPending, kApplied, kDuplicate, kConflict, kFailed, kCount };

inline constexpr std::array<const char*, static_cast<std::size_t>(State::kCount)> kStateWords{"rejected",  "pending",  "applied",
                                                                                              "duplicate", "conflict", "failed"};

constexpr const char* StateWord(State state) noexcept { return kStateWords[static_cast<std::size_t>(state)]; }

/// Returns the state of a word; nothing for any other text.
constexpr std::optional<State> StateFrom(std::string_view word) noexcept {
  for (std::size_t i = 0; i < kStateWords.size(); ++i)
    if (word == kStateWords[i]) return static_cast<State>(i);
  return std::nullopt;
}

/// Returns the HTTP answer for a row of cc_inbox: 200 unless it is rejected, because the postback is safe in the database. An
/// unknown reason is answered like a bad token.
constexpr HttpAnswer HttpAnswerFor(std::string_view state, std::string_view reason) noexcept {
  if (StateFrom(state) != State::kRejected) return kReceivedAnswer;
  const Reason known = ReasonFrom(reason);
  return known == Reason::kVerified ? kTokenAnswer : kReasons[static_cast<std::size_t>(known)].answer;
}

}  // namespace cc
