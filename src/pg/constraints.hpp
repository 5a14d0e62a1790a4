// Checks the deferred constraints of the tables' owner before a postback counts as applied.
//
// A deferred constraint would fail at commit, and roll back the inbox row as well. SET CONSTRAINTS takes only schema and name, so
// it may also find a constraint of another owner, whose code would run with the owner's rights.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Fires the pending deferred triggers of constraints whose table and trigger function `owner` owns, with the current user's
/// rights. Afterwards each such constraint has its declared mode; it is immediate if another one of the same schema and name is
/// declared otherwise. Raises what the triggers raise, and 0A000 if events of another owner's constraint of that name would fire
/// too. Without deferrable constraints it does nothing.
void CheckDeferredConstraints(Oid owner);

/// Returns true if triggers of any owner still have pending events for commit. PostgreSQL's own constraints do not count.
bool HasPendingTriggers();

}  // namespace cc::pg
