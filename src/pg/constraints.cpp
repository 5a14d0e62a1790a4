#include "pg/constraints.hpp"

#include "pg/table.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace cc::pg {
namespace {

// --- The deferrable constraint triggers of the database, cached until a constraint changes ---

struct ConstraintTrigger {
  Oid constraint;
  Oid table;  // changes of this table fire it
  Oid function;
};

ConstraintTrigger* triggers;
int trigger_count;
std::uint64_t changes = 1;   // number of changes of constraints so far
std::uint64_t known_at = 0;  // value of `changes` when the triggers were read

void NoteChange(Datum, int, uint32) { ++changes; }

void ReadTriggers() {
  static bool is_registered = false;
  if (!is_registered) CacheRegisterSyscacheCallback(CONSTROID, NoteChange, Datum{0});
  is_registered = true;
  if (known_at == changes) return;

  const std::uint64_t seen = changes;
  if (triggers != nullptr) pfree(triggers);
  triggers = nullptr;
  trigger_count = 0;
  int room = 16;
  triggers = static_cast<ConstraintTrigger*>(
      MemoryContextAlloc(TopMemoryContext, static_cast<std::size_t>(room) * sizeof(ConstraintTrigger)));
  const Relation catalog = table_open(TriggerRelationId, AccessShareLock);
  const SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
  for (HeapTuple row; HeapTupleIsValid(row = systable_getnext(scan));) {
    const auto* const trigger = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row));
    if (!trigger->tgdeferrable || !OidIsValid(trigger->tgconstraint)) continue;
    if (trigger_count == room) {
      room *= 2;
      triggers = static_cast<ConstraintTrigger*>(repalloc(triggers, static_cast<std::size_t>(room) * sizeof(ConstraintTrigger)));
    }
    triggers[trigger_count++] = {trigger->tgconstraint, trigger->tgrelid, trigger->tgfoid};
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  known_at = seen;
}

// --- The owner of a constraint ---

bool IsOwnedBy(Oid table, Oid owner) {
  const HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row)) return false;
  const bool is_owned = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner == owner;
  ReleaseSysCache(row);
  return is_owned;
}

bool IsBuiltIn(Oid function) { return function < FirstNormalObjectId; }

// Returns true for a function of the owner, or of PostgreSQL itself, such as those of foreign keys.
bool IsTrustedFunction(Oid function, Oid owner) {
  if (IsBuiltIn(function)) return true;
  const HeapTuple row = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(row)) return false;
  const bool is_owned = reinterpret_cast<Form_pg_proc>(GETSTRUCT(row))->proowner == owner;
  ReleaseSysCache(row);
  return is_owned;
}

bool AreFunctionsTrusted(Oid constraint, Oid owner) {
  bool trusted = true;
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(constraint));
  const Relation catalog = table_open(TriggerRelationId, AccessShareLock);
  const SysScanDesc scan = systable_beginscan(catalog, TriggerConstraintIndexId, true, nullptr, 1, &key);
  for (HeapTuple row; HeapTupleIsValid(row = systable_getnext(scan));)
    trusted &= IsTrustedFunction(reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row))->tgfoid, owner);
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return trusted;
}

bool IsTrusted(const FormData_pg_constraint& constraint, Oid owner) {
  return OidIsValid(constraint.conrelid) && IsOwnedBy(constraint.conrelid, owner) && AreFunctionsTrusted(constraint.oid, owner);
}

bool HasPendingEvents(Oid constraint) {
  for (int i = 0; i < trigger_count; ++i)
    if (triggers[i].constraint == constraint && AfterTriggerPendingOnRel(triggers[i].table)) return true;
  return false;
}

// SET CONSTRAINTS finds constraints by schema and name, so it also finds others of the same schema and name.
struct Namesakes {
  bool are_foreign_events_pending = false;  // of a constraint of another owner
  bool are_all_deferred = true;             // as declared
};

Namesakes FindNamesakes(const FormData_pg_constraint& constraint, Oid owner) {
  Namesakes namesakes;
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_constraint_conname, BTEqualStrategyNumber, F_NAMEEQ, NameGetDatum(&constraint.conname));
  ScanKeyInit(&keys[1], Anum_pg_constraint_connamespace, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(constraint.connamespace));
  const Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
  const SysScanDesc scan = systable_beginscan(catalog, ConstraintNameNspIndexId, true, nullptr, 2, keys);
  for (HeapTuple row; HeapTupleIsValid(row = systable_getnext(scan));) {
    const auto& other = *reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row));
    namesakes.are_all_deferred &= other.condeferrable && other.condeferred;
    namesakes.are_foreign_events_pending |= other.condeferrable && !IsTrusted(other, owner) && HasPendingEvents(other.oid);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
  return namesakes;
}

// --- Firing ---

// SET CONSTRAINTS schema.name IMMEDIATE, or DEFERRED
void SetMode(const FormData_pg_constraint& constraint, bool deferred) {
  ConstraintsSetStmt statement{};
  statement.type = T_ConstraintsSetStmt;
  statement.constraints =
      lappend(NIL, makeRangeVar(get_namespace_name(constraint.connamespace), pstrdup(NameStr(constraint.conname)), -1));
  statement.deferred = deferred;
  AfterTriggerSetState(&statement);
}

// Copies a constraint. Returns false if it no longer exists.
bool ReadConstraint(Oid oid, FormData_pg_constraint& constraint) {
  const HeapTuple row = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
  if (!HeapTupleIsValid(row)) return false;
  constraint = *reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row));
  ReleaseSysCache(row);
  return true;
}

void Fire(const FormData_pg_constraint& constraint, Oid owner) {
  if (FindNamesakes(constraint, owner).are_foreign_events_pending)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("deferred constraint \"%s\" cannot be checked before commit", NameStr(constraint.conname)),
                    errdetail("A constraint of another owner has the same name in schema \"%s\", and pending events.",
                              get_namespace_name(constraint.connamespace)),
                    errhint("Rename one of them.")));
  SetMode(constraint, false);
}

// Fires the next constraint that may have pending events and is not in `fired`. Returns false if there is none.
bool FireNext(Oid owner, List** fired) {
  for (int i = 0; i < trigger_count; ++i) {
    const Oid oid = triggers[i].constraint;
    if (list_member_oid(*fired, oid) || !AfterTriggerPendingOnRel(triggers[i].table)) continue;
    FormData_pg_constraint constraint;
    if (!ReadConstraint(oid, constraint) || !IsTrusted(constraint, owner)) continue;
    *fired = lappend_oid(*fired, oid);
    Fire(constraint, owner);
    return true;
  }
  return false;
}

// A deferred unique or exclusion constraint evaluates the expressions of its index again. A foreign key has the rights of the
// owner of its table, and cannot reset them.
bool MayRunOthersCode(const ConstraintTrigger& trigger) {
  FormData_pg_constraint constraint;
  if (trigger.function != F_UNIQUE_KEY_RECHECK) return !IsBuiltIn(trigger.function);
  return ReadConstraint(trigger.constraint, constraint) && CallsOthersCode(constraint.conindid);
}

}  // namespace

void CheckDeferredConstraints(Oid owner) {
  ReadTriggers();
  if (trigger_count == 0) return;
  List* fired = NIL;
  // One constraint at a time: a fired trigger may queue events of another one, or change a constraint.
  while (FireNext(owner, &fired)) ReadTriggers();
  ListCell* cell;
  foreach (cell, fired) {
    FormData_pg_constraint constraint;
    if (ReadConstraint(lfirst_oid(cell), constraint) && FindNamesakes(constraint, owner).are_all_deferred)
      SetMode(constraint, true);
  }
}

bool HasPendingTriggers() {
  ReadTriggers();
  for (int i = 0; i < trigger_count; ++i)
    if (AfterTriggerPendingOnRel(triggers[i].table) && MayRunOthersCode(triggers[i])) return true;
  return false;
}

}  // namespace cc::pg
