#include "pg/statement.hpp"

#include <cstring>

extern "C" {
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace cc::pg {
namespace {

constexpr int kMaxParameters = 48;

// The statement's text, with the schema's name in place of @extschema@.
const char* TextFor(const char* schema, std::string_view sql) {
  constexpr std::string_view kPlaceholder = "@extschema@";
  const char* const quoted = quote_identifier(schema);
  StringInfoData text;
  initStringInfo(&text);
  for (std::size_t at; (at = sql.find(kPlaceholder)) != std::string_view::npos; sql.remove_prefix(at + kPlaceholder.size())) {
    appendBinaryStringInfo(&text, sql.data(), static_cast<int>(at));
    appendStringInfoString(&text, quoted);
  }
  appendBinaryStringInfo(&text, sql.data(), static_cast<int>(sql.size()));
  return text.data;
}

// A plan for another name is left as it is, not freed: an outer call may be running it.
void Prepare(Statement& statement, const char* schema, const Parameter* parameters, int count) {
  Oid types[kMaxParameters];
  for (int i = 0; i < count; ++i) types[i] = parameters[i].type;
  // A generic plan at once: what is found here is found by keys, whatever their values.
  const SPIPlanPtr plan = SPI_prepare_cursor(TextFor(schema, statement.sql), count, types, CURSOR_OPT_GENERIC_PLAN);
  if (plan == nullptr || SPI_keepplan(plan) != 0) elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
  statement.plan = plan;
  namestrcpy(&statement.schema, schema);
}

bool FirstValue() {
  if (SPI_tuptable == nullptr || SPI_processed == 0 || SPI_gettypeid(SPI_tuptable->tupdesc, 1) != BOOLOID) return false;
  bool is_null;
  const Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
  return !is_null && DatumGetBool(value);
}

}  // namespace

bool Execute(Statement& statement, Oid schema, const Parameter* parameters, int count) {
  Assert(count <= kMaxParameters);
  const char* const schema_name = get_namespace_name(schema);
  SPI_connect();
  if (statement.plan == nullptr || std::strcmp(NameStr(statement.schema), schema_name) != 0)
    Prepare(statement, schema_name, parameters, count);
  Datum values[kMaxParameters];
  char nulls[kMaxParameters];
  for (int i = 0; i < count; ++i) {
    values[i] = parameters[i].value;
    nulls[i] = parameters[i].is_null ? 'n' : ' ';
  }
  const int result = SPI_execute_plan(statement.plan, values, nulls, false, 0);
  if (result < 0) elog(ERROR, "could not execute: %s", SPI_result_code_string(result));
  const bool first_value = FirstValue();
  SPI_finish();
  return first_value;
}

}  // namespace cc::pg
