// Reads the extension's own tables by key, without a plan.
//
// Each delivery looks up the same few keys. An index scan takes about a microsecond; setting up the executor takes ten times
// that. Rows are written by statements: see statement.hpp.
#pragma once

#include <initializer_list>

#include "pg/postgres.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
}

namespace cc::pg {

/// Returns the current schema of the called function; the tables are there as well.
Oid SchemaOf(FunctionCallInfo fcinfo);

/// Returns the OID of the table cc_inbox, cc_project or cc_invoice in this schema. Raises 42P01 if there is none.
Oid TableIn(Oid schema, const char* name);

/// Raises 42809 unless `table` is an ordinary table: not partitioned, foreign or distributed.
void RefuseOtherThanOrdinary(Relation table);

/// Opens a table for reading; it stays locked until the transaction ends. The same lock again costs less than a second one, so
/// ask for RowExclusiveLock where the transaction writes the table. Raises 42P01 if it does not exist, 42809 if it is not an
/// ordinary table, 42501 if it does not belong to the current user or the user may not read it, 0A000 if row-level security would
/// hide rows.
Relation OpenTable(Oid schema, const char* name, LOCKMODE lock = AccessShareLock);
void CloseTable(Relation table);

/// Finds columns by name. It is fastest in the order of the table's columns.
class ColumnFinder {
 public:
  explicit ColumnFinder(Relation table) noexcept : table_(table) {}

  /// Returns the column's number; 0 unless there is a column of this name and type without a modifier, such as the 40 of
  /// varchar(40).
  AttrNumber Find(const char* name, Oid type) noexcept;
  /// Like Find, but raises 42804 if there is none.
  AttrNumber Get(const char* name, Oid type);
  /// Returns the value of a column. Raises 42804 like Get.
  NullableDatum Value(HeapTuple row, const char* name, Oid type);
  /// The same for a column that is never NULL. Raises 23502 if it is.
  Datum RequiredValue(HeapTuple row, const char* name, Oid type);

 private:
  Relation table_;
  int next_ = 0;
};

/// The same for a single column.
NullableDatum ColumnOf(Relation table, HeapTuple row, const char* name, Oid type);
Datum RequiredColumnOf(Relation table, HeapTuple row, const char* name, Oid type);

/// Returns a snapshot of everything committed now and of this transaction's own changes, whatever snapshot the transaction has.
/// It is registered with the current resource owner. ForgetSnapshot releases it, and so does an error.
Snapshot TakeLatestSnapshot();
void ForgetSnapshot(Snapshot snapshot);

/// Returns true if the transaction's own snapshot, in REPEATABLE READ or SERIALIZABLE, does not see a row of the latest one.
bool IsHiddenFromTransaction(HeapTuple row);

/// A column and the value that it must equal. The column is text, bytea or bigint.
struct Key {
  const char* column;
  Oid type;
  Datum value;
};

/// The rows with these keys, by an index that begins with these columns, whatever its name. Of several rows the first is used for
/// a decision. Without such an index all rows are read, and the server's log says so.
class Scan {
 public:
  /// `lock` is for the index, which stays locked like the table; see OpenTable.
  Scan(Relation table, Snapshot snapshot, std::initializer_list<Key> keys, LOCKMODE lock = AccessShareLock);

  /// Returns the next row, valid until the next call; nullptr after the last row.
  HeapTuple Next();
  /// Must be called: ereport would skip a destructor.
  void End();

 private:
  Relation index_;  // nullptr: all rows are read
  SysScanDesc scan_;
};

/// Returns true if an index, whatever its name, prevents two rows with the same value in this column.
bool IsKeptUnique(Relation table, const char* column, Oid type);

/// Returns true if the index calls a function, operator or type that did not come with PostgreSQL.
bool CallsOthersCode(Oid index);

/// Returns true if an insert or update of this table runs the merchant's code: a trigger, a rule, a check, a default other than a
/// constant, a generated column, or an index with a function that is not PostgreSQL's own. An inheriting table may have any.
bool RunsMerchantCode(Relation table);

/// Returns true if an insert into this table may skip a row after its BEFORE trigger `trigger` ran: ON CONFLICT DO NOTHING with a
/// unique or exclusion constraint on other columns than the pipeline's own, or a later BEFORE trigger.
bool MaySkipRows(Relation table, const char* trigger, std::initializer_list<const char*> own_unique_columns);

/// Calls `forget` whenever a relation changes, with its OID or InvalidOid for all.
void OnRelationChange(void (*forget)(Oid relation));

}  // namespace cc::pg
