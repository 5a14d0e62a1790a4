// A row of cc_project: the secrets of its postbacks, and how they are settled.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// A copy in the current memory context.
struct Project {
  NullableDatum secret, previous_secret, previous_secret_until, leeway;
  bool require_order_id = false;
  bool accept_test_payments = false;
  bool notify = false;
  bool is_deferred = false;
};

/// Reads the project of this name as it is now, whatever snapshot the transaction has. Returns false if there is none. Raises
/// 23502 if a setting is NULL, 42804 if a column is missing.
bool FindProject(Oid schema, Datum name, Project& project);

}  // namespace cc::pg
