#include "pg/statement.hpp"

#include <cstring>

extern "C" {
#include "utils/builtins.h"
#include "utils/lsyscache.h"
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

}  // namespace

Result Execute(Statement& statement, Oid schema, const Parameter* parameters, int count) {
  if (count > kMaxParameters) elog(ERROR, "too many parameters: %d", count);
  const char* const schema_name = get_namespace_name(schema);
  if (schema_name == nullptr) elog(ERROR, "schema %u does not exist", schema);
  const MemoryContext caller = CurrentMemoryContext;
  SPI_connect();
  if (statement.plan == nullptr || std::strcmp(NameStr(statement.schema), schema_name) != 0)
    Prepare(statement, schema_name, parameters, count);
  Datum values[kMaxParameters];
  char nulls[kMaxParameters];
  for (int i = 0; i < count; ++i) {
    values[i] = parameters[i].value;
    nulls[i] = parameters[i].is_null ? 'n' : ' ';
  }
  const int code = SPI_execute_plan(statement.plan, values, nulls, false, 0);
  if (code < 0) elog(ERROR, "could not execute: %s", SPI_result_code_string(code));
  const Result result{.processed = SPI_processed, .first = FirstRow(caller)};
  SPI_finish();
  return result;
}

}  // namespace cc::pg
