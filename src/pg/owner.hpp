// The pipeline has the rights of the owner of the tables, and no others.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Switches to the rights of the owner of `table` until the running SECURITY DEFINER function ends, and returns the owner. Raises
/// 42501 outside of a SECURITY DEFINER function, or if its definer could not SET ROLE to the owner; 42P01 if the table does not
/// exist.
Oid SwitchToTableOwner(Oid table);

/// Raises 42501 if a superuser called `function` on tables that no superuser owns: the merchant's code can run when the
/// transaction commits, and would have the superuser's rights.
void RefuseSuperuser(const char* function, Oid table);

}  // namespace cc::pg
