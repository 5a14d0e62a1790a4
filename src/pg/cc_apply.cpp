// cc_apply and cc_work: they settle waiting rows. Their contract is in sql/pipeline.sql.
#include "pg/apply.hpp"
#include "pg/owner.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(cc_apply);
PG_FUNCTION_INFO_V1(cc_work);
}

namespace cc::pg {
namespace {

constexpr int kWorkBatch = 50;

Oid OwnerOfFunction(Oid function) {
  const HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(row)) elog(ERROR, "function %u does not exist", function);
  const Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(row))->proowner;
  ReleaseSysCache(row);
  return owner;
}

Datum Apply(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0) || PG_GETARG_INT32(0) < 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be zero or more")));
  const Oid schema = SchemaOf(fcinfo);
  const Oid inbox = TableIn(schema, "cc_inbox");
  PreventCommandIfReadOnly("cc_apply()");
  RefuseSuperuser("cc_apply", inbox);
  const Oid owner = SwitchToTableOwner(inbox);
  PG_RETURN_INT32(SettleWaiting(schema, owner, PG_GETARG_INT32(0), {}, nullptr).settled);
}

// Settles one batch with the rights of the owner of the tables, who may differ from the caller. A SECURITY DEFINER procedure
// could not commit.
Batch WorkOnce(Oid function, Oid schema, const Batch& previous) {
  const Oid inbox = TableIn(schema, "cc_inbox");
  RefuseSuperuser("cc_work", inbox);
  Oid caller;
  int context;
  GetUserIdAndSecContext(&caller, &context);
  SetUserIdAndSecContext(OwnerOfFunction(function), context | SECURITY_LOCAL_USERID_CHANGE);
  const Oid owner = SwitchToTableOwner(inbox);
  const Batch batch = SettleWaiting(schema, owner, kWorkBatch, previous.reached, previous.left);
  SetUserIdAndSecContext(caller, context);
  return batch;
}

// Starts a new transaction, in READ COMMITTED whatever the session's default is.
void NextTransaction() {
  SPI_commit();
  XactIsoLevel = XACT_READ_COMMITTED;
  EnsurePortalSnapshotExists();
}

void Work(FunctionCallInfo fcinfo) {
  const auto* const call = fcinfo->context != nullptr && IsNode(fcinfo->context, T_CallContext)
                               ? reinterpret_cast<const CallContext*>(fcinfo->context)
                               : nullptr;
  if (call == nullptr || call->atomic)
    ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
                    errmsg("cc_work cannot run inside a transaction block or a function"), errhint("Use cc_apply() there.")));
  const Oid function = fcinfo->flinfo->fn_oid;
  SPI_connect_ext(SPI_OPT_NONATOMIC);
  // Each batch goes on where the one before ended: as long as some transaction has an old snapshot, the index keeps entries of
  // rows that are settled, and from the start each batch would read all of them. In the end it looks from the start once more.
  // A timeout fires once per statement, so nothing would end a wait after it. With old tables each batch would try one row.
  Batch batch;
  bool from_start;
  do {
    NextTransaction();
    from_start = batch.reached.IsStart();
    batch = WorkOnce(function, SchemaOf(fcinfo), batch);
    if (batch.tried == 0) batch.reached = {};
  } while (!batch.is_over && (batch.tried > 0 || !from_start));
  SPI_finish();
}

}  // namespace
}  // namespace cc::pg

extern "C" {
// Argument: max_rows.
PGDLLEXPORT Datum cc_apply(PG_FUNCTION_ARGS) { return cc::pg::Apply(fcinfo); }

PGDLLEXPORT Datum cc_work(PG_FUNCTION_ARGS) {
  cc::pg::Work(fcinfo);
  PG_RETURN_VOID();
}
}
