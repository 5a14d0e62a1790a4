#include "pg/table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "pg/error_text.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "nodes/readfuncs.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
}

namespace cc::pg {
namespace {

// --- Keys and indexes ---

constexpr int kMaxKeys = 4;

RegProcedure EqualityOf(Oid type) {
  switch (type) {
    case TEXTOID: return F_TEXTEQ;
    case BYTEAOID: return F_BYTEAEQ;
    case INT8OID: return F_INT8EQ;
    default: elog(ERROR, "no key of type %u", type);
  }
}

ScanKeyData MakeKey(Relation table, const Key& key) {
  const AttrNumber column = ColumnFinder(table).Get(key.column, key.type);
  ScanKeyData result;
  ScanKeyEntryInitialize(&result, 0, column, BTEqualStrategyNumber, InvalidOid,
                         TupleDescAttr(RelationGetDescr(table), column - 1)->attcollation, EqualityOf(key.type), key.value);
  return result;
}

// Follows the planner: an index that was built during updates is not for transactions older than it.
bool IsReady(Relation index) {
  return !index->rd_index->indcheckxmin ||
         TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin);
}

// Brings the keys into the order of the index and sets its collations. Returns false if they are not its first columns.
bool FitKeys(Relation index, ScanKeyData* keys, int count) {
  if (IndexRelationGetNumberOfKeyAttributes(index) < count) return false;
  for (int i = 0; i < count; ++i) {
    ScanKeyData* const key = std::find_if(keys + i, keys + count, [&](const ScanKeyData& candidate) {
      return candidate.sk_attno == index->rd_index->indkey.values[i];
    });
    if (key == keys + count) return false;
    std::swap(keys[i], *key);
    keys[i].sk_collation = index->rd_indcollation[i];
  }
  return true;
}

// Returns true if the index has all rows with these keys: it is not partial, or its predicate is IS NOT NULL on a key.
bool HasAllRows(Relation index, const ScanKeyData* keys, int count) {
  List* const predicate = RelationGetIndexPredicate(index);
  if (predicate == NIL) return true;
  if (list_length(predicate) != 1 || !IsNode(linitial(predicate), T_NullTest)) return false;
  const auto* const test = static_cast<const NullTest*>(linitial(predicate));
  if (test->nulltesttype != IS_NOT_NULL || !IsNode(test->arg, T_Var)) return false;
  const AttrNumber column = reinterpret_cast<const Var*>(test->arg)->varattno;
  return std::any_of(keys, keys + count, [column](const ScanKeyData& key) { return key.sk_attno == column; });
}

bool Fits(Relation index, ScanKeyData* keys, int count) {
  return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid && FitKeys(index, keys, count) &&
         HasAllRows(index, keys, count);
}

// Returns the names of the key columns, as "a, b".
const char* NamesOf(Relation table, const ScanKeyData* keys, int count) {
  StringInfoData names;
  initStringInfo(&names);
  for (int i = 0; i < count; ++i)
    appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ",
                     NameStr(TupleDescAttr(RelationGetDescr(table), keys[i].sk_attno - 1)->attname));
  return names.data;
}

// The index for some columns of a table, so that it is not searched again.
struct KnownIndex {
  Oid table;
  AttrNumber columns[kMaxKeys];
  Oid index;  // InvalidOid: there is none
};
KnownIndex known_indexes[16];
int known_index_count;

void ForgetIndexes(Oid table) {
  if (!OidIsValid(table) || std::any_of(known_indexes, known_indexes + known_index_count,
                                        [table](const KnownIndex& known) { return known.table == table; }))
    known_index_count = 0;
}

KnownIndex* FindKnownIndex(Oid table, const AttrNumber* columns) {
  for (int i = 0; i < known_index_count; ++i)
    if (known_indexes[i].table == table && std::equal(columns, columns + kMaxKeys, known_indexes[i].columns))
      return &known_indexes[i];
  return nullptr;
}

Oid SearchIndex(Relation table, ScanKeyData* keys, int count) {
  Oid found = InvalidOid;
  List* const indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    if (!OidIsValid(found) && Fits(index, keys, count)) found = RelationGetRelid(index);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
  if (!OidIsValid(found))
    ereport(LOG, (errmsg("cryptocloud_postback: table \"%s\" has no usable index on (%s), so each delivery scans the whole table",
                         RelationGetRelationName(table), NamesOf(table, keys, count)),
                  errhint("Run SELECT cc_setup() to create it."), errwithoutinput()));
  return found;
}

// Returns the index for these keys, open, with the keys in its order; nullptr if there is none.
Relation OpenIndex(Relation table, ScanKeyData* keys, int count, LOCKMODE lock) {
  AttrNumber columns[kMaxKeys] = {};
  for (int i = 0; i < count; ++i) columns[i] = keys[i].sk_attno;
  const KnownIndex* known = FindKnownIndex(RelationGetRelid(table), columns);
  if (known == nullptr) {
    const Oid found = SearchIndex(table, keys, count);
    if (known_index_count == static_cast<int>(std::size(known_indexes))) known_index_count = 0;
    KnownIndex& added = known_indexes[known_index_count++];
    added = {RelationGetRelid(table), {}, found};
    std::copy(columns, columns + kMaxKeys, added.columns);
    known = &added;
  }
  if (!OidIsValid(known->index)) return nullptr;
  const Relation index = index_open(known->index, lock);
  if (Fits(index, keys, count) && IsReady(index)) return index;
  index_close(index, lock);
  return nullptr;
}

// --- Tables ---

// Citus keeps the rows of its tables on other nodes, and its catalog of them here.
bool IsDistributed(Oid table) {
  const Oid catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
  if (!OidIsValid(catalog)) return false;
  const Relation tables = table_open(catalog, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(table));
  const SysScanDesc scan = systable_beginscan(tables, InvalidOid, false, nullptr, 1, &key);
  const bool found = HeapTupleIsValid(systable_getnext(scan));
  systable_endscan(scan);
  table_close(tables, AccessShareLock);
  return found;
}

bool HasMerchantIndex(Relation table) {
  List* const indexes = RelationGetIndexList(table);
  bool found = false;
  ListCell* cell;
  foreach (cell, indexes) found |= CallsOthersCode(lfirst_oid(cell));
  list_free(indexes);
  return found;
}

// Returns true for a unique or exclusion index whose first column is not one of these.
bool IsForeignConstraint(Relation table, Relation index, std::initializer_list<const char*> own_columns) {
  if (!index->rd_index->indisunique && !index->rd_index->indisexclusion) return false;
  const AttrNumber column = index->rd_index->indkey.values[0];
  if (column <= 0) return true;
  const char* const name = NameStr(TupleDescAttr(RelationGetDescr(table), column - 1)->attname);
  return std::none_of(own_columns.begin(), own_columns.end(), [name](const char* own) { return std::strcmp(own, name) == 0; });
}

// The trigger function of the extension's own.
bool IsOwnFunction(Oid function, Relation table) {
  const char* const name = get_func_name(function);
  return name != nullptr && std::strcmp(name, "cc_inbox_insert") == 0 &&
         get_func_namespace(function) == RelationGetNamespace(table);
}

// A lookup in a catalog can replace the table's list of triggers, so it comes after the list is read.
bool HasMerchantTrigger(Relation table) {
  List* functions = NIL;
  for (int i = 0; table->trigdesc != nullptr && i < table->trigdesc->numtriggers; ++i)
    functions = lappend_oid(functions, table->trigdesc->triggers[i].tgfoid);
  ListCell* cell;
  foreach (cell, functions)
    if (!IsOwnFunction(lfirst_oid(cell), table)) return true;
  return false;
}

// True for a check, a generated column, and a default other than a constant.
bool HasMerchantExpression(const TupleConstr* constraints) {
  if (constraints == nullptr) return false;
  for (int i = 0; i < constraints->num_defval; ++i)
    if (!IsNode(stringToNode(constraints->defval[i].adbin), T_Const)) return true;
  return constraints->num_check > 0;
}

void (*relation_listeners[8])(Oid);
int relation_listener_count;

void RelationChanged(Datum, Oid relation) {
  for (int i = 0; i < relation_listener_count; ++i) relation_listeners[i](relation);
}

}  // namespace

void OnRelationChange(void (*forget)(Oid relation)) {
  if (std::find(relation_listeners, relation_listeners + relation_listener_count, forget) !=
      relation_listeners + relation_listener_count)
    return;
  if (relation_listener_count == static_cast<int>(std::size(relation_listeners))) elog(ERROR, "too many listeners");
  if (relation_listener_count == 0) CacheRegisterRelcacheCallback(RelationChanged, Datum{0});
  relation_listeners[relation_listener_count++] = forget;
}

Oid SchemaOf(FunctionCallInfo fcinfo) { return get_func_namespace(fcinfo->flinfo->fn_oid); }

Oid TableIn(Oid schema, const char* name) {
  const Oid table = get_relname_relid(name, schema);
  if (!OidIsValid(table))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table \"%s\" does not exist", name),
                    errhint("Run SELECT cc_setup() to create it.")));
  return table;
}

void RefuseOtherThanOrdinary(Relation table) {
  if (table->rd_rel->relkind != RELKIND_RELATION)
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not an ordinary table", RelationGetRelationName(table))));
  if (IsDistributed(RelationGetRelid(table)))
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is a Citus table", RelationGetRelationName(table)),
                    errdetail("Citus keeps its rows on other nodes, where a postback could be applied twice."),
                    errhint("Keep the tables of cryptocloud_postback local.")));
}

Relation OpenTable(Oid schema, const char* name, LOCKMODE lock) {
  const Relation table = table_open(TableIn(schema, name), lock);
  RefuseOtherThanOrdinary(table);
  const Oid user = GetUserId();
  if (table->rd_rel->relowner != user)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("table \"%s\" does not belong to \"%s\"", name, GetUserNameFromId(user, false)),
                    errhint("cc_project, cc_inbox and cc_invoice must have the same owner.")));
  const AclResult permission = pg_class_aclcheck(RelationGetRelid(table), user, ACL_SELECT);
  if (permission != ACLCHECK_OK) aclcheck_error(permission, OBJECT_TABLE, name);
  if (check_enable_rls(RelationGetRelid(table), InvalidOid, true) == RLS_ENABLED)
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("row-level security of table \"%s\" applies to its owner", name)));
  return table;
}

void CloseTable(Relation table) { table_close(table, NoLock); }

AttrNumber ColumnFinder::Find(const char* name, Oid type) noexcept {
  const TupleDesc descriptor = RelationGetDescr(table_);
  for (int tried = 0; tried < descriptor->natts; ++tried) {
    if (next_ == descriptor->natts) next_ = 0;
    const auto* const column = TupleDescAttr(descriptor, next_++);
    if (!column->attisdropped && std::strcmp(NameStr(column->attname), name) == 0)
      return column->atttypid == type && column->atttypmod == -1 ? column->attnum : AttrNumber{0};
  }
  return 0;
}

AttrNumber ColumnFinder::Get(const char* name, Oid type) {
  const AttrNumber number = Find(name, type);
  if (number == 0)
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("column \"%s\" of \"%s\" is not as cc_setup() makes it", name, RelationGetRelationName(table_)),
                    errhint("Run SELECT cc_setup() to update tables of an earlier version.")));
  return number;
}

NullableDatum ColumnFinder::Value(HeapTuple row, const char* name, Oid type) {
  NullableDatum result;
  result.value = heap_getattr(row, Get(name, type), RelationGetDescr(table_), &result.isnull);
  return result;
}

Datum ColumnFinder::RequiredValue(HeapTuple row, const char* name, Oid type) {
  const NullableDatum value = Value(row, name, type);
  if (value.isnull)
    ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                    errmsg("column \"%s\" of \"%s\" must not be null", name, RelationGetRelationName(table_))));
  return value.value;
}

NullableDatum ColumnOf(Relation table, HeapTuple row, const char* name, Oid type) {
  return ColumnFinder(table).Value(row, name, type);
}

Datum RequiredColumnOf(Relation table, HeapTuple row, const char* name, Oid type) {
  return ColumnFinder(table).RequiredValue(row, name, type);
}

Snapshot TakeLatestSnapshot() { return RegisterSnapshot(GetLatestSnapshot()); }
void ForgetSnapshot(Snapshot snapshot) { UnregisterSnapshot(snapshot); }

bool IsHiddenFromTransaction(HeapTuple row) {
  if (!IsolationUsesXactSnapshot()) return false;
  const TransactionId inserter = HeapTupleHeaderGetXmin(row->t_data);
  return !TransactionIdIsCurrentTransactionId(inserter) && XidInMVCCSnapshot(inserter, GetTransactionSnapshot());
}

Scan::Scan(Relation table, Snapshot snapshot, std::initializer_list<Key> keys, LOCKMODE lock) {
  OnRelationChange(ForgetIndexes);
  Assert(keys.size() <= kMaxKeys);
  ScanKeyData scan_keys[kMaxKeys];
  int count = 0;
  for (const Key& key : keys) scan_keys[count++] = MakeKey(table, key);
  index_ = OpenIndex(table, scan_keys, count, lock);
  scan_ = index_ != nullptr ? systable_beginscan_ordered(table, index_, snapshot, count, scan_keys)
                            : systable_beginscan(table, InvalidOid, false, snapshot, count, scan_keys);
}

HeapTuple Scan::Next() {
  CHECK_FOR_INTERRUPTS();
  return index_ != nullptr ? systable_getnext_ordered(scan_, ForwardScanDirection) : systable_getnext(scan_);
}

void Scan::End() {
  if (index_ == nullptr) return systable_endscan(scan_);
  systable_endscan_ordered(scan_);
  index_close(index_, NoLock);
}

bool RunsMerchantCode(Relation table) {
  const TupleDesc descriptor = RelationGetDescr(table);
  for (int i = 0; i < descriptor->natts; ++i)
    if (TupleDescAttr(descriptor, i)->atttypid >= FirstNormalObjectId) return true;  // the type may be a domain with a check
  return table->rd_rules != nullptr || table->rd_rel->relhassubclass || HasMerchantExpression(descriptor->constr) ||
         HasMerchantTrigger(table) || HasMerchantIndex(table);
}

bool CallsOthersCode(Oid index) {
  const Relation dependencies = table_open(DependRelationId, AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
  ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(index));
  const SysScanDesc scan = systable_beginscan(dependencies, DependDependerIndexId, true, nullptr, 2, keys);
  bool found = false;
  HeapTuple row;
  while (!found && HeapTupleIsValid(row = systable_getnext(scan))) {
    const Oid kind = reinterpret_cast<const FormData_pg_depend*>(GETSTRUCT(row))->refclassid;
    found = kind != RelationRelationId && kind != ConstraintRelationId && kind != CollationRelationId;
  }
  systable_endscan(scan);
  table_close(dependencies, AccessShareLock);
  return found;
}

bool IsKeptUnique(Relation table, const char* column, Oid type) {
  ScanKeyData key = MakeKey(table, {column, type, Datum{0}});
  bool found = false;
  List* const indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    found |= index->rd_index->indisunique && index->rd_index->indimmediate && index->rd_index->indisvalid &&
             IndexRelationGetNumberOfKeyAttributes(index) == 1 && FitKeys(index, &key, 1) && HasAllRows(index, &key, 1);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
  return found;
}

bool MaySkipRows(Relation table, const char* trigger, std::initializer_list<const char*> own_unique_columns) {
  const TriggerDesc* const triggers = table->trigdesc;
  for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
    const Trigger& other = triggers->triggers[i];
    if (TRIGGER_FOR_ROW(other.tgtype) && TRIGGER_FOR_BEFORE(other.tgtype) && TRIGGER_FOR_INSERT(other.tgtype) &&
        other.tgenabled != TRIGGER_DISABLED && std::strcmp(other.tgname, trigger) > 0)
      return true;
  }
  bool found = false;
  List* const indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    found |= IsForeignConstraint(table, index, own_unique_columns);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
  return found;
}

}  // namespace cc::pg
