// The deferred constraints of the tables' owner, checked before a postback counts as applied.
//
// A constraint that is deferred would fail at commit, and take the inbox row with it. SET CONSTRAINTS names constraints by schema
// and name alone, so it may find one of somebody else's as well: their code would run with the owner's rights.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Fires the pending deferred triggers of constraints that `owner` owns, table and trigger function, with the current user's
/// rights. Each such constraint has its declared mode afterwards, or, where one of the same name and schema is declared
/// otherwise, is immediate. Whatever they raise comes out of here, and ERROR 0A000 where events of a foreign constraint of that
/// name would fire along. Without deferrable constraints it does nothing.
void CheckDeferredConstraints(Oid owner);

/// True if triggers of anybody's still have pending events that fire at commit; those of PostgreSQL's own constraints do not
/// count.
bool HasPendingTriggers();

}  // namespace cc::pg
