// What cc_purge and cc_erase begin with.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

struct OwnTables {
  Oid schema;
  Oid owner;  ///< and the current user
};

/// Goes on with the rights of the tables' owner. ERROR 42501 for a superuser unless a superuser owns the tables, 25006 in a
/// read-only transaction, 0A000 unless it is READ COMMITTED, 55000 if the tables are of an earlier version.
OwnTables BeginRetention(FunctionCallInfo fcinfo, const char* function);

}  // namespace cc::pg
