// The extension's own tables, read by key without a plan.
//
// A delivery always asks the same few questions. An index answers each in about a microsecond; setting up the executor for a
// statement takes ten times that. Rows are written by statements: see statement.hpp.
#pragma once

#include <initializer_list>

#include "pg/postgres.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
}

namespace cc::pg {

/// The schema that the called function is in now; the tables are there as well.
Oid SchemaOf(FunctionCallInfo fcinfo);

/// The OID of the table cc_inbox, cc_project or cc_invoice in this schema. ERROR 42P01 if there is none.
Oid TableIn(Oid schema, const char* name);

/// ERROR unless `table` is an ordinary table on which this code can rely: 42809 for a partitioned, foreign or distributed one.
void RefuseOtherThanOrdinary(Relation table);

/// Opens a table for reading; it stays locked until the transaction ends. ERROR 42P01 if there is none, 42809 if it is not an
/// ordinary one, 42501 if it does not belong to the current user or the user may not read it, 0A000 if row-level security would
/// hide rows.
Relation OpenTable(Oid schema, const char* name);
void CloseTable(Relation table);

/// Finds columns by name. Quickest when they are asked for in the order that the table has them in.
class ColumnFinder {
 public:
  explicit ColumnFinder(Relation table) noexcept : table_(table) {}

  /// The column's number, or 0 unless there is one of this name and type, without a modifier such as the 40 of varchar(40).
  AttrNumber Find(const char* name, Oid type) noexcept;
  /// The same, but ERROR 42804 if there is none.
  AttrNumber Get(const char* name, Oid type);

 private:
  Relation table_;
  int next_ = 0;
};

/// The value of a column. ERROR 42804 if there is none of this name and type.
NullableDatum ColumnOf(Relation table, HeapTuple row, const char* name, Oid type);
/// The same for a column that is never NULL: ERROR 23502 if it is.
Datum RequiredColumnOf(Relation table, HeapTuple row, const char* name, Oid type);

/// What is committed now, whatever snapshot the transaction has, and what the transaction itself did. Registered with the current
/// resource owner; ForgetSnapshot gives it back, and so does an error.
Snapshot TakeLatestSnapshot();
void ForgetSnapshot(Snapshot snapshot);

/// True if the transaction's own snapshot, in REPEATABLE READ or SERIALIZABLE, does not see this row, which the latest one does.
bool IsHiddenFromTransaction(HeapTuple row);

/// What a column must be equal to. The column is text, bytea or bigint.
struct Key {
  const char* column;
  Oid type;
  Datum value;
};

/// The rows with these keys, by an index that begins with these columns, whatever its name; the first of them decides if there
/// are several. Without one all rows are read, and the server's log says so.
class Scan {
 public:
  Scan(Relation table, Snapshot snapshot, std::initializer_list<Key> keys);

  /// The next row, valid until the one after is asked for; nullptr after the last.
  HeapTuple Next();
  /// Must be called: ereport would skip a destructor.
  void End();

 private:
  Relation index_;  // nullptr: all rows are read
  SysScanDesc scan_;
};

/// True if an index, whatever its name, keeps two rows from having the same value in this column.
bool IsKeptUnique(Relation table, const char* column, Oid type);

/// True if code of the merchant's runs when a row of this table is inserted or updated: a trigger, a rule, a check, a default, a
/// generated column, an index that calls a function which did not come with PostgreSQL.
bool RunsMerchantCode(Relation table);

/// True if an insert into this table may skip a row after its BEFORE trigger `trigger` ran: ON CONFLICT DO NOTHING by a unique or
/// exclusion constraint on other columns than the pipeline's own, or a later BEFORE trigger.
bool MaySkipRows(Relation table, const char* trigger, std::initializer_list<const char*> own_unique_columns);

/// Calls `forget` whenever a relation changes, with its OID or InvalidOid for all.
void OnRelationChange(void (*forget)(Oid relation));

}  // namespace cc::pg
