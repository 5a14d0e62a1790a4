#include "pg/apply.hpp"

#include "pg/error_text.hpp"
#include "pg/merchant_code.hpp"
#include "pg/settle.hpp"
#include "pg/subtransaction.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
}

namespace cc::pg {
namespace {

// Locks waiting rows and returns their ids, and the attempts of the last one: at most $1 rows, none of the ids in $2, all of them
// after the place ($3, $4).
Statement select_waiting{[](const char* schema) -> const char* {
  return psprintf(
      "SELECT pg_catalog.array_agg(id ORDER BY attempts, id), pg_catalog.max(attempts) FROM ("
      "SELECT id, attempts FROM %s.cc_inbox"
      " WHERE state OPERATOR(pg_catalog.=) ANY ('{pending,failed}'::pg_catalog.text[])"
      " AND id OPERATOR(pg_catalog.<>) ALL ($2)"
      " AND (attempts, id) OPERATOR(pg_catalog.>) ($3, $4)"
      " ORDER BY attempts, id LIMIT $1 FOR UPDATE SKIP LOCKED) AS waiting",
      schema);
}};

Statement select_row{[](const char* schema) -> const char* {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfoString(&text, "SELECT ");
  for (std::size_t i = 0; i < kInboxColumnCount; ++i) appendStringInfo(&text, "%s%s", i == 0 ? "" : ", ", kInboxColumns[i].name);
  appendStringInfo(&text, " FROM %s.cc_inbox WHERE id OPERATOR(pg_catalog.=) $1", schema);
  return text.data;
}};

bool IsWritten(std::size_t column) {
  return !kInboxColumns[column].is_given && column != InboxRow::Index(InboxColumn::kReceivedAt);
}

// The parameter of a column is its index + 1.
Statement update_row{[](const char* schema) -> const char* {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "UPDATE %s.cc_inbox SET ", schema);
  bool is_first = true;
  for (std::size_t i = 0; i < kInboxColumnCount; ++i) {
    if (!IsWritten(i)) continue;
    appendStringInfo(&text, "%s%s = $%zu", is_first ? "" : ", ", kInboxColumns[i].name, i + 1);
    is_first = false;
  }
  appendStringInfo(&text, " WHERE id OPERATOR(pg_catalog.=) $%zu", InboxRow::Index(InboxColumn::kId) + 1);
  return text.data;
}};

// Deletes the body of a row whose invoice is erased.
Statement remove_body{[](const char* schema) -> const char* {
  return psprintf(
      "UPDATE %s.cc_inbox SET body = NULL, raw = NULL"
      " WHERE id OPERATOR(pg_catalog.=) $1 AND (body IS NOT NULL OR raw IS NOT NULL)",
      schema);
}};

void Write(Oid schema, const InboxRow& row) {
  static_assert(kInboxColumnCount <= kMaxParameters);
  Parameter parameters[kInboxColumnCount];
  for (std::size_t i = 0; i < kInboxColumnCount; ++i) parameters[i] = {kInboxColumns[i].type, row.values[i], row.nulls[i]};
  if (Execute(update_row, schema, parameters, static_cast<int>(kInboxColumnCount)).processed != 1)
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION), errmsg("the outcome of a postback was not stored"),
                    errdetail("A trigger or a rule of cc_inbox skipped the row.")));
  if (row.IsNull(InboxColumn::kBody) && row.IsNull(InboxColumn::kRaw)) {
    const Parameter id{INT8OID, row.Value(InboxColumn::kId)};
    Execute(remove_body, schema, &id, 1);
  }
}

Datum ArrayOf(const Datum* ids, int count) {
  return PointerGetDatum(
      construct_array(const_cast<Datum*>(ids), count, INT8OID, sizeof(std::int64_t), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

// Sets the place of the last one.
ArrayType* SelectWaiting(Oid schema, std::int64_t max_rows, Place& place, ArrayType* skip) {
  const Parameter parameters[] = {{INT8OID, Int64GetDatum(max_rows)},
                                  {INT8ARRAYOID, skip == nullptr ? ArrayOf(nullptr, 0) : PointerGetDatum(skip)},
                                  {INT4OID, Int32GetDatum(place.attempts)},
                                  {INT8OID, Int64GetDatum(place.id)}};
  const Result result = Execute(select_waiting, schema, parameters, 4);
  ArrayType* const ids = FirstArray(result);
  Datum* elements;
  const int count = ElementsOf(ids, &elements);
  if (count > 0) {
    bool is_null;
    place.attempts = DatumGetInt32(heap_getattr(result.first.tuple, 2, result.first.descriptor, &is_null));
    place.id = DatumGetInt64(elements[count - 1]);
  }
  return ids;
}

bool IsWaiting(const InboxRow& row) {
  const std::optional<State> state = StateOf(row);
  return state == State::kPending || state == State::kFailed;
}

// Returns true for an outcome after which the stored row stays as it is.
bool IsEarly(SettleOutcome outcome) { return outcome == SettleOutcome::kTooMany || outcome == SettleOutcome::kOldTables; }

// Settles and writes a row. Returns nullptr, or the error of the merchant's code on cc_inbox, which undid both: otherwise that
// row would keep all others from being settled.
ErrorData* SettleAndWrite(const SettleRequest& request, InboxRow& row, SettleOutcome& outcome) {
  bool is_writing = false;
  const auto work = [&] {
    outcome = Settle(request, row);
    is_writing = true;
    if (!IsEarly(outcome) && outcome != SettleOutcome::kBusy) WriteInboxRow(request.schema, request.owner, row);
  };
  if (!RunsMerchantCode(request.schema, "cc_inbox")) {
    work();
    return nullptr;
  }
  ErrorData* const error = InSubtransaction(work);
  if (error != nullptr && (!is_writing || error->sqlerrcode == ERRCODE_QUERY_CANCELED)) ReThrowError(error);
  return error;
}

// Returns true if the row still waits.
bool SettleOne(Oid schema, Oid owner, std::int64_t id, Batch& batch) {
  InboxRow row;
  if (!ReadInboxRow(schema, id, row)) return false;
  ++batch.tried;
  SettleOutcome outcome;
  ErrorData* const error = SettleAndWrite(
      {.schema = schema, .owner = owner, .is_stored = true, .apply_now = true, .may_wait = false, .hold = nullptr}, row, outcome);
  if (error != nullptr) {
    ereport(WARNING,
            (errcode(error->sqlerrcode), errmsg("postback %lld was not settled: %s", static_cast<long long>(id), error->message),
             errdetail("A trigger or a constraint of cc_inbox raised this."), errwithoutinput()));
    return true;
  }
  batch.is_over = outcome == SettleOutcome::kEnded || outcome == SettleOutcome::kOldTables;
  batch.is_ended = IsEarly(outcome) || batch.is_over;
  if (IsEarly(outcome) || outcome == SettleOutcome::kBusy) return true;
  if (!IsWaiting(row)) ++batch.settled;
  return IsWaiting(row);
}

}  // namespace

void RequireReadCommitted() {
  if (IsolationUsesXactSnapshot())
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("waiting postbacks can only be settled in READ COMMITTED"),
                    errhint("Run SET TRANSACTION ISOLATION LEVEL READ COMMITTED first.")));
}

ArrayType* FirstArray(const Result& result) {
  bool is_null;
  const Datum ids = heap_getattr(result.first.tuple, 1, result.first.descriptor, &is_null);
  return is_null ? nullptr : DatumGetArrayTypeP(ids);
}

int ElementsOf(ArrayType* array, Datum** elements) {
  *elements = nullptr;
  if (array == nullptr) return 0;
  int count;
  deconstruct_array(array, INT8OID, sizeof(std::int64_t), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, elements, nullptr, &count);
  return count;
}

bool ReadInboxRow(Oid schema, std::int64_t id, InboxRow& row) {
  const Parameter parameter{INT8OID, Int64GetDatum(id)};
  const ResultRow found = Execute(select_row, schema, &parameter, 1).first;
  if (found.tuple == nullptr) return false;
  for (std::size_t i = 0; i < kInboxColumnCount; ++i)
    if (TupleDescAttr(found.descriptor, static_cast<int>(i))->atttypid != kInboxColumns[i].type)
      ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                      errmsg("column \"%s\" of \"cc_inbox\" is not as cc_setup() makes it", kInboxColumns[i].name)));
  heap_deform_tuple(found.tuple, found.descriptor, row.values, row.nulls);
  for (const InboxColumn column : {InboxColumn::kProject, InboxColumn::kReceivedAt, InboxColumn::kState, InboxColumn::kAttempts})
    if (row.IsNull(column))
      ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                      errmsg("column \"%s\" of \"cc_inbox\" must not be null", kInboxColumns[InboxRow::Index(column)].name)));
  return true;
}

void WriteInboxRow(Oid schema, Oid owner, const InboxRow& row) {
  WriteTable(schema, owner, "cc_inbox", [&] { Write(schema, row); });
}

Batch SettleWaiting(Oid schema, Oid owner, std::int64_t max_rows, Place after, ArrayType* skip) {
  RequireReadCommitted();
  Batch batch;
  batch.reached = after;
  Datum* skipped;
  Datum* ids;
  const int skip_count = ElementsOf(skip, &skipped);
  const int count = ElementsOf(SelectWaiting(schema, max_rows, batch.reached, skip), &ids);
  auto* const left = static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<std::size_t>(skip_count + count + 1)));
  int left_count = 0;
  for (; left_count < skip_count; ++left_count) left[left_count] = skipped[left_count];

  // Frees the memory of each row before the next row.
  const MemoryContext row_memory = MakeRowMemory();
  for (int i = 0; i < count && !batch.is_ended; ++i) {
    CHECK_FOR_INTERRUPTS();
    const MemoryContext caller = MemoryContextSwitchTo(row_memory);
    const bool waits = SettleOne(schema, owner, DatumGetInt64(ids[i]), batch);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(row_memory);
    if (waits) left[left_count++] = ids[i];
  }
  MemoryContextDelete(row_memory);
  if (batch.is_ended) batch.reached = after;  // those behind the one that ended it were not looked at
  batch.left = DatumGetArrayTypeP(ArrayOf(left, left_count));
  return batch;
}

}  // namespace cc::pg
