// cc_check_constraints: what it promises stands in sql/pipeline.sql.
#include "pg/postgres.hpp"

extern "C" {
#include "commands/trigger.h"

PG_FUNCTION_INFO_V1(cc_check_constraints);
}

// Two SET CONSTRAINTS statements in PL/pgSQL do the same, for the price of two utility statements a
// delivery.
extern "C" PGDLLEXPORT Datum cc_check_constraints(PG_FUNCTION_ARGS) {
  static_cast<void>(fcinfo);
  ConstraintsSetStmt* const statement = makeNode(ConstraintsSetStmt);
  statement->constraints = NIL;  // ALL
  statement->deferred = false;
  AfterTriggerSetState(statement);
  statement->deferred = true;
  AfterTriggerSetState(statement);
  PG_RETURN_BOOL(true);
}
