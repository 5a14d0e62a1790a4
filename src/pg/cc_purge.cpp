// cc_purge: deletes old bodies, and old rows that nothing depends on. Its contract is in sql/retain.sql.
#include "pg/merchant_code.hpp"
#include "pg/retain.hpp"
#include "pg/statement.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_purge);
}

namespace cc::pg {
namespace {

// Rows that spend no token and need no attention are deleted.
constexpr const char* kIsDeleted =
    "(state OPERATOR(pg_catalog.=) ANY ('{rejected,duplicate}'::pg_catalog.text[]) AND token_digest IS NULL)";
// Other rows lose their body only. An applied row stays, whether it spends a token or not.
constexpr const char* kIsPurged = "state OPERATOR(pg_catalog.=) ANY ('{rejected,duplicate,applied}'::pg_catalog.text[])";

// Locks the rows to purge: received before $1, at most $2 rows, project by project, the oldest first. Both parts read the index
// cc_inbox_received in its order, without purged rows. `oldest` finds each project and its oldest row by one probe.
Statement select_due{[](const char* schema) -> const char* {
  const auto probe = [schema](const char* condition) {
    return psprintf("(SELECT project, received_at FROM %s.cc_inbox WHERE NOT is_purged%s ORDER BY project, received_at LIMIT 1)",
                    schema, condition);
  };
  return psprintf(
      "WITH RECURSIVE oldest AS (%s UNION ALL SELECT next.* FROM oldest CROSS JOIN LATERAL %s AS next)"
      " SELECT pg_catalog.array_agg(id) FILTER (WHERE is_deleted), pg_catalog.array_agg(id) FILTER (WHERE NOT is_deleted)"
      " FROM (SELECT due.* FROM oldest CROSS JOIN LATERAL ("
      "SELECT id, %s AS is_deleted FROM %s.cc_inbox"
      " WHERE NOT is_purged AND project OPERATOR(pg_catalog.=) oldest.project AND received_at OPERATOR(pg_catalog.<) $1 AND %s"
      " ORDER BY received_at FOR UPDATE SKIP LOCKED) AS due"
      " WHERE oldest.received_at OPERATOR(pg_catalog.<) $1 LIMIT $2) AS found",
      probe(""), probe(" AND project OPERATOR(pg_catalog.>) oldest.project"), kIsDeleted, schema, kIsPurged);
}};

Statement delete_rows{[](const char* schema) -> const char* {
  return psprintf("DELETE FROM %s.cc_inbox WHERE id OPERATOR(pg_catalog.=) ANY ($1)", schema);
}};

Statement remove_bodies{[](const char* schema) -> const char* {
  return psprintf("UPDATE %s.cc_inbox SET body = NULL, raw = NULL, is_purged = true WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
                  schema);
}};

// Returns now - `older_than`. Raises 22023 unless that is at least a day ago. A day has 23 hours when summer time begins, and an
// interval such as '1 month -29 days' may be no time at all.
Datum CutoffFrom(NullableDatum older_than) {
  static Interval day{.time = 0, .day = 1, .month = 0};
  const TimestampTz now = GetCurrentTimestamp();
  TimestampTz cutoff = now;
  if (!older_than.isnull && DatumGetBool(DirectFunctionCall2(interval_ge, older_than.value, IntervalPGetDatum(&day))))
    cutoff = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(now), older_than.value));
  if (TIMESTAMP_NOT_FINITE(cutoff) || cutoff > now - 23 * USECS_PER_HOUR)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("older_than must be one day or more, and finite")));
  return TimestampTzGetDatum(cutoff);
}

// Forces the index, which alone has the order that the query asks for, whatever rows the planner expects in the table.
ResultRow SelectDue(Oid schema, const Parameter* parameters) {
  const int outside = NewGUCNestLevel();
  set_config_option("enable_sort", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  const ResultRow due = Execute(select_due, schema, parameters, 2).first;
  AtEOXact_GUC(false, outside);
  return due;
}

// Runs `statement` for the ids in column `column` of `due`, and returns the number of changed rows.
std::uint64_t Change(Statement& statement, Oid schema, const ResultRow& due, int column) {
  bool is_null;
  const Datum ids = heap_getattr(due.tuple, column, due.descriptor, &is_null);
  const Parameter parameter{INT8ARRAYOID, ids};
  return is_null ? 0 : Execute(statement, schema, &parameter, 1).processed;
}

Datum Purge(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(1) || PG_GETARG_INT32(1) < 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be zero or more")));
  const Parameter parameters[] = {{TIMESTAMPTZOID, CutoffFrom(fcinfo->args[0])}, {INT8OID, Int64GetDatum(PG_GETARG_INT32(1))}};
  const OwnTables tables = BeginRetention(fcinfo, "cc_purge");
  const MerchantCode around = BeginMerchantCode(tables.schema, tables.owner);
  const ResultRow due = SelectDue(tables.schema, parameters);
  const std::uint64_t changed = Change(delete_rows, tables.schema, due, 1) + Change(remove_bodies, tables.schema, due, 2);
  EndMerchantCode(around, true);
  PG_RETURN_INT32(static_cast<std::int32_t>(changed));
}

}  // namespace
}  // namespace cc::pg

// Arguments: older_than, max_rows.
extern "C" PGDLLEXPORT Datum cc_purge(PG_FUNCTION_ARGS) { return cc::pg::Purge(fcinfo); }
