// SQL statements of the pipeline. Their plans are kept for the session.
#pragma once

#include "pg/postgres.hpp"

extern "C" {
#include "executor/spi.h"
}

namespace cc::pg {

/// The largest number of parameters.
inline constexpr int kMaxParameters = 64;

/// A value for $1, $2, …
struct Parameter {
  Oid type;
  Datum value;
  bool is_null = false;
};

inline Parameter ParameterFrom(Oid type, NullableDatum value) { return {type, value.value, value.isnull}; }

/// Must be static. Number and types of its parameters are always the same.
struct Statement {
  /// Returns the text, in the current memory context. `schema` is quoted. Every name is qualified, including operators.
  const char* (*text)(const char* schema);
  SPIPlanPtr plan = nullptr;
  NameData schema = {};  ///< the schema of the plan
};

/// A row that a statement returned, in the memory context of the caller.
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

/// The same for a statement that reads one row FROM given. With many columns this costs much less than a parameter for each.
Result ExecuteForRow(Statement& statement, Oid schema, TupleDesc descriptor, Datum* values, bool* nulls);

}  // namespace cc::pg
