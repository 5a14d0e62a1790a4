#include "pg/owner.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace cc::pg {
namespace {

Oid OwnerOf(Oid table) {
  const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(tuple))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the tables of cryptocloud_postback do not exist"),
                    errhint("Run SELECT cc_setup() to create them.")));
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

}  // namespace

Oid SwitchToTableOwner(Oid table) {
  const Oid owner = OwnerOf(table);
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  // Only within a SECURITY DEFINER function: PostgreSQL undoes the change at its end, by return or by error.
  if ((context & SECURITY_LOCAL_USERID_CHANGE) == 0)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("the rights of a table's owner can only be taken by a SECURITY DEFINER function")));
  // The new rights must not exceed the caller's.
  if (!has_privs_of_role(user, owner))
    ereport(ERROR,
            (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
             errmsg("role \"%s\" cannot act for \"%s\", the owner of \"%s\"", GetUserNameFromId(user, false),
                    GetUserNameFromId(owner, false), get_rel_name(table)),
             errhint("The tables made by cc_setup() must belong to the owner of the extension cryptocloud_postback, or to a "
                     "role that this owner is a member of.")));
  SetUserIdAndSecContext(owner, context);
  return owner;
}

void RefuseSuperuser(const char* function, Oid table) {
  const Oid owner = OwnerOf(table);
  if (!superuser_arg(GetOuterUserId()) || superuser_arg(owner)) return;
  const char* const name = GetUserNameFromId(owner, false);
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("a superuser must not call %s on tables of role \"%s\"", function, name),
                  errdetail("Triggers of that role can run when the transaction commits, with the rights of the superuser."),
                  errhint("Run SET ROLE %s first.", quote_identifier(name))));
}

}  // namespace cc::pg
