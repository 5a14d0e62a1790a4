// cc_accept: a person accepts a postback. Its contract is in sql/recover.sql.
#include "core/rules.hpp"
#include "pg/apply.hpp"
#include "pg/owner.hpp"
#include "pg/settle.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cc_accept);
}

namespace cc::pg {
namespace {

Statement lock_row{[](const char* schema) -> const char* {
  return psprintf("SELECT id FROM %s.cc_inbox WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE", schema);
}};

InboxRow ReadAcceptableRow(Oid schema, std::int64_t id) {
  const Parameter parameter{INT8OID, Int64GetDatum(id)};
  InboxRow row;
  if (Execute(lock_row, schema, &parameter, 1).processed != 1 || !ReadInboxRow(schema, id, row))
    ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND), errmsg("postback %lld does not exist", static_cast<long long>(id))));
  const std::optional<State> state = StateOf(row);
  if (!state.has_value() || !IsAcceptable(*state, ReasonOf(row)))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("postback %lld is neither a conflict nor rejected as token_reused", static_cast<long long>(id)),
                    errdetail("Its state is \"%s\".", TextDatumGetCString(row.Value(InboxColumn::kState)))));
  return row;
}

// Raises an error if the row was neither applied nor failed.
void RequireAccepted(SettleOutcome outcome, const InboxRow& row, std::int64_t id) {
  switch (outcome) {
    case SettleOutcome::kDone: break;
    case SettleOutcome::kBusy:
    case SettleOutcome::kEnded:
      ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("another transaction is settling a postback of this invoice")));
    case SettleOutcome::kTooMany:
      ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the transaction has taken too many locks"),
                      errhint("Run COMMIT, then continue.")));
    case SettleOutcome::kOldTables:
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("the tables of cryptocloud_postback are of an earlier version"), errhint("Run SELECT cc_setup().")));
  }
  const std::optional<State> state = StateOf(row);
  const bool has_body = !row.IsNull(InboxColumn::kBody) || !row.IsNull(InboxColumn::kRaw);
  if (state != State::kApplied && state != State::kFailed)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("postback %lld cannot be accepted", static_cast<long long>(id)),
                    has_body ? errdetail("It does not verify as of its receipt.") : errdetail("Its body was purged or erased.")));
}

Datum Accept(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("inbox_id and reassign must not be null")));
  const Oid schema = SchemaOf(fcinfo);
  const Oid inbox = TableIn(schema, "cc_inbox");
  PreventCommandIfReadOnly("cc_accept()");
  RefuseSuperuser("cc_accept", inbox);
  const Oid owner = SwitchToTableOwner(inbox);
  RequireReadCommitted();

  const std::int64_t id = PG_GETARG_INT64(0);
  InboxRow row = ReadAcceptableRow(schema, id);
  const SettleOutcome outcome = Settle({.schema = schema,
                                        .owner = owner,
                                        .is_stored = true,
                                        .apply_now = true,
                                        .may_wait = true,
                                        .hold = nullptr,
                                        .acceptance = PG_GETARG_BOOL(1) ? Acceptance::kReassigned : Acceptance::kAccepted},
                                       row);
  RequireAccepted(outcome, row, id);
  WriteInboxRow(schema, owner, row);
  return row.Value(InboxColumn::kState);
}

}  // namespace
}  // namespace cc::pg

// Arguments: inbox_id, reassign.
extern "C" PGDLLEXPORT Datum cc_accept(PG_FUNCTION_ARGS) { return cc::pg::Accept(fcinfo); }
