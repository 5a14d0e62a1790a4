// cc_erase: erases the personal data of an invoice. Its contract is in sql/retain.sql.
#include "core/field.hpp"
#include "core/invoice_columns.hpp"
#include "pg/lock.hpp"
#include "pg/merchant_code.hpp"
#include "pg/retain.hpp"
#include "pg/statement.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_erase);
}

namespace cc::pg {
namespace {

constexpr const char* kOfInvoice = "invoice_id OPERATOR(pg_catalog.=) $1 AND project OPERATOR(pg_catalog.=) $2";

Statement count_waiting{[](const char* schema) -> const char* {
  return psprintf(
      "SELECT pg_catalog.count(*) FROM %s.cc_inbox WHERE %s"
      " AND state OPERATOR(pg_catalog.=) ANY ('{pending,failed,conflict}'::pg_catalog.text[])",
      schema, kOfInvoice);
}};

Statement remove_bodies{[](const char* schema) -> const char* {
  return psprintf("UPDATE %s.cc_inbox SET body = NULL, raw = NULL WHERE %s AND (body IS NOT NULL OR raw IS NOT NULL)", schema,
                  kOfInvoice);
}};

Statement remove_answers{[](const char* schema) -> const char* {
  return psprintf("UPDATE %s.cc_import_log SET element = NULL WHERE %s AND element IS NOT NULL", schema, kOfInvoice);
}};

// Appends `format` once for each personal column.
void AppendPersonal(StringInfo text, const char* format) {
  for (const InvoiceColumn& column : kInvoiceColumns)
    if (column.group == ColumnGroup::kPersonal) appendStringInfo(text, format, column.name.data());
}

// This UPDATE names only these columns, so that no trigger on UPDATE OF other columns fires.
Statement erase_invoice{[](const char* schema) -> const char* {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "UPDATE %s.cc_invoice SET ", schema);
  AppendPersonal(&text, "%s = NULL, ");
  appendStringInfo(&text, "erased_at = $3 WHERE %s AND (erased_at IS NULL", kOfInvoice);
  AppendPersonal(&text, " OR %s IS NOT NULL");
  appendStringInfoChar(&text, ')');
  return text.data;
}};

void LockOrRaise(Datum project, Datum invoice_id) {
  if (LockInvoice(ViewOf(DatumGetTextPP(project)), ViewOf(DatumGetTextPP(invoice_id)), true) == LockOutcome::kTooMany)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the transaction erases too many invoices"),
                    errhint("Run COMMIT, then continue.")));
}

void RefuseWaiting(const OwnTables& tables, const Parameter* parameters) {
  const ResultRow row = Execute(count_waiting, tables.schema, parameters, 2).first;
  bool is_null;
  const std::int64_t waiting = DatumGetInt64(heap_getattr(row.tuple, 1, row.descriptor, &is_null));
  if (waiting > 0)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("invoice \"%s\" of project \"%s\" has waiting postbacks", TextDatumGetCString(parameters[0].value),
                           TextDatumGetCString(parameters[1].value)),
                    errdetail("Its pending, failed and conflict rows in cc_inbox: %lld.", static_cast<long long>(waiting)),
                    errhint("Settle them with cc_apply() or cc_accept() first.")));
}

Datum Erase(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invoice_id and project must not be null")));
  const Datum invoice_id = TextDatum(WithoutPrefix(ViewOf(DatumGetTextPP(PG_GETARG_DATUM(0)))));
  const Parameter parameters[] = {
      {TEXTOID, invoice_id}, {TEXTOID, PG_GETARG_DATUM(1)}, {TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp())}};
  const OwnTables tables = BeginRetention(fcinfo, "cc_erase");
  LockOrRaise(parameters[1].value, parameters[0].value);
  RefuseWaiting(tables, parameters);
  const MerchantCode around = BeginMerchantCode(tables.schema, tables.owner);
  // The invoice is last, so that a trigger on erased_at finds all bodies erased.
  const std::uint64_t changed = Execute(remove_bodies, tables.schema, parameters, 2).processed +
                                Execute(remove_answers, tables.schema, parameters, 2).processed +
                                Execute(erase_invoice, tables.schema, parameters, 3).processed;
  EndMerchantCode(around, true);
  PG_RETURN_INT32(static_cast<std::int32_t>(changed));
}

}  // namespace
}  // namespace cc::pg

// Arguments: invoice_id, project.
extern "C" PGDLLEXPORT Datum cc_erase(PG_FUNCTION_ARGS) { return cc::pg::Erase(fcinfo); }
