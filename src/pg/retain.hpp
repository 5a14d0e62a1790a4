// The beginning of cc_purge and cc_erase.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

struct OwnTables {
  Oid schema;
  Oid owner;  ///< who is also the current user
};

/// Switches to the rights of the tables' owner. Raises 42501 for a superuser unless a superuser owns the tables, 25006 in a
/// read-only transaction, 0A000 unless it is READ COMMITTED, 55000 if the tables are of an earlier version.
OwnTables BeginRetention(FunctionCallInfo fcinfo, const char* function);

}  // namespace cc::pg
