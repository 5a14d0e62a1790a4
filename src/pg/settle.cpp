#include "pg/settle.hpp"

#include <cstring>

#include "core/rules.hpp"
#include "pg/error_text.hpp"
#include "pg/invoice.hpp"
#include "pg/lock.hpp"
#include "pg/project.hpp"
#include "pg/subtransaction.hpp"
#include "pg/table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
}

namespace cc::pg {
namespace {

std::string_view BytesOf(Datum value) { return ViewOf(DatumGetByteaPP(value)); }

// --- Tables of an earlier version ---

// What is known of cc_inbox, cached until it changes.
struct {
  Oid schema;
  Oid table;
  bool spends_once;
} known_inbox;

void ForgetInbox(Oid table) {
  if (!OidIsValid(table) || table == known_inbox.table) known_inbox.table = InvalidOid;
}

// Returns false for the tables of 0.1.0. There several rows have the digest of a token, so none shows which row spent it.
bool SpendsTokensOnce(Oid schema) {
  OnRelationChange(ForgetInbox);
  if (!OidIsValid(known_inbox.table) || known_inbox.schema != schema) {
    const Relation inbox = OpenTable(schema, "cc_inbox");
    known_inbox = {schema, RelationGetRelid(inbox), IsKeptUnique(inbox, "token_digest", BYTEAOID)};
    CloseTable(inbox);
  }
  return known_inbox.spends_once;
}

// Writes one line to the log of each session, and one more whenever current tables stop being current.
bool AreTablesCurrent(Oid schema) {
  static bool is_logged = false;
  const char* const fault = !SpendsTokensOnce(schema)        ? "cc_inbox has no valid unique index on token_digest alone."
                            : !IsInvoiceTableCurrent(schema) ? "cc_invoice lacks a column."
                                                             : nullptr;
  if (fault != nullptr && !is_logged)
    ereport(LOG, (errmsg("cryptocloud_postback: the tables are not as this version makes them, so postbacks are kept pending"),
                  errdetail_internal("%s", fault),
                  errhint("Run ALTER EXTENSION cryptocloud_postback UPDATE, SELECT cc_setup() and CALL cc_work()."),
                  errwithoutinput()));
  is_logged = fault != nullptr;
  return !is_logged;
}

// --- 1. Verify ---

Delivery Read(const InboxRow& row) {
  const InboxInput input = InputOf(row);
  Verification verification = ReadWithoutVerifying(RequestFrom(input.bytes, input.is_text, input.content_type));
  const Delivery delivery = MakeDelivery(verification);
  FreeVerification(verification);
  return delivery;
}

Delivery Verify(const SettleRequest& request, const InboxRow& row, const Project& project) {
  const TimestampTz received_at = DatumGetTimestampTz(row.Value(InboxColumn::kReceivedAt));
  VerificationInput input{};
  input.secrets[input.secret_count++] = SecretFrom(project.secret);
  if (!project.previous_secret_until.isnull && !project.previous_secret.isnull &&
      DatumGetTimestampTz(project.previous_secret_until.value) > received_at)
    input.secrets[input.secret_count++] = SecretFrom(project.previous_secret);
  const NullableDatum leeway =
      request.leeway == nullptr ? project.leeway : NullableDatum{IntervalPGetDatum(request.leeway), false};
  input.clock = ClockFrom(row.At(InboxColumn::kReceivedAt), leeway);
  const InboxInput body = InputOf(row);
  input.request = RequestFrom(body.bytes, body.is_text, body.content_type);
  Verification verification = Verify(input);
  const Delivery delivery = MakeDelivery(verification);
  FreeVerification(verification);
  return delivery;
}

bool HasProof(const InboxRow& row) {
  return !row.IsNull(InboxColumn::kContentDigest) && !row.IsNull(InboxColumn::kTokenExpiresAt);
}

Delivery Refused(Reason reason) {
  Delivery delivery{};
  delivery.reason = reason;
  return delivery;
}

// Returns the row's delivery. Its proof holds while the stored body is the body that was verified. Its state proves nothing.
Delivery VerifyUnlessProven(const SettleRequest& request, const InboxRow& row, const Project* project) {
  if (HasProof(row)) {
    Delivery delivery = Read(row);
    if (delivery.reason == Reason::kVerified &&
        BytesOf(delivery.content_digest) == BytesOf(row.Value(InboxColumn::kContentDigest))) {
      delivery.invoice.Set(InvoiceColumnIndex("token_expires_at"), row.At(InboxColumn::kTokenExpiresAt));
      return delivery;
    }
  }
  return project == nullptr ? Refused(Reason::kUnknownProject) : Verify(request, row, *project);
}

void AddAttempt(InboxRow& row) {
  row.Set(InboxColumn::kAttempts, Int32GetDatum(DatumGetInt32(row.Value(InboxColumn::kAttempts)) + 1));
}

// Rejects a row that does not verify. But a row that was verified before was answered as safe, so it stays pending for a person.
// It counts as tried, so that the next cc_apply() begins with other rows.
void Refuse(InboxRow& row, Reason reason) {
  if (HasProof(row)) {
    SetState(row, State::kPending, Reason::kVerified);
    AddAttempt(row);
    SetText(row, InboxColumn::kError,
            psprintf("the stored body is not the body that was verified, and does not verify now: %s", ReasonWord(reason)));
  } else {
    SetState(row, State::kRejected, reason);
    row.SetNull(InboxColumn::kError);
  }
}

void SetProof(InboxRow& row, const Delivery& delivery) {
  row.Set(InboxColumn::kInvoiceId, delivery.invoice.At(InvoiceColumnIndex("invoice_id")));
  row.Set(InboxColumn::kContentDigest, delivery.content_digest);
  row.Set(InboxColumn::kTokenExpiresAt, delivery.invoice.At(InvoiceColumnIndex("token_expires_at")));
}

// --- The rest of a statement after a timeout ---

// A statement_timeout fires once. After it was caught, nothing would end a later wait of the same statement.
enum class Patience : std::uint8_t { kWait, kNoWait, kNothing };

struct {
  LocalTransactionId transaction;
  TimestampTz statement;
  Patience patience;
} limit;

Patience CurrentPatience() {
  const bool is_current = limit.transaction == CurrentTransaction() && limit.statement == GetCurrentStatementStartTimestamp();
  return is_current ? limit.patience : Patience::kWait;
}

void LimitPatience(Patience patience) { limit = {CurrentTransaction(), GetCurrentStatementStartTimestamp(), patience}; }

// --- 2. Lock ---

// The locks belong to the caller's resource owner, so they stay when the subtransaction fails.
LockOutcome Lock(const InboxRow& row, const Delivery& delivery, ResourceOwner outer, bool may_wait) {
  const ResourceOwner inner = CurrentResourceOwner;
  CurrentResourceOwner = outer;
  LockOutcome outcome = LockOutcome::kHeld;
  if (!delivery.token_names_invoice) outcome = LockToken(BytesOf(delivery.token_digest), may_wait);
  if (outcome == LockOutcome::kHeld)
    outcome = LockInvoice(ViewOf(DatumGetTextPP(row.Value(InboxColumn::kProject))),
                          ViewOf(DatumGetTextPP(row.Value(InboxColumn::kInvoiceId))), may_wait);
  CurrentResourceOwner = inner;
  return outcome;
}

// --- 3. Decide ---

struct Judgement {
  bool is_hidden = false;       // the deciding row is newer than the transaction's snapshot
  bool is_token_spent = false;  // by another row
  bool is_unerased = false;     // the deciding row is applied and has its body, which cc_erase() would have removed
  Decision decision = kNewContent;
};

// The rows of cc_inbox other than the row that is being settled.
class OtherRows {
 public:
  OtherRows(Relation inbox, LOCKMODE lock, Snapshot snapshot, const SettleRequest& request, const InboxRow& row)
      : inbox_(inbox), lock_(lock), snapshot_(snapshot), row_(row),
        own_id_(request.is_stored ? DatumGetInt64(row.Value(InboxColumn::kId)) : 0), has_own_id_(request.is_stored) {}

  // Returns true if no project has a row of this invoice. Most invoices have one postback, which this one probe decides.
  bool IsFirstOfInvoice() const {
    Scan scan(inbox_, snapshot_, {InvoiceKey()}, lock_);
    const bool is_first = NextOther(scan) == nullptr;
    scan.End();
    return is_first;
  }

  // Finds the row that spent the token, in any project: secrets are never shared, but a project can be renamed.
  bool FindSpender(Datum token_digest, Datum content_digest, Judgement& judgement) const {
    Scan scan(inbox_, snapshot_, {{"token_digest", BYTEAOID, token_digest}}, lock_);
    const HeapTuple found = NextOther(scan);
    if (found != nullptr) {
      const NullableDatum reason = ColumnOf(inbox_, found, "reason", TEXTOID);
      const NullableDatum content = ColumnOf(inbox_, found, "content_digest", BYTEAOID);
      const State state = StateIn(found);
      judgement.is_token_spent = true;
      Judge(found, state,
            DecideByToken({.state = state,
                           .reason = reason.isnull ? Reason::kTokenReused : ReasonFrom(ViewOf(DatumGetTextPP(reason.value))),
                           .same_content = !content.isnull && BytesOf(content.value) == BytesOf(content_digest)}),
            judgement);
    }
    scan.End();
    return found != nullptr;
  }

  // Finds a row of this content that makes it a duplicate. Most postbacks are new: one probe without a result answers for every
  // state. Most others are duplicates of an applied row, and the index has those first.
  void FindSameContent(Judgement& judgement) const {
    Scan any(inbox_, snapshot_, {InvoiceKey(), ProjectKey(), ContentKey()}, lock_);
    const HeapTuple first = NextOther(any);
    bool is_over = first == nullptr || MakesDuplicate(first, judgement);
    any.End();
    for (std::size_t i = 0; i < kStateWords.size() && !is_over; ++i)
      if (MakesDuplicates(static_cast<State>(i))) is_over = FindSameContent(static_cast<State>(i), judgement);
  }

 private:
  Key InvoiceKey() const { return {"invoice_id", TEXTOID, row_.Value(InboxColumn::kInvoiceId)}; }
  Key ProjectKey() const { return {"project", TEXTOID, row_.Value(InboxColumn::kProject)}; }
  Key ContentKey() const { return {"content_digest", BYTEAOID, row_.Value(InboxColumn::kContentDigest)}; }

  HeapTuple NextOther(Scan& scan) const {
    HeapTuple found;
    do found = scan.Next();
    while (found != nullptr && has_own_id_ && DatumGetInt64(RequiredColumnOf(inbox_, found, "id", INT8OID)) == own_id_);
    return found;
  }

  State StateIn(HeapTuple found) const {
    const auto state = StateFrom(ViewOf(DatumGetTextPP(RequiredColumnOf(inbox_, found, "state", TEXTOID))));
    if (!state.has_value()) ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("cc_inbox has a row of unknown state")));
    return *state;
  }

  void Judge(HeapTuple found, State state, Decision decision, Judgement& judgement) const {
    judgement.is_hidden = IsHiddenFromTransaction(found);
    judgement.decision = decision;
    judgement.is_unerased = state == State::kApplied && IsOfProject(found) && HasBody(found);
  }

  // A pending row without token_digest is itself undecided.
  bool MakesDuplicate(HeapTuple found, Judgement& judgement) const {
    const State state = StateIn(found);
    if (!MakesDuplicates(state) || (state == State::kPending && ColumnOf(inbox_, found, "token_digest", BYTEAOID).isnull))
      return false;
    Judge(found, state, {State::kDuplicate}, judgement);
    return true;
  }

  bool FindSameContent(State state, Judgement& judgement) const {
    Scan scan(inbox_, snapshot_,
              {InvoiceKey(), ProjectKey(), ContentKey(), {"state", TEXTOID, CStringGetTextDatum(StateWord(state))}}, lock_);
    HeapTuple found;
    do found = NextOther(scan);
    while (found != nullptr && !MakesDuplicate(found, judgement));
    scan.End();
    return found != nullptr;
  }

  bool IsOfProject(HeapTuple found) const {
    return ViewOf(DatumGetTextPP(RequiredColumnOf(inbox_, found, "project", TEXTOID))) ==
           ViewOf(DatumGetTextPP(row_.Value(InboxColumn::kProject)));
  }

  bool HasBody(HeapTuple found) const {
    return !ColumnOf(inbox_, found, "body", TEXTOID).isnull || !ColumnOf(inbox_, found, "raw", BYTEAOID).isnull;
  }

  Relation inbox_;
  LOCKMODE lock_;
  Snapshot snapshot_;
  const InboxRow& row_;
  std::int64_t own_id_;
  bool has_own_id_;
};

Judgement JudgeBy(const OtherRows& others, const Delivery& delivery, bool requires_order_id) {
  Judgement judgement;
  // The row that spent a token is a row of the invoice that the token names.
  const bool is_first = delivery.token_names_invoice && others.IsFirstOfInvoice();
  if (!is_first && others.FindSpender(delivery.token_digest, delivery.content_digest, judgement)) return judgement;
  const NullableDatum is_test = delivery.invoice.At(InvoiceColumnIndex("is_test"));
  if (IsOrderIdMissing(requires_order_id, !delivery.invoice.IsNull(InvoiceColumnIndex("order_id")),
                       !is_test.isnull && DatumGetBool(is_test.value)))
    return {.decision = {State::kRejected, Reason::kMissingOrderId}};
  if (!is_first) others.FindSameContent(judgement);
  return judgement;
}

// The insert of a row has locked the table already. Any other caller must not wait for more than a reader does, because the wait
// would be inside the subtransaction, which takes a timeout for one of the merchant's code.
LOCKMODE LockFor(const SettleRequest& request) { return request.is_stored ? AccessShareLock : RowExclusiveLock; }

Judgement Judge(const SettleRequest& request, const InboxRow& row, const Delivery& delivery, bool requires_order_id) {
  CommandCounterIncrement();  // so that earlier rows of the same statement count
  const Relation inbox = OpenTable(request.schema, "cc_inbox", LockFor(request));
  const Snapshot now = TakeLatestSnapshot();
  const Judgement judgement = JudgeBy(OtherRows(inbox, LockFor(request), now, request, row), delivery, requires_order_id);
  ForgetSnapshot(now);
  CloseTable(inbox);
  return judgement;
}

// --- 4. Apply ---

// The outcome of a row so far. It is written inside the subtransaction and read after it.
struct Progress {
  SettleOutcome outcome = SettleOutcome::kDone;
  State state = State::kPending;
  Reason reason = Reason::kVerified;
  const char* error = nullptr;
  bool is_locking = false;  // an error comes from waiting for a lock, not from the merchant's code
  bool spends_token = false;
  bool is_tried = false;    // applying was tried
  bool is_erased = false;   // the invoice is erased
  bool has_failed = false;  // applying has failed before
};

void KeepPending(Progress& progress, const char* why) {
  progress.state = State::kPending;
  progress.error = why;
}

DeliveryContext ContextOf(const SettleRequest& request, const InboxRow& row, const Project& project) {
  return {.schema = request.schema,
          .owner = request.owner,
          .project = row.Value(InboxColumn::kProject),
          .received_at = row.Value(InboxColumn::kReceivedAt),
          .accept_test_payments = project.accept_test_payments,
          .notify = project.notify,
          .acceptance = request.acceptance};
}

void Apply(const DeliveryContext& context, const Delivery& delivery, Progress& progress) {
  progress.is_tried = true;
  const InvoiceLookup invoice = FindInvoice(context, delivery.invoice.Value(InvoiceColumnIndex("invoice_id")), RowExclusiveLock);
  progress.is_erased = invoice.is_erased;
  if (invoice.is_hidden) return KeepPending(progress, "the invoice is newer than the snapshot of the transaction");
  progress.error = ChangeInvoice(context, delivery, invoice.is_known);
  progress.state = progress.error == nullptr ? State::kApplied : State::kConflict;
}

// Returns true for a row that could not be applied before.
bool HasFailed(const SettleRequest& request, const InboxRow& row) {
  return request.is_stored && StateFrom(ViewOf(DatumGetTextPP(row.Value(InboxColumn::kState)))) == State::kFailed;
}

void DecideAndApply(const SettleRequest& request, const InboxRow& row, const Delivery& delivery, const Project& project,
                    ResourceOwner outer, Progress& progress) {
  if (!AreTablesCurrent(request.schema)) {
    progress.outcome = SettleOutcome::kOldTables;
    return KeepPending(progress, "the tables are not as this version makes them: update the extension, run SELECT cc_setup()");
  }
  progress.is_locking = true;
  const LockOutcome lock = Lock(row, delivery, outer, request.may_wait && CurrentPatience() == Patience::kWait);
  progress.is_locking = false;
  switch (lock) {
    case LockOutcome::kHeld: break;
    case LockOutcome::kBusy:
      progress.outcome = SettleOutcome::kBusy;
      return KeepPending(progress, "another transaction is settling a postback of this invoice");
    case LockOutcome::kTooMany:
      progress.outcome = SettleOutcome::kTooMany;
      return KeepPending(progress, "the transaction settles too many postbacks");
  }
  const DeliveryContext context = ContextOf(request, row, project);
  if (request.acceptance != Acceptance::kNone) return Apply(context, delivery, progress);
  const Judgement judgement = Judge(request, row, delivery, project.require_order_id);
  progress.spends_token = !judgement.is_token_spent;
  if (judgement.is_hidden) return KeepPending(progress, "an earlier postback is newer than the snapshot of the transaction");
  const Decision decision = progress.has_failed ? AfterFailure(judgement.decision) : judgement.decision;
  progress.state = decision.state;
  progress.reason = decision.reason;
  if (decision.state == State::kConflict) progress.error = "another postback with other content has spent the token";
  if (progress.state == State::kDuplicate && !judgement.is_unerased)
    progress.is_erased = FindInvoice(context, row.Value(InboxColumn::kInvoiceId)).is_erased;
  if (progress.state != kNewContent.state) return;
  if (project.is_deferred && !request.apply_now) return KeepPending(progress, nullptr);
  Apply(context, delivery, progress);
}

// The error is in cc_inbox.error alone: what the merchant's code raised can hold what it was given.
void LogCaught(const InboxRow& row, const ErrorData& error) {
  ereport(LOG, (errmsg("cryptocloud_postback: postback %lld of project \"%s\" was not applied: SQLSTATE %s",
                       static_cast<long long>(DatumGetInt64(row.Value(InboxColumn::kId))),
                       TextDatumGetCString(row.Value(InboxColumn::kProject)), unpack_sql_state(error.sqlerrcode)),
                errhint("cc_inbox.error of this row has the message."), errwithoutinput()));
}

// The caller of cc_accept gets a refusal (55000) and a temporary error, even of the merchant's code. Any other error of the
// merchant's code makes the row failed.
bool IsRefusedToPerson(const SettleRequest& request, const ErrorData& error) {
  return request.acceptance != Acceptance::kNone && (error.sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
                                                     StateAfterError(unpack_sql_state(error.sqlerrcode)) == State::kPending);
}

void NoteError(const InboxRow& row, const ErrorData& error, Progress& progress) {
  LogCaught(row, error);
  progress.state = progress.is_locking ? State::kPending : StateAfterError(unpack_sql_state(error.sqlerrcode));
  progress.is_tried |= !progress.is_locking;
  progress.reason = Reason::kVerified;
  progress.error = DescriptionOf(error);
  if (error.sqlerrcode == ERRCODE_QUERY_CANCELED) {
    LimitPatience(Patience::kNothing);
    progress.outcome = SettleOutcome::kEnded;
  } else if (progress.state == State::kPending) {
    LimitPatience(Patience::kNoWait);
  }
}

void SetOutcome(InboxRow& row, const Delivery& delivery, const Progress& progress) {
  SetState(row, progress.state, progress.reason);
  SetText(row, InboxColumn::kError, progress.error);
  if (progress.spends_token) row.Set(InboxColumn::kTokenDigest, delivery.token_digest);
  if (progress.is_tried) AddAttempt(row);
  row.SetNull(InboxColumn::kAppliedAt);
  if (progress.state == State::kApplied) row.Set(InboxColumn::kAppliedAt, TimestampTzGetDatum(GetCurrentTimestamp()));
  if (!KeepsBody(progress.state, progress.is_erased)) {
    row.SetNull(InboxColumn::kBody);
    row.SetNull(InboxColumn::kRaw);
  }
}

}  // namespace

SettleOutcome Settle(const SettleRequest& request, InboxRow& row) {
  Project project;
  const bool is_known = !IsProjectNameTooLong(row) && FindProject(request.schema, row.Value(InboxColumn::kProject), project);
  const Delivery delivery = VerifyUnlessProven(request, row, is_known ? &project : nullptr);
  if (delivery.reason != Reason::kVerified) {
    Refuse(row, delivery.reason);
    return SettleOutcome::kDone;
  }
  Progress progress;
  progress.has_failed = HasFailed(request, row);
  SetProof(row, delivery);
  if (request.hold != nullptr) {
    KeepPending(progress, request.hold);
  } else if (CurrentPatience() == Patience::kNothing) {
    KeepPending(progress, "the statement was cancelled while an earlier postback was settled");
    progress.outcome = SettleOutcome::kEnded;
  } else if (!row.IsNull(InboxColumn::kTokenDigest) &&
             BytesOf(row.Value(InboxColumn::kTokenDigest)) != BytesOf(delivery.token_digest)) {
    KeepPending(progress, "the stored body has a different token than this row spent");
    progress.is_tried = true;
  } else {
    const ResourceOwner outer = CurrentResourceOwner;
    ErrorData* const error = InSubtransaction([&] { DecideAndApply(request, row, delivery, project, outer, progress); });
    if (error != nullptr && IsRefusedToPerson(request, *error)) ReThrowError(error);
    if (error != nullptr) NoteError(row, *error, progress);
  }
  SetOutcome(row, delivery, progress);
  return progress.outcome;
}

Foreseen Foresee(const SettleRequest& request, const InboxRow& row) {
  Project project;
  const bool is_known = !IsProjectNameTooLong(row) && FindProject(request.schema, row.Value(InboxColumn::kProject), project);
  const Delivery delivery = VerifyUnlessProven(request, row, is_known ? &project : nullptr);
  if (delivery.reason != Reason::kVerified) return {{State::kRejected, delivery.reason}, Datum{0}, Datum{0}};
  InboxRow proven = row;
  SetProof(proven, delivery);
  return {Judge(request, proven, delivery, project.require_order_id).decision, delivery.token_digest, delivery.content_digest};
}

}  // namespace cc::pg
