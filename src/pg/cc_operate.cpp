// cc_health, cc_timeline, cc_rehearse and cc_setup. Their work is SQL, in sql/operate.sql, sql/rehearse.sql and sql/setup.sql.
// This file gives that SQL its rights.
#include "pg/lock.hpp"
#include "pg/merchant_code.hpp"
#include "pg/owner.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(cc_health);
PG_FUNCTION_INFO_V1(cc_timeline);
PG_FUNCTION_INFO_V1(cc_rehearse);
PG_FUNCTION_INFO_V1(cc_setup);
}

namespace cc::pg {
namespace {

constexpr int kMaxArguments = 3;

// A superuser may call these functions on the merchant's tables, so no code of the owner's may outlive the call. This forbids
// deferred triggers, cursors, temporary tables and SET ROLE.
void SwitchToOwnerForReading(Oid table) {
  SwitchToTableOwner(table);
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(user, context | SECURITY_RESTRICTED_OPERATION);
}

// Returns the rows of the function `name` in the same schema, with the rights of the current user.
Datum Report(FunctionCallInfo fcinfo, const char* name, std::initializer_list<Parameter> arguments, bool is_read_only) {
  InitMaterializedSRF(fcinfo, 0);
  const auto* const result = reinterpret_cast<const ReturnSetInfo*>(fcinfo->resultinfo);

  Oid types[kMaxArguments];
  Datum values[kMaxArguments];
  char nulls[kMaxArguments];
  StringInfoData query;
  initStringInfo(&query);
  appendStringInfo(&query, "SELECT * FROM %s.%s(", quote_identifier(get_namespace_name(SchemaOf(fcinfo))), name);
  int count = 0;
  for (const Parameter& argument : arguments) {
    types[count] = argument.type;
    values[count] = argument.value;
    nulls[count] = argument.is_null ? 'n' : ' ';
    ++count;
    appendStringInfo(&query, count == 1 ? "$%d" : ", $%d", count);
  }
  appendStringInfoChar(&query, ')');
  const int settings = NewGUCNestLevel();
  SPI_connect();
  const int code = SPI_execute_with_args(query.data, count, types, values, nulls, is_read_only, 0);
  if (code != SPI_OK_SELECT) elog(ERROR, "could not execute: %s", SPI_result_code_string(code));
  for (std::uint64_t i = 0; i < SPI_processed; ++i) tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
  SPI_finish();
  AtEOXact_GUC(false, settings);
  return Datum{0};
}

// The same with the rights of the owner of the tables.
Datum ReportAsOwner(FunctionCallInfo fcinfo, const char* name, std::initializer_list<Parameter> arguments) {
  SwitchToOwnerForReading(TableIn(SchemaOf(fcinfo), "cc_inbox"));
  return Report(fcinfo, name, arguments, true);
}

// The rights of the caller, who may be a superuser that is the owner for now: the owner's code must not SET ROLE or RESET ROLE.
class CallersRights {
 public:
  CallersRights() {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(user_, context_ | SECURITY_LOCAL_USERID_CHANGE);
  }
  /// Must be called. After an ERROR it is not needed, because PostgreSQL resets the user.
  void End() const { SetUserIdAndSecContext(user_, context_); }
  Oid user() const { return user_; }

 private:
  Oid user_;
  int context_;
};

Datum Rehearse(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("trigger_function and since must not be null")));
  if (!SearchSysCacheExists1(PROCOID, PG_GETARG_DATUM(0)))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function with OID %u does not exist", PG_GETARG_OID(0))));
  RefuseSuperuser("cc_rehearse", TableIn(SchemaOf(fcinfo), "cc_inbox"));
  const CallersRights rights;
  const char* const path = MerchantSearchPath(SchemaOf(fcinfo), rights.user());
  Report(fcinfo, "cc_rehearse_rows",
         {ParameterFrom(REGPROCOID, fcinfo->args[0]),
          ParameterFrom(TIMESTAMPTZOID, fcinfo->args[1]),
          {TEXTOID, CStringGetTextDatum(path)}},
         false);
  rights.End();
  return Datum{0};
}

void Setup(Oid schema) {
  const CallersRights rights;
  const MerchantCode around = BeginMerchantCode(schema, rights.user());
  LockSetup();
  SPI_connect();
  const int code = SPI_execute(psprintf("SELECT %s.cc_setup_tables()", quote_identifier(get_namespace_name(schema))), false, 0);
  if (code != SPI_OK_SELECT) elog(ERROR, "could not execute: %s", SPI_result_code_string(code));
  SPI_finish();
  EndMerchantCode(around, false);
  rights.End();
}

}  // namespace
}  // namespace cc::pg

extern "C" {
// Argument: period.
PGDLLEXPORT Datum cc_health(PG_FUNCTION_ARGS) {
  return cc::pg::ReportAsOwner(fcinfo, "cc_health_rows", {cc::pg::ParameterFrom(INTERVALOID, fcinfo->args[0])});
}

// Arguments: search, project.
PGDLLEXPORT Datum cc_timeline(PG_FUNCTION_ARGS) {
  return cc::pg::ReportAsOwner(
      fcinfo, "cc_timeline_rows",
      {cc::pg::ParameterFrom(TEXTOID, fcinfo->args[0]), cc::pg::ParameterFrom(TEXTOID, fcinfo->args[1])});
}

// Arguments: trigger_function, since.
PGDLLEXPORT Datum cc_rehearse(PG_FUNCTION_ARGS) { return cc::pg::Rehearse(fcinfo); }

PGDLLEXPORT Datum cc_setup(PG_FUNCTION_ARGS) {
  cc::pg::Setup(cc::pg::SchemaOf(fcinfo));
  PG_RETURN_VOID();
}
}
