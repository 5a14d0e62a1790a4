// The extension's own tables, read by key and written by row, without a plan.
//
// A delivery always asks the same few questions. An index answers each in about a microsecond; to plan nothing but set up the
// executor for it takes ten times that.
#pragma once

#include <initializer_list>

#include "pg/postgres.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup.h"
#include "utils/relcache.h"
}

namespace cc::pg {

/// The schema of the called function, where the tables are as well.
Oid SchemaOf(FunctionCallInfo fcinfo);

/// Opens a table for reading as the current user; it stays locked until the transaction ends. ERROR 42P01 if there is none, 42809 if
/// it is not an ordinary one, 42501 if the user may not read it, 0A000 if row-level security would hide rows from them.
Relation OpenTable(Oid schema, const char* name);
/// The same to insert into it as well, if the user may.
Relation OpenTableToInsert(Oid schema, const char* name);
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

/// What a text or bytea column must be equal to.
struct Key {
  const char* column;
  Datum value;
};

/// The rows with these keys, by the index of that name; if it is partial, then those in it. Should it be missing, invalid or of
/// other columns, all rows are read. Sees what the active snapshot does.
class Scan {
 public:
  Scan(Relation table, const char* index, std::initializer_list<Key> keys);

  /// The next row, good until the one after is asked for; nullptr after the last.
  HeapTuple Next();
  /// To be called; there is no destructor, as an error would jump over it.
  void End();

 private:
  SysScanDesc scan_;
};

/// True if InsertRow of all columns does all that an INSERT by the current user would: the table has no rule, statement trigger or
/// check, and its indexes are of mere columns. Row triggers it may have.
bool IsPlain(Relation table);

/// Inserts a row into a plain table, fires the row triggers and checks the constraints. `values` and `nulls` are in the order of
/// the columns.
void InsertRow(Relation table, const Datum* values, const bool* nulls);

}  // namespace cc::pg
