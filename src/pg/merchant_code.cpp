#include "pg/merchant_code.hpp"

#include <cstring>

#include "pg/constraints.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace cc::pg {
namespace {

// Returns true if the schema of this user's name, which "$user" in a search_path means, is that user's own. Any role with CREATE
// on the database may make a schema of that name.
bool HasOwnSchema(Oid user) {
  const HeapTuple schema = SearchSysCache1(NAMESPACENAME, CStringGetDatum(GetUserNameFromId(user, false)));
  if (!HeapTupleIsValid(schema)) return false;
  const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(schema))->nspowner;
  ReleaseSysCache(schema);
  return owner == user || superuser_arg(owner);
}

#define CURSOR "pg_catalog.concat_ws(' ', creation_time, name, statement)"

// Returns the cursors that outlive their transaction, as a text[].
Statement select_cursors{[](const char*) -> const char* {
  return "SELECT coalesce(pg_catalog.array_agg(" CURSOR "), '{}') FROM pg_catalog.pg_cursors WHERE is_holdable";
}};

// Returns those that are not in the text[]. Their number says nothing, because the merchant's code can close one of the caller's.
Statement select_other_cursors{[](const char*) -> const char* {
  return "SELECT name FROM pg_catalog.pg_cursors WHERE is_holdable AND " CURSOR " OPERATOR(pg_catalog.<>) ALL ($1)";
}};

#undef CURSOR

Datum HoldableCursors(Oid schema) {
  const ResultRow row = Execute(select_cursors, schema, nullptr, 0).first;
  bool is_null;
  return heap_getattr(row.tuple, 1, row.descriptor, &is_null);
}

bool HasOtherCursors(Oid schema, Datum cursors) {
  const Parameter parameter{TEXTARRAYOID, cursors};
  return Execute(select_other_cursors, schema, &parameter, 1).processed > 0;
}

// The user who connected. A background worker without a user has the rights of a superuser.
bool IsConnectedAsSuperuser() { return !OidIsValid(MyProc->roleId) || superuser_arg(MyProc->roleId); }

// In code that runs at commit, a superuser's session can RESET ROLE and RESET SESSION AUTHORIZATION. So the merchant's code may
// not leave any for commit.
bool MayLeaveNoCode(Oid owner) {
  return (superuser_arg(GetSessionUserId()) || IsConnectedAsSuperuser()) && !superuser_arg(owner);
}

// What is known of the tables, until they change.
struct {
  const char* name;
  Oid table;
  bool runs_merchant_code;
} known_tables[] = {{"cc_inbox", InvalidOid, false}, {"cc_import_log", InvalidOid, false}};

void ForgetTables(Oid table) {
  for (auto& known : known_tables)
    if (!OidIsValid(table) || table == known.table) known.table = InvalidOid;
}

}  // namespace

const char* MerchantSearchPath(Oid schema, Oid user) {
  return psprintf("%s, %spublic, pg_temp", quote_identifier(get_namespace_name(schema)), HasOwnSchema(user) ? "\"$user\", " : "");
}

MerchantCode BeginMerchantCode(Oid schema, Oid owner) {
  MerchantCode code{
      .schema = schema, .owner = owner, .may_leave_no_code = MayLeaveNoCode(owner), .cursors = Datum{0}, .settings = 0};
  if (code.may_leave_no_code) code.cursors = HoldableCursors(schema);
  code.settings = NewGUCNestLevel();
  set_config_option("search_path", MerchantSearchPath(schema, owner), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                    false);
  return code;
}

void EndMerchantCode(const MerchantCode& code, bool check) {
  if (check) CheckDeferredConstraints(code.owner);
  if (code.may_leave_no_code && (HasOtherCursors(code.schema, code.cursors) || HasPendingTriggers()))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("a trigger left code that would run at commit in the session of a superuser"),
                    errdetail("It declared a cursor WITH HOLD, or queued a deferred trigger of another owner."),
                    errhint("Connect as the owner of the tables.")));
  AtEOXact_GUC(false, code.settings);  // as for an error: SET in a trigger does not affect the caller's session
}

bool RunsMerchantCode(Oid schema, const char* table) {
  OnRelationChange(ForgetTables);
  for (auto& known : known_tables) {
    if (std::strcmp(known.name, table) != 0) continue;
    if (!OidIsValid(known.table) || known.table != get_relname_relid(table, schema)) {
      const Relation relation = table_open(TableIn(schema, table), AccessShareLock);  // not OpenTable: others refuse a wrong one
      known.table = RelationGetRelid(relation);  // before the lookups: a change that they meet forgets it again
      known.runs_merchant_code = RunsMerchantCode(relation);
      CloseTable(relation);
    }
    return known.runs_merchant_code;
  }
  elog(ERROR, "unexpected table: %s", table);
}

}  // namespace cc::pg
