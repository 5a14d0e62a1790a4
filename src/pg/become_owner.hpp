// A SECURITY DEFINER function gives up its definer's rights for those of a table's owner.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Goes on with the rights of the owner of `table`, whom it returns, until the SECURITY DEFINER function that is running ends.
/// ERROR 42501 outside of a SECURITY DEFINER function, or if its definer could not SET ROLE to the owner; 42P01 if there is no
/// such table.
Oid BecomeOwner(Oid table);

}  // namespace cc::pg
