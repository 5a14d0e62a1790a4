#include "pg/table.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
}

namespace cc::pg {
namespace {

constexpr int kMaxKeys = 2;

ScanKeyData MakeKey(Relation table, const Key& key) {
  ColumnFinder columns(table);
  const bool is_text = columns.Find(key.column, TEXTOID) != 0;
  const AttrNumber column = columns.Get(key.column, is_text ? TEXTOID : BYTEAOID);
  ScanKeyData result;
  ScanKeyEntryInitialize(&result, 0, column, BTEqualStrategyNumber, InvalidOid,
                         TupleDescAttr(RelationGetDescr(table), column - 1)->attcollation, is_text ? F_TEXTEQ : F_BYTEAEQ, key.value);
  return result;
}

// As the planner decides it: an index that was built beside updates is not for transactions that are older than it.
bool IsReady(Relation index) {
  return index->rd_index->indisvalid &&
         (!index->rd_index->indcheckxmin ||
          TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin));
}

// Brings the keys into the order of the index and gives them its collations. False if they are not on its first columns.
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

// The index of that name, open, if it can be searched for these keys.
Relation OpenUsableIndex(Relation table, const char* name, ScanKeyData* keys, int count) {
  const Oid oid = get_relname_relid(name, RelationGetNamespace(table));
  if (!OidIsValid(oid) || get_rel_relkind(oid) != RELKIND_INDEX) return nullptr;
  const Relation index = index_open(oid, AccessShareLock);
  if (index->rd_index->indrelid == RelationGetRelid(table) && index->rd_rel->relam == BTREE_AM_OID && IsReady(index) &&
      FitKeys(index, keys, count))
    return index;
  index_close(index, AccessShareLock);
  return nullptr;
}

Relation Open(Oid schema, const char* name, LOCKMODE lock) {
  const Oid oid = get_relname_relid(name, schema);
  if (!OidIsValid(oid))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table \"%s\" does not exist", name),
                    errhint("Run SELECT cc_setup() to make it.")));
  const Relation table = table_open(oid, lock);
  if (table->rd_rel->relkind != RELKIND_RELATION)  // a partitioned one has no rows of its own to scan
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not an ordinary table", name)));
  const AclResult permission = pg_class_aclcheck(oid, GetUserId(), ACL_SELECT);
  if (permission != ACLCHECK_OK) aclcheck_error(permission, OBJECT_TABLE, name);
  if (check_enable_rls(oid, InvalidOid, true) == RLS_ENABLED)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("row-level security of \"%s\" applies to its owner", name)));
  return table;
}

// None on expressions, none partial.
bool HasPlainIndexes(Relation table) {
  bool plain = true;
  List* const indexes = RelationGetIndexList(table);
  ListCell* cell;
  foreach (cell, indexes) {
    const Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    plain &= heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr) &&
             heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
    index_close(index, AccessShareLock);
  }
  list_free(indexes);
  return plain;
}

}  // namespace

Oid SchemaOf(FunctionCallInfo fcinfo) { return get_func_namespace(fcinfo->flinfo->fn_oid); }

Relation OpenTable(Oid schema, const char* name) { return Open(schema, name, AccessShareLock); }
Relation OpenTableToInsert(Oid schema, const char* name) { return Open(schema, name, RowExclusiveLock); }
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
                    errhint("SELECT cc_setup() brings tables of an earlier version up to date.")));
  return number;
}

NullableDatum ColumnOf(Relation table, HeapTuple row, const char* name, Oid type) {
  NullableDatum result;
  result.value = heap_getattr(row, ColumnFinder(table).Get(name, type), RelationGetDescr(table), &result.isnull);
  return result;
}

Scan::Scan(Relation table, const char* index, std::initializer_list<Key> keys) {
  Assert(keys.size() <= kMaxKeys);
  ScanKeyData scan_keys[kMaxKeys];
  int count = 0;
  for (const Key& key : keys) scan_keys[count++] = MakeKey(table, key);
  const Relation usable = OpenUsableIndex(table, index, scan_keys, count);
  scan_ = usable != nullptr ? systable_beginscan_ordered(table, usable, GetActiveSnapshot(), count, scan_keys)
                            : systable_beginscan(table, InvalidOid, false, GetActiveSnapshot(), count, scan_keys);
}

HeapTuple Scan::Next() {
  CHECK_FOR_INTERRUPTS();
  return systable_getnext(scan_);
}

void Scan::End() { systable_endscan(scan_); }  // closes the index as well

bool IsPlain(Relation table) {
  const TupleConstr* const constraints = RelationGetDescr(table)->constr;
  const TriggerDesc* const triggers = table->trigdesc;
  return table->rd_rules == nullptr && (constraints == nullptr || constraints->num_check == 0) &&
         (triggers == nullptr || (!triggers->trig_insert_before_statement && !triggers->trig_insert_after_statement &&
                                  !triggers->trig_insert_new_table)) &&
         HasPlainIndexes(table) && pg_class_aclcheck(RelationGetRelid(table), GetUserId(), ACL_INSERT) == ACLCHECK_OK;
}

// As PostgreSQL's logical replication inserts rows.
void InsertRow(Relation table, const Datum* values, const bool* nulls) {
  EState* const state = CreateExecutorState();
  auto* const target = static_cast<ResultRelInfo*>(palloc0(sizeof(ResultRelInfo)));
  InitResultRelInfo(target, table, 0, nullptr, 0);
  ExecOpenIndices(target, false);
  state->es_opened_result_relations = lappend(NIL, target);  // where the triggers find it

  TupleTableSlot* const row = table_slot_create(table, &state->es_tupleTable);
  const auto columns = static_cast<std::size_t>(RelationGetDescr(table)->natts);
  std::memcpy(row->tts_values, values, columns * sizeof(Datum));
  std::memcpy(row->tts_isnull, nulls, columns * sizeof(bool));
  row->tts_tableOid = RelationGetRelid(table);
  ExecStoreVirtualTuple(row);

  AfterTriggerBeginQuery();
  ExecSimpleRelationInsert(target, state, row);
  AfterTriggerEndQuery(state);

  ExecCloseResultRelations(state);
  ExecResetTupleTable(state->es_tupleTable, false);
  FreeExecutorState(state);
}

}  // namespace cc::pg
