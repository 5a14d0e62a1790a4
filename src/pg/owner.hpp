// Whose rights the pipeline has: those of the owner of the tables, and no others.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Goes on with the rights of the owner of `table`, whom it returns, until the SECURITY DEFINER function that is running ends.
/// ERROR 42501 outside of a SECURITY DEFINER function, or if its definer could not SET ROLE to the owner; 42P01 if there is no
/// such table.
Oid SwitchToTableOwner(Oid table);

/// ERROR 42501 if a superuser called `function` on tables that no superuser owns: code of the merchant's can run when the
/// transaction commits, and would run with the superuser's rights.
void RefuseSuperuser(const char* function, Oid table);

}  // namespace cc::pg
