// An SQL statement of the pipeline, run through SPI with a plan that is kept for the session.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace cc::pg {

/// The name of the called function's schema, in the current memory context. Not constant: ALTER SCHEMA … RENAME changes it.
const char* SchemaOf(FunctionCallInfo fcinfo);

/// A value for $1, $2, …
struct Parameter {
  Oid type;
  Datum value;
  bool is_null = false;
};

/// Meant to be static. Number and types of the parameters are the same each time.
struct Statement {
  const char* sql;  ///< may say @extschema@, as an extension script may
  SPIPlanPtr plan = nullptr;
  NameData schema = {};  ///< that the plan is for
};

/// Runs it between SPI_connect and SPI_finish, with a snapshot of its own where the transaction's isolation gives one. True if
/// there is a first row for the functions below.
bool Execute(Statement& statement, const char* schema, const Parameter* parameters, int count);

template <std::size_t kCount>
bool Execute(Statement& statement, const char* schema, const Parameter (&parameters)[kCount]) {
  return Execute(statement, schema, parameters, kCount);
}

/// Column `number`, from 1, of the first row that the last statement gave; good until SPI_finish.
NullableDatum ColumnOf(int number);

/// The same of a column that is boolean; NULL is false.
bool BooleanOf(int number);

}  // namespace cc::pg
