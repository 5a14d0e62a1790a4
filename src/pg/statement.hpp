// An SQL statement of the pipeline, run with a plan that is kept for the session.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace cc::pg {

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

/// Runs it. Returns what it returned, if that is a boolean; false if nothing or NULL.
bool Execute(Statement& statement, Oid schema, const Parameter* parameters, int count);

}  // namespace cc::pg
