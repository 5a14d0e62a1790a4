// cc_inbox_insert: what is inserted into cc_inbox is verified, stored and applied. What it promises stands in sql/pipeline.sql.
#include "pg/become_owner.hpp"
#include "pg/deliver.hpp"
#include "pg/statement.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_inbox_insert);
}

namespace cc::pg {
namespace {

// --- The row ---

// The columns of cc_inbox that are read or filled in; those before kProject are only read.
enum InboxColumn : std::size_t {
  kId, kContentType, kBody, kRaw,
  kProject, kReceivedAt, kState, kReasonWord, kInboxInvoiceId, kInboxTokenDigest, kInboxContentDigest, kInboxTokenExpiresAt,
  kError, kAttempts, kAppliedAt,
  kInboxColumns
};
constexpr const char* kColumnNames[kInboxColumns] = {
    "id", "content_type", "body", "raw",
    "project", "received_at", "state", "reason", "invoice_id", "token_digest", "content_digest", "token_expires_at",
    "error", "attempts", "applied_at"};

struct InboxRow {
  int numbers[kInboxColumns];
  Datum values[kInboxColumns];
  bool nulls[kInboxColumns];

  NullableDatum At(std::size_t column) const { return {values[column], nulls[column]}; }
  void Set(std::size_t column, Datum value) {
    values[column] = value;
    nulls[column] = false;
  }
};

InboxRow ReadRow(HeapTuple tuple, TupleDesc descriptor) {
  InboxRow row;
  for (std::size_t i = 0; i < kInboxColumns; ++i) {
    row.numbers[i] = SPI_fnumber(descriptor, kColumnNames[i]);
    if (row.numbers[i] <= 0)
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("column \"%s\" of cc_inbox does not exist", kColumnNames[i])));
    row.values[i] = SPI_getbinval(tuple, descriptor, row.numbers[i], &row.nulls[i]);
  }
  return row;
}

// Whoever inserts decides about project, body, raw and content_type, and nothing else.
void ResetFilledIn(InboxRow& row, TimestampTz received_at) {
  if (row.nulls[kProject]) row.Set(kProject, CStringGetTextDatum("default"));
  row.Set(kReceivedAt, TimestampTzGetDatum(received_at));
  for (std::size_t i = kState; i < kInboxColumns; ++i) row.nulls[i] = true;
  row.Set(kAttempts, Int32GetDatum(0));
}

const varlena* DetoastedOrNull(const InboxRow& row, std::size_t column) {
  return row.nulls[column] ? nullptr : PG_DETOAST_DATUM_PACKED(row.values[column]);
}

// --- Its project ---

Statement find_project{R"(SELECT p.secret, CASE WHEN p.previous_secret_until > $2 THEN p.previous_secret END, p.leeway,
       p.require_order_id, p.accept_test_payments, p.notify, p.apply = 'immediate'
  FROM @extschema@.cc_project AS p
 WHERE p.name = $1)"};

Delivery VerifyRow(const InboxRow& row) {
  VerificationInput input{};
  const NullableDatum previous_secret = ColumnOf(2);
  input.secrets[input.secret_count++] = SecretFrom(ColumnOf(1));
  if (!previous_secret.isnull) input.secrets[input.secret_count++] = SecretFrom(previous_secret);
  input.clock = ClockFrom(row.At(kReceivedAt), ColumnOf(3));
  const varlena* const body = DetoastedOrNull(row, kBody);
  input.request = RequestFrom(body != nullptr ? body : DetoastedOrNull(row, kRaw), body != nullptr,
                              DetoastedOrNull(row, kContentType));
  Verification verification = Verify(input);
  const Delivery delivery = MakeDelivery(verification);
  FreeVerification(verification);
  return delivery;
}

// --- What becomes of it ---

void Reject(InboxRow& row, Datum reason) {
  row.Set(kState, CStringGetTextDatum("rejected"));
  row.Set(kReasonWord, reason);
}

void SetOutcome(InboxRow& row, const Delivery& delivery, const Outcome& outcome) {
  const std::string_view state = outcome.state;
  row.Set(kState, CStringGetTextDatum(outcome.state));
  if (outcome.reason != nullptr) row.Set(kReasonWord, CStringGetTextDatum(outcome.reason));
  if (outcome.error != nullptr) row.Set(kError, CStringGetTextDatum(outcome.error));
  row.Set(kInboxInvoiceId, delivery.values[kInvoiceId]);
  row.Set(kInboxTokenDigest, delivery.values[kTokenDigest]);
  row.Set(kInboxContentDigest, delivery.values[kContentDigest]);
  row.Set(kInboxTokenExpiresAt, delivery.values[kTokenExpiresAt]);
  if (state == "applied" || state == "conflict" || state == "failed") row.Set(kAttempts, Int32GetDatum(1));
  if (state == "applied") row.Set(kAppliedAt, row.values[kReceivedAt]);
}

void Receive(const char* schema, InboxRow& row, TimestampTz received_at) {
  if (!Execute(find_project, schema, {{TEXTOID, row.values[kProject]}, {TIMESTAMPTZOID, row.values[kReceivedAt]}}))
    return Reject(row, CStringGetTextDatum("unknown_project"));
  const Delivery delivery = VerifyRow(row);
  if (!delivery.nulls[kReason]) return Reject(row, delivery.values[kReason]);
  if (BooleanOf(4) && delivery.nulls[kOrderId]) return Reject(row, CStringGetTextDatum("missing_order_id"));
  const Receipt receipt{.inbox_id = row.values[kId],
                        .project = row.values[kProject],
                        .received_at = received_at,
                        .accept_test_payments = BooleanOf(5),
                        .notify = BooleanOf(6),
                        .apply_now = BooleanOf(7),
                        .can_wait = true};
  SetOutcome(row, delivery, Deliver(schema, receipt, delivery));
}

}  // namespace
}  // namespace cc::pg

extern "C" PGDLLEXPORT Datum cc_inbox_insert(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  const auto* const trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("cc_inbox_insert must be called by a trigger BEFORE INSERT FOR EACH ROW")));
  CheckNotCancelled();
  BecomeOwner(RelationGetRelid(trigger->tg_relation));

  const char* const schema = SchemaOf(fcinfo);
  const MemoryContext memory = CurrentMemoryContext;
  const TupleDesc descriptor = RelationGetDescr(trigger->tg_relation);
  SPI_connect();
  const TimestampTz received_at = GetCurrentTimestamp();
  InboxRow row = ReadRow(trigger->tg_trigtuple, descriptor);
  ResetFilledIn(row, received_at);
  Receive(schema, row, received_at);
  MemoryContextSwitchTo(memory);
  const HeapTuple result = heap_modify_tuple_by_cols(trigger->tg_trigtuple, descriptor, kInboxColumns - kProject,
                                                     row.numbers + kProject, row.values + kProject, row.nulls + kProject);
  SPI_finish();
  return PointerGetDatum(result);
}
