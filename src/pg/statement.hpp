// SQL statements of the pipeline, run with plans that are kept for the session.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace cc::pg {

/// Most parameters of a statement.
inline constexpr int kMaxParameters = 64;

/// A value for $1, $2, …
struct Parameter {
  Oid type;
  Datum value;
  bool is_null = false;
};

/// Meant to be static. Number and types of the parameters are the same each time.
struct Statement {
  /// Its text, in the current memory context. `schema` is quoted. Every name is qualified, operators too.
  const char* (*text)(const char* schema);
  SPIPlanPtr plan = nullptr;
  NameData schema = {};  ///< that the plan is for
};

/// A row that a statement returned; both in the memory context of the caller.
struct ResultRow {
  HeapTuple tuple = nullptr;  ///< nullptr: none
  TupleDesc descriptor = nullptr;
};

struct Result {
  std::uint64_t processed = 0;
  ResultRow first;
};

/// Runs the statement with the current user's rights.
Result Execute(Statement& statement, Oid schema, const Parameter* parameters, int count);

}  // namespace cc::pg
