// cc_inbox_insert: what is inserted into cc_inbox is verified, stored and applied. What it promises stands in sql/pipeline.sql.
#include "pg/become_owner.hpp"
#include "pg/deliver.hpp"
#include "pg/table.hpp"

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

// The columns of cc_inbox in their order.
enum InboxColumn : std::size_t {
  kId, kProject, kReceivedAt, kContentType, kBody, kRaw, kState, kReasonWord, kInvoice, kToken, kContent, kExpiresAt, kError,
  kAttempts, kAppliedAt, kInboxColumns
};
struct Column {
  const char* name;
  Oid type;
  bool is_given;  // by whoever inserts; the others are filled in here
};
constexpr Column kColumns[kInboxColumns] = {
    {"id", INT8OID, true},
    {"project", TEXTOID, true},
    {"received_at", TIMESTAMPTZOID, false},
    {"content_type", TEXTOID, true},
    {"body", TEXTOID, true},
    {"raw", BYTEAOID, true},
    {"state", TEXTOID, false},
    {"reason", TEXTOID, false},
    {"invoice_id", TEXTOID, false},
    {"token_digest", BYTEAOID, false},
    {"content_digest", BYTEAOID, false},
    {"token_expires_at", TIMESTAMPTZOID, false},
    {"error", TEXTOID, false},
    {"attempts", INT4OID, false},
    {"applied_at", TIMESTAMPTZOID, false},
};

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

// With what is to be filled in NULL.
InboxRow ReadRow(Relation inbox, HeapTuple tuple) {
  InboxRow row;
  ColumnFinder columns(inbox);
  for (std::size_t i = 0; i < kInboxColumns; ++i) {
    row.numbers[i] = columns.Get(kColumns[i].name, kColumns[i].type);
    row.nulls[i] = true;
    if (kColumns[i].is_given) row.values[i] = heap_getattr(tuple, row.numbers[i], RelationGetDescr(inbox), &row.nulls[i]);
  }
  return row;
}

const varlena* DetoastedOrNull(NullableDatum value) {
  return value.isnull ? nullptr : PG_DETOAST_DATUM_PACKED(value.value);
}

// --- Its project ---

struct Project {
  NullableDatum secret, previous_secret, previous_secret_until, leeway;
  bool require_order_id, accept_test_payments, notify, is_immediate;
};

// A copy of the row. False if there is no such project.
bool FindProject(Oid schema, Datum name, Project& project) {
  const Relation table = OpenTable(schema, "cc_project");
  Scan scan(table, "cc_project_pkey", {{"name", name}});
  HeapTuple row = scan.Next();
  if (row != nullptr) {
    row = heap_copytuple(row);
    const auto boolean = [&](const char* column) { return DatumGetBool(ColumnOf(table, row, column, BOOLOID).value); };
    project = {.secret = ColumnOf(table, row, "secret", TEXTOID),
               .previous_secret = ColumnOf(table, row, "previous_secret", TEXTOID),
               .previous_secret_until = ColumnOf(table, row, "previous_secret_until", TIMESTAMPTZOID),
               .leeway = ColumnOf(table, row, "leeway", INTERVALOID),
               .require_order_id = boolean("require_order_id"),
               .accept_test_payments = boolean("accept_test_payments"),
               .notify = boolean("notify"),
               .is_immediate = ViewOf(DatumGetTextPP(ColumnOf(table, row, "apply", TEXTOID).value)) == "immediate"};
  }
  scan.End();
  CloseTable(table);
  return row != nullptr;
}

Delivery VerifyRow(const InboxRow& row, const Project& project) {
  VerificationInput input{};
  input.secrets[input.secret_count++] = SecretFrom(project.secret);
  if (!project.previous_secret_until.isnull && !project.previous_secret.isnull &&
      DatumGetTimestampTz(project.previous_secret_until.value) > DatumGetTimestampTz(row.values[kReceivedAt]))
    input.secrets[input.secret_count++] = SecretFrom(project.previous_secret);
  input.clock = ClockFrom(row.At(kReceivedAt), project.leeway);
  const varlena* const body = DetoastedOrNull(row.At(kBody));
  input.request = RequestFrom(body != nullptr ? body : DetoastedOrNull(row.At(kRaw)), body != nullptr,
                              DetoastedOrNull(row.At(kContentType)));
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
  row.Set(kInvoice, delivery.values[kInvoiceId]);
  row.Set(kToken, delivery.values[kTokenDigest]);
  row.Set(kContent, delivery.values[kContentDigest]);
  row.Set(kExpiresAt, delivery.values[kTokenExpiresAt]);
  if (state == "applied" || state == "conflict" || state == "failed") row.Set(kAttempts, Int32GetDatum(1));
  if (state == "applied") row.Set(kAppliedAt, row.values[kReceivedAt]);
}

void Receive(Oid schema, InboxRow& row) {
  Project project;
  if (!FindProject(schema, row.values[kProject], project)) return Reject(row, CStringGetTextDatum("unknown_project"));
  const Delivery delivery = VerifyRow(row, project);
  if (!delivery.nulls[kReason]) return Reject(row, delivery.values[kReason]);
  if (project.require_order_id && delivery.nulls[kOrderId]) return Reject(row, CStringGetTextDatum("missing_order_id"));
  const Receipt receipt{.schema = schema,
                        .inbox_id = row.nulls[kId] ? 0 : DatumGetInt64(row.values[kId]),
                        .project = row.values[kProject],
                        .received_at = row.values[kReceivedAt],
                        .accept_test_payments = project.accept_test_payments,
                        .notify = project.notify,
                        .apply_now = project.is_immediate,
                        .can_wait = true};
  SetOutcome(row, delivery, Deliver(receipt, delivery));
}

HeapTuple WithFilledIn(Relation inbox, HeapTuple tuple, const InboxRow& row) {
  InboxRow filled;
  int count = 0;
  for (std::size_t i = 0; i < kInboxColumns; ++i) {
    if (kColumns[i].is_given && i != kProject) continue;
    filled.numbers[count] = row.numbers[i];
    filled.values[count] = row.values[i];
    filled.nulls[count++] = row.nulls[i];
  }
  return heap_modify_tuple_by_cols(tuple, RelationGetDescr(inbox), count, filled.numbers, filled.values, filled.nulls);
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

  InboxRow row = ReadRow(trigger->tg_relation, trigger->tg_trigtuple);
  if (row.nulls[kProject]) row.Set(kProject, CStringGetTextDatum("default"));
  row.Set(kReceivedAt, TimestampTzGetDatum(GetCurrentTimestamp()));
  row.Set(kAttempts, Int32GetDatum(0));
  Receive(SchemaOf(fcinfo), row);
  return PointerGetDatum(WithFilledIn(trigger->tg_relation, trigger->tg_trigtuple, row));
}
