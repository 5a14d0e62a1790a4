#include "pg/project.hpp"

#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace cc::pg {

bool FindProject(Oid schema, Datum name, Project& project) {
  const Relation table = OpenTable(schema, "cc_project");
  const Snapshot now = TakeLatestSnapshot();
  Scan scan(table, now, {{"name", TEXTOID, name}});
  HeapTuple row = scan.Next();
  if (row != nullptr) {
    row = heap_copytuple(row);
    ColumnFinder columns(table);  // in the order of the table
    project.secret = {columns.RequiredValue(row, "secret", TEXTOID), false};
    project.previous_secret = columns.Value(row, "previous_secret", TEXTOID);
    project.previous_secret_until = columns.Value(row, "previous_secret_until", TIMESTAMPTZOID);
    project.require_order_id = DatumGetBool(columns.RequiredValue(row, "require_order_id", BOOLOID));
    project.leeway = {columns.RequiredValue(row, "leeway", INTERVALOID), false};
    project.accept_test_payments = DatumGetBool(columns.RequiredValue(row, "accept_test_payments", BOOLOID));
    project.notify = DatumGetBool(columns.RequiredValue(row, "notify", BOOLOID));
    project.is_deferred = ViewOf(DatumGetTextPP(columns.RequiredValue(row, "apply", TEXTOID))) == "deferred";
  }
  scan.End();
  ForgetSnapshot(now);
  CloseTable(table);
  return row != nullptr;
}

}  // namespace cc::pg
