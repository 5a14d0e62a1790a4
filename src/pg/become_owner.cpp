#include "pg/become_owner.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(cc_become_owner);
}

namespace cc::pg {
namespace {

Oid OwnerOf(Oid table) {
  const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(tuple))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("the tables of cryptocloud_postback do not exist"),
                    errhint("Run SELECT cc_setup() to make them.")));
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

}  // namespace

Oid BecomeOwner(Oid table) {
  const Oid owner = OwnerOf(table);
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  // Only within a SECURITY DEFINER function: PostgreSQL undoes the change when that ends, by return or by error.
  if ((context & SECURITY_LOCAL_USERID_CHANGE) == 0)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("cc_become_owner can only be called by a SECURITY DEFINER function")));
  // It may only lower what the caller can do.
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

}  // namespace cc::pg

// What it promises stands in sql/pipeline.sql.
extern "C" PGDLLEXPORT Datum cc_become_owner(PG_FUNCTION_ARGS) {
  PG_RETURN_OID(cc::pg::BecomeOwner(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0)));
}
