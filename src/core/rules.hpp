// The rules of the contract: what counts once, when an invoice is paid, which postback is newer, what contradicts what is known.
// Each stands here once. src/pg brings the facts and carries out the decision.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/reason.hpp"

namespace cc {

// --- What counts once ---

/// The row that spent a token: the first verified row that carried it.
struct TokenSpender {
  State state;
  Reason reason;      ///< of a rejected one
  bool same_content;  ///< as the new row, but for the token
};

/// The outcome of a row before anything is applied. `kApplied` means that it is new: apply it.
struct Decision {
  State state;
  Reason reason = Reason::kVerified;
  friend constexpr bool operator==(const Decision&, const Decision&) = default;
};
inline constexpr Decision kNewContent{State::kApplied};

/// A token was spent by another row. The same message again is a duplicate, or rejected again for the same reason; other content
/// under a spent token is never applied.
constexpr Decision DecideByToken(const TokenSpender& spender) noexcept {
  if (!spender.same_content) return {State::kRejected, Reason::kTokenReused};
  if (spender.state == State::kRejected) return {State::kRejected, spender.reason};
  return {State::kDuplicate};
}

/// True for a row whose content makes the same content under a new token a duplicate. A failed row does not: a resend of it is
/// another attempt.
constexpr bool MakesDuplicates(State state) noexcept {
  return state == State::kApplied || state == State::kPending || state == State::kConflict;
}

/// A postback without order_id, of a project that requires one. A test payment passes: the service checks the URL with one.
constexpr bool IsOrderIdMissing(bool is_required, bool has_order_id, bool is_test) noexcept {
  return is_required && !has_order_id && !is_test;
}

/// The state after an error while a row was settled. A cancel or timeout (57014), a lock timeout (55P03) and a deadlock (40P01)
/// pass by themselves: the row waits. All else is the merchant's to fix.
constexpr State StateAfterError(std::string_view sqlstate) noexcept {
  return sqlstate == "57014" || sqlstate == "55P03" || sqlstate == "40P01" ? State::kPending : State::kFailed;
}

// --- When an invoice is paid ---

/// What a postback, or an invoice, says of the payment. Empty: unknown.
struct PaymentStatus {
  std::string_view status;
  std::string_view invoice_status;
  std::string_view payment_status;
};

/// A postback says paid: `status` is success, invoice_info.invoice_status is success or absent (`confirms_success`), and it is no
/// test payment, unless the project accepts those.
constexpr bool IsPaid(std::string_view status, bool confirms_success, bool is_test, bool accept_test_payments) noexcept {
  return status == "success" && confirms_success && (accept_test_payments || !is_test);
}

/// The rank of a state, which decides between two postbacks whose tokens have the same exp: the further one counts.
constexpr int RankOf(const PaymentStatus& said) noexcept {
  if (said.status == "success" && (said.invoice_status.empty() || said.invoice_status == "success")) return 4;
  if (said.payment_status == "paid" || said.payment_status == "overpaid") return 3;
  if (said.payment_status == "canceled" || said.invoice_status == "canceled") return 2;
  if (said.payment_status == "partial") return 1;
  return 0;
}

/// By the exp of the token, then by rank.
constexpr bool IsNewer(std::int64_t expires_at, int rank, std::int64_t known_expires_at, int known_rank) noexcept {
  return expires_at > known_expires_at || (expires_at == known_expires_at && rank >= known_rank);
}

// An answer of the service's API has no token, and so no exp. It tells the state as of its import. So the times of receipt
// decide: it is newer than every postback received before it, and older than every one received after it. But an answer to
// `create` can be imported late. So one that says no more than created undoes nothing: it is newer only than what says no more
// either.

/// An answer of the API beside what is known.
constexpr bool IsAnswerNewer(int rank, int known_rank) noexcept { return rank > 0 || known_rank == 0; }

/// A postback beside an answer of the API that was newer than all before it.
constexpr bool IsNewerThanAnswer(std::int64_t received_at, std::int64_t imported_at) noexcept {
  return received_at >= imported_at;
}

/// The word that a postback would have as its field status, for the status of an answer of the API. Of paid and overpaid
/// invoice_status may be absent, as in a postback; a partial payment counts only where invoice_status says success.
constexpr std::string_view StatusOfAnswer(std::string_view status, bool confirms_success, bool has_invoice_status) noexcept {
  const bool may_be_success = status == "paid" || status == "overpaid" || (status == "partial" && has_invoice_status);
  return may_be_success && confirms_success ? "success" : status;
}

/// invoice.payment: amount_paid compared with amount_to_pay (negative: less).
constexpr const char* PaymentWord(int paid_compared_with_to_pay) noexcept {
  return paid_compared_with_to_pay < 0 ? "under" : paid_compared_with_to_pay > 0 ? "over" : "exact";
}

// --- What contradicts what is known ---

enum class Contradiction : std::uint8_t { kNone, kOrderId, kCurrency, kAmount, kAmountToPay, kAmountToPayUsd };

/// Another order contradicts at any time; another currency and a smaller amount do so once the invoice is paid.
constexpr Contradiction FindContradiction(bool is_paid, bool other_order_id, bool other_currency, bool smaller_amount) noexcept {
  if (other_order_id) return Contradiction::kOrderId;
  if (is_paid && other_currency) return Contradiction::kCurrency;
  if (is_paid && smaller_amount) return Contradiction::kAmount;
  return Contradiction::kNone;
}

/// Two values beside each other.
enum class Agreement : std::uint8_t { kUnknown, kSame, kOther };  ///< kUnknown: at least one is not known

/// What is to be paid contradicts what the service's API says of it, whichever came first: in a postback the amount is not
/// signed, from the API it came over TLS. A payment of less is no contradiction. Where the customer chose another coin,
/// amount_to_pay is another one, and no contradiction if the amount in USD is the same.
constexpr Contradiction FindOtherPrice(bool other_currency, Agreement to_pay, Agreement to_pay_usd) noexcept {
  if (to_pay == Agreement::kOther && !(other_currency && to_pay_usd == Agreement::kSame)) return Contradiction::kAmountToPay;
  if (to_pay_usd == Agreement::kOther) return Contradiction::kAmountToPayUsd;
  return Contradiction::kNone;
}

// --- What is erased ---

/// A body that comes for an erased invoice is kept until it is settled: then nobody needs it any more. One that is rejected stays
/// for cc_accept() and cc_reverify(), until cc_purge() takes it.
constexpr bool KeepsBody(State state, bool is_erased) noexcept {
  return !is_erased || (state != State::kApplied && state != State::kDuplicate);
}

// --- How a postback, or an answer of the API, changes a known invoice ---

/// How the columns of an invoice change together.
enum class ColumnGroup : std::uint8_t {
  kKey,          ///< project, invoice_id: never
  kOrder,        ///< order_id: once, when it becomes known
  kStatus,       ///< what the service says of the payment's progress
  kMoney,        ///< amounts and currency
  kDetail,       ///< the rest of what the service says
  kPersonal,     ///< as kDetail, until cc_erase() takes it away for good
  kOwn,          ///< what the pipeline itself keeps: times, paid_at, payment
  kExpected,     ///< what is to be paid, in the coin: no postback changes it once the API told it
  kExpectedUsd,  ///< the same in USD, whatever the coin
};

/// What becomes of a column.
enum class Merge : std::uint8_t {
  kKeep,     ///< the known value
  kFill,     ///< the known value, or the given one where none is known
  kReplace,  ///< the given value, or the known one where none is given
  kTake,     ///< the given value, also where none is given
};

/// True for a row that a person may take for right: a conflict, or a postback whose token another one, perhaps a thief's, had
/// spent.
constexpr bool IsAcceptable(State state, Reason reason) noexcept {
  return state == State::kConflict || (state == State::kRejected && reason == Reason::kTokenReused);
}

/// True for a reason that today's secrets, settings and clock can overcome. What was wrong with the body itself stays wrong.
constexpr bool IsJudgedAgain(Reason reason) noexcept {
  return reason == Reason::kBadSignature || reason == Reason::kTokenExpired || reason == Reason::kTokenNotYetValid ||
         reason == Reason::kUnknownProject || reason == Reason::kMissingOrderId;
}

/// A verified postback, or an answer of the API, beside the invoice that it is about; it does not contradict it, or a person
/// accepted it.
struct Update {
  bool is_newer;              ///< than anything that is known of the invoice
  bool is_newer_amount;       ///< than the postback that the invoice's amounts are from
  bool is_paid;               ///< the invoice was paid before
  bool says_paid;             ///< the postback says paid
  bool same_amount;           ///< amount_crypto and currency are those of the invoice
  bool is_accepted;           ///< a person took it for right, whatever it contradicts
  bool from_api = false;      ///< it is an answer of the API
  bool is_expected = false;   ///< an answer of the API came before
  bool same_currency = true;  ///< as the invoice
  bool is_erased = false;     ///< by cc_erase()
};

/// The amounts of a paid invoice are those of a postback that says paid: the one that set paid_at, or a newer one. A form never
/// blanks what a JSON said, and an older postback undoes nothing. A newer one that does not say paid changes the status alone.
/// The invoice follows an accepted one. What was erased does not come back.
constexpr Merge MergeOf(ColumnGroup group, const Update& update) noexcept {
  const bool sets_paid_at = update.says_paid && !update.is_paid;
  switch (group) {
    case ColumnGroup::kKey:
    case ColumnGroup::kOwn: return Merge::kKeep;
    case ColumnGroup::kOrder: return update.is_accepted ? Merge::kReplace : Merge::kFill;
    case ColumnGroup::kStatus: return update.is_newer || update.is_accepted ? Merge::kReplace : Merge::kFill;
    case ColumnGroup::kMoney:
      if (update.is_accepted) return update.same_amount ? Merge::kReplace : Merge::kTake;
      if (sets_paid_at) return Merge::kTake;
      if (!update.is_paid) return update.is_newer ? Merge::kReplace : Merge::kFill;
      if (!update.says_paid) return Merge::kKeep;
      return update.is_newer_amount ? Merge::kReplace : update.same_amount ? Merge::kFill : Merge::kKeep;
    case ColumnGroup::kPersonal:
      if (update.is_erased) return Merge::kKeep;
      [[fallthrough]];
    case ColumnGroup::kDetail:
      if (update.is_accepted) return Merge::kReplace;
      if (update.is_paid && update.is_newer && !update.says_paid) return Merge::kKeep;
      return update.is_newer ? Merge::kReplace : Merge::kFill;
    case ColumnGroup::kExpected:
      if (!update.same_currency) return MergeOf(ColumnGroup::kMoney, update);  // the amount goes with its coin
      [[fallthrough]];
    case ColumnGroup::kExpectedUsd:
      if (update.from_api || update.is_accepted) return Merge::kReplace;
      return update.is_expected ? Merge::kFill : MergeOf(ColumnGroup::kMoney, update);
  }
  return Merge::kKeep;
}

}  // namespace cc
