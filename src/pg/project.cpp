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
    const auto setting = [&](const char* column) { return DatumGetBool(RequiredColumnOf(table, row, column, BOOLOID)); };
    project = {.secret = {RequiredColumnOf(table, row, "secret", TEXTOID), false},
               .previous_secret = ColumnOf(table, row, "previous_secret", TEXTOID),
               .previous_secret_until = ColumnOf(table, row, "previous_secret_until", TIMESTAMPTZOID),
               .leeway = {RequiredColumnOf(table, row, "leeway", INTERVALOID), false},
               .require_order_id = setting("require_order_id"),
               .accept_test_payments = setting("accept_test_payments"),
               .notify = setting("notify"),
               .is_deferred = ViewOf(DatumGetTextPP(RequiredColumnOf(table, row, "apply", TEXTOID))) == "deferred"};
  }
  scan.End();
  ForgetSnapshot(now);
  CloseTable(table);
  return row != nullptr;
}

}  // namespace cc::pg
