// The deferred constraints of the tables' owner, checked before a postback counts as applied.
//
// A constraint that is deferred would fail at commit, and take the inbox row with it. SET CONSTRAINTS names constraints by schema
// and name alone, so everything that has the name must be the owner's: code of anybody else's would run with the owner's rights.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Fires the pending deferred triggers of constraints that `owner` owns, table and trigger function, with the current user's
/// rights. Each such constraint has its declared mode afterwards. Whatever they raise comes out of here, and ERROR 0A000 if a
/// constraint that must be fired shares its name and schema with a foreign one. Without deferrable constraints it does nothing.
void CheckDeferredConstraints(Oid owner);

}  // namespace cc::pg
