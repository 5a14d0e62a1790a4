// The rules of the contract, each in one place: what counts once, when an invoice is paid, which postback is newer, and what
// contradicts the invoice. src/pg collects the facts and carries out the decision.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/reason.hpp"

namespace cc {

// --- What counts once ---

/// The row that spent a token: the first verified row with that token.
struct TokenSpender {
  State state;
  Reason reason;      ///< of a rejected row
  bool same_content;  ///< as the new row, except for the token
};

/// The decision about a row before it is applied. `kApplied` means that its content is new, so apply it.
struct Decision {
  State state;
  Reason reason = Reason::kVerified;
  friend constexpr bool operator==(const Decision&, const Decision&) = default;
};
inline constexpr Decision kNewContent{State::kApplied};

/// Decides about a row whose token another row spent. The same message is a duplicate, or is rejected again for the same reason.
/// Other content under a spent token is never applied.
constexpr Decision DecideByToken(const TokenSpender& spender) noexcept {
  if (!spender.same_content) return {State::kRejected, Reason::kTokenReused};
  if (spender.state == State::kRejected) return {State::kRejected, spender.reason};
  return {State::kDuplicate};
}

/// Returns the decision about a row that has failed. It spent its token, or else a person accepted it although another postback
/// had spent it. Then a person decides again.
constexpr Decision AfterFailure(Decision decision) noexcept {
  return decision == Decision{State::kRejected, Reason::kTokenReused} ? Decision{State::kConflict} : decision;
}

/// Returns true if the same content under a new token is a duplicate of a row in this state. For a failed row it is another
/// attempt.
constexpr bool MakesDuplicates(State state) noexcept {
  return state == State::kApplied || state == State::kPending || state == State::kConflict;
}

/// Returns true for a postback without order_id in a project that requires one. A test payment passes, because the service checks
/// the URL with one.
constexpr bool IsOrderIdMissing(bool is_required, bool has_order_id, bool is_test) noexcept {
  return is_required && !has_order_id && !is_test;
}

/// Returns the state of a row after an error while it was settled. A cancel or timeout (57014), a lock timeout (55P03) and a
/// deadlock (40P01) are temporary, so the row stays pending. The merchant must fix all other errors.
constexpr State StateAfterError(std::string_view sqlstate) noexcept {
  return sqlstate == "57014" || sqlstate == "55P03" || sqlstate == "40P01" ? State::kPending : State::kFailed;
}

// --- What is decided again ---

/// Returns true for a row that a person may accept: a conflict, or a postback whose token another postback (perhaps a thief's)
/// had spent.
constexpr bool IsAcceptable(State state, Reason reason) noexcept {
  return state == State::kConflict || (state == State::kRejected && reason == Reason::kTokenReused);
}

/// Returns true if today's secrets, settings and clock can change the outcome. A fault of the body itself stays.
constexpr bool IsJudgedAgain(Reason reason) noexcept {
  return reason == Reason::kBadSignature || reason == Reason::kTokenExpired || reason == Reason::kTokenNotYetValid ||
         reason == Reason::kUnknownProject || reason == Reason::kMissingOrderId;
}

// --- When an invoice is paid ---

/// The status of a payment, by a postback or an invoice. Empty: unknown.
struct PaymentStatus {
  std::string_view status;
  std::string_view invoice_status;
  std::string_view payment_status;
};

/// Returns true if a postback says paid: `status` is success, invoice_info.invoice_status is success or absent
/// (`confirms_success`), and it is not a test payment, unless the project accepts those.
constexpr bool IsPaid(std::string_view status, bool confirms_success, bool is_test, bool accept_test_payments) noexcept {
  return status == "success" && confirms_success && (accept_test_payments || !is_test);
}

/// Returns the rank of a status. Of two postbacks whose tokens have the same exp, the higher rank counts.
constexpr int RankOf(const PaymentStatus& said) noexcept {
  if (said.status == "success" && (said.invoice_status.empty() || said.invoice_status == "success")) return 4;
  if (said.payment_status == "paid" || said.payment_status == "overpaid") return 3;
  if (said.payment_status == "canceled" || said.invoice_status == "canceled") return 2;
  if (said.payment_status == "partial") return 1;
  return 0;
}

/// Compares by the exp of the token, then by rank.
constexpr bool IsNewer(std::int64_t expires_at, int rank, std::int64_t known_expires_at, int known_rank) noexcept {
  return expires_at > known_expires_at || (expires_at == known_expires_at && rank >= known_rank);
}

// An answer of the service's API has no token and so no exp. It tells the state at the time of its import, so the times of
// receipt decide: it is newer than every postback received before it, and older than every postback received after it. But an
// answer to `create` can be imported late. So an answer that says no more than created undoes nothing: it is newer only than a
// status that says no more either.

/// Compares an answer of the API with the invoice.
constexpr bool IsAnswerNewer(int rank, int known_rank) noexcept { return rank > 0 || known_rank == 0; }

/// Compares a postback with an answer of the API that was newer than all before it.
constexpr bool IsNewerThanAnswer(std::int64_t received_at, std::int64_t imported_at) noexcept {
  return received_at >= imported_at;
}

/// Returns the field status of a postback that matches the status of an answer of the API. For paid and overpaid, invoice_status
/// may be absent, as in a postback. A partial payment counts only if invoice_status says success.
constexpr std::string_view StatusOfAnswer(std::string_view status, bool confirms_success, bool has_invoice_status) noexcept {
  const bool may_be_success = status == "paid" || status == "overpaid" || (status == "partial" && has_invoice_status);
  return may_be_success && confirms_success ? "success" : status;
}

/// Returns invoice.payment, by amount_paid compared with amount_to_pay (negative: less).
constexpr const char* PaymentWord(int paid_compared_with_to_pay) noexcept {
  return paid_compared_with_to_pay < 0 ? "under" : paid_compared_with_to_pay > 0 ? "over" : "exact";
}

// --- What contradicts the invoice ---

enum class Contradiction : std::uint8_t { kNone, kOrderId, kCurrency, kAmount, kAmountToPay, kAmountToPayUsd };

/// Finds a contradiction. Another order contradicts at any time, another currency and a smaller amount only once the invoice is
/// paid.
constexpr Contradiction FindContradiction(bool is_paid, bool other_order_id, bool other_currency, bool smaller_amount) noexcept {
  if (other_order_id) return Contradiction::kOrderId;
  if (is_paid && other_currency) return Contradiction::kCurrency;
  if (is_paid && smaller_amount) return Contradiction::kAmount;
  return Contradiction::kNone;
}

/// The comparison of two values.
enum class Agreement : std::uint8_t { kUnknown, kSame, kOther };  ///< kUnknown: at least one is unknown

/// Compares the amount to pay with the amount that the service's API said, whichever came first. A postback's amounts are not
/// signed, but the API's came over TLS. A smaller payment is no contradiction. If the customer chose another coin, amount_to_pay
/// may differ as long as the amount in USD is the same.
constexpr Contradiction FindOtherPrice(bool other_currency, Agreement to_pay, Agreement to_pay_usd) noexcept {
  if (to_pay == Agreement::kOther && !(other_currency && to_pay_usd == Agreement::kSame)) return Contradiction::kAmountToPay;
  if (to_pay_usd == Agreement::kOther) return Contradiction::kAmountToPayUsd;
  return Contradiction::kNone;
}

// --- What is erased ---

/// Returns true if a row keeps its body. A body for an erased invoice is needed only until it is settled. The body of a rejected
/// row stays for cc_accept() and cc_reverify(), until cc_purge() deletes it.
constexpr bool KeepsBody(State state, bool is_erased) noexcept {
  return !is_erased || (state != State::kApplied && state != State::kDuplicate);
}

// --- How a postback, or an answer of the API, changes a known invoice ---

/// Groups of columns that change together.
enum class ColumnGroup : std::uint8_t {
  kKey,          ///< project, invoice_id: never
  kOrder,        ///< order_id: once, when it becomes known
  kStatus,       ///< the progress of the payment
  kMoney,        ///< amounts and currency
  kDetail,       ///< the other members of invoice_info
  kPersonal,     ///< as kDetail, until cc_erase() erases it
  kOwn,          ///< values of the pipeline itself: times, paid_at, payment
  kExpected,     ///< the amount to pay in the coin: no postback changes it once the API told it
  kExpectedUsd,  ///< the same in USD, whatever the coin
};

/// What happens to a column.
enum class Merge : std::uint8_t {
  kKeep,     ///< the known value
  kFill,     ///< fill in the new value if there was none
  kReplace,  ///< the new value, if there is one
  kTake,     ///< the new value, or NULL if there is none
};

/// A verified postback, or an answer of the API, compared with its invoice. It does not contradict the invoice, or a person
/// accepted it.
struct Update {
  bool is_newer;              ///< than everything known of the invoice
  bool is_newer_amount;       ///< than the postback that gave the invoice's amounts
  bool is_paid;               ///< the invoice was paid before
  bool says_paid;             ///< the postback says paid
  bool same_amount;           ///< amount_crypto and currency equal those of the invoice
  bool is_accepted;           ///< a person accepted it, whatever it contradicts
  bool from_api = false;      ///< it is an answer of the API
  bool is_expected = false;   ///< an answer of the API came before
  bool same_currency = true;  ///< as the invoice
  bool is_erased = false;     ///< by cc_erase()
};

/// Returns what happens to a group of columns. A paid invoice has the amounts of a postback that says paid: the postback that set
/// paid_at, or a newer one. A form never blanks values from JSON, and an older postback undoes nothing. A newer postback that
/// does not say paid changes only the status, also if a person accepted it. Otherwise the invoice follows an accepted postback.
/// Erased values stay erased.
constexpr Merge MergeOf(ColumnGroup group, const Update& update) noexcept {
  const bool sets_paid_at = update.says_paid && !update.is_paid;
  const bool is_followed = update.is_accepted && (update.says_paid || !update.is_paid);
  switch (group) {
    case ColumnGroup::kKey:
    case ColumnGroup::kOwn: return Merge::kKeep;
    case ColumnGroup::kOrder: return update.is_accepted ? Merge::kReplace : Merge::kFill;
    case ColumnGroup::kStatus: return update.is_newer || update.is_accepted ? Merge::kReplace : Merge::kFill;
    case ColumnGroup::kMoney:
      if (is_followed) return update.same_amount ? Merge::kReplace : Merge::kTake;
      if (sets_paid_at) return Merge::kTake;
      if (!update.is_paid) return update.is_newer ? Merge::kReplace : Merge::kFill;
      if (!update.says_paid) return Merge::kKeep;
      return update.is_newer_amount ? Merge::kReplace : update.same_amount ? Merge::kFill : Merge::kKeep;
    case ColumnGroup::kPersonal:
      if (update.is_erased) return Merge::kKeep;
      [[fallthrough]];
    case ColumnGroup::kDetail:
      if (is_followed) return Merge::kReplace;
      if (update.is_paid && update.is_newer && !update.says_paid) return Merge::kKeep;
      return update.is_newer ? Merge::kReplace : Merge::kFill;
    case ColumnGroup::kExpected:
      if (!update.same_currency) return MergeOf(ColumnGroup::kMoney, update);  // the amount belongs to its coin
      [[fallthrough]];
    case ColumnGroup::kExpectedUsd:
      if (update.from_api || is_followed) return Merge::kReplace;
      return update.is_expected ? Merge::kFill : MergeOf(ColumnGroup::kMoney, update);
  }
  return Merge::kKeep;
}

}  // namespace cc
