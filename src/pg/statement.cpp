#include "pg/statement.hpp"

#include <cstring>

extern "C" {
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"
}

namespace cc::pg {
namespace {

// A plan for another schema name is left, not freed: an outer call may be running it.
void Prepare(Statement& statement, const char* schema, const Parameter* parameters, int count) {
  Oid types[kMaxParameters];
  for (int i = 0; i < count; ++i) types[i] = parameters[i].type;
  // Use a generic plan at once: rows are found by key, whatever the values.
  const SPIPlanPtr plan = SPI_prepare_cursor(statement.text(quote_identifier(schema)), count, types, CURSOR_OPT_GENERIC_PLAN);
  if (plan == nullptr || SPI_keepplan(plan) != 0) elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
  statement.plan = plan;
  namestrcpy(&statement.schema, schema);
}

// Copies the first row out of SPI's memory.
ResultRow FirstRow(MemoryContext memory) {
  if (SPI_tuptable == nullptr || SPI_processed == 0) return {};
  ResultRow row;
  row.tuple = SPI_copytuple(SPI_tuptable->vals[0]);
  const MemoryContext inside = MemoryContextSwitchTo(memory);
  row.descriptor = CreateTupleDescCopy(SPI_tuptable->tupdesc);
  MemoryContextSwitchTo(inside);
  return row;
}

// Returns the plan of the statement, made if there is none for this schema. To be called between SPI_connect and SPI_finish.
SPIPlanPtr PlanOf(Statement& statement, const char* schema, const Parameter* parameters, int count) {
  if (statement.plan == nullptr || std::strcmp(NameStr(statement.schema), schema) != 0)
    Prepare(statement, schema, parameters, count);
  return statement.plan;
}

const char* NameOf(Oid schema) {
  const char* const name = get_namespace_name(schema);
  if (name == nullptr) elog(ERROR, "schema %u does not exist", schema);
  return name;
}

Result Run(SPIPlanPtr plan, Datum* values, const char* nulls, MemoryContext caller) {
  const int code = SPI_execute_plan(plan, values, nulls, false, 0);
  if (code < 0) elog(ERROR, "could not execute: %s", SPI_result_code_string(code));
  return {.processed = SPI_processed, .first = FirstRow(caller)};
}

}  // namespace

Result Execute(Statement& statement, Oid schema, const Parameter* parameters, int count) {
  if (count > kMaxParameters) elog(ERROR, "too many parameters: %d", count);
  const char* const schema_name = NameOf(schema);
  const MemoryContext caller = CurrentMemoryContext;
  SPI_connect();
  const SPIPlanPtr plan = PlanOf(statement, schema_name, parameters, count);
  Datum values[kMaxParameters];
  char nulls[kMaxParameters];
  for (int i = 0; i < count; ++i) {
    values[i] = parameters[i].value;
    nulls[i] = parameters[i].is_null ? 'n' : ' ';
  }
  const Result result = Run(plan, values, nulls, caller);
  SPI_finish();
  return result;
}

Result ExecuteForRow(Statement& statement, Oid schema, TupleDesc descriptor, Datum* values, bool* nulls) {
  const char* const schema_name = NameOf(schema);
  const MemoryContext caller = CurrentMemoryContext;
  SPI_connect();
  Tuplestorestate* const store = tuplestore_begin_heap(false, false, MAX_KILOBYTES);  // not work_mem, which the caller may set
  tuplestore_putvalues(store, descriptor, values, nulls);
  char name[] = "given";
  EphemeralNamedRelationData given{
      .md = {.name = name, .reliddesc = InvalidOid, .tupdesc = descriptor, .enrtype = ENR_NAMED_TUPLESTORE, .enrtuples = 1},
      .reldata = store};
  SPI_register_relation(&given);
  const Result result = Run(PlanOf(statement, schema_name, nullptr, 0), nullptr, nullptr, caller);
  SPI_unregister_relation(name);
  tuplestore_end(store);
  SPI_finish();
  return result;
}

}  // namespace cc::pg
