// cc_invoice_columns: returns the list of core/invoice_columns.hpp as rows, for cc_setup().
#include "core/invoice_columns.hpp"
#include "pg/row.hpp"

extern "C" {
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cc_invoice_columns);
}

// Result: name text, type text, not_null boolean, comment text.
extern "C" PGDLLEXPORT Datum cc_invoice_columns(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  InitMaterializedSRF(fcinfo, 0);
  const auto* const result = reinterpret_cast<const ReturnSetInfo*>(fcinfo->resultinfo);
  for (const cc::InvoiceColumn& column : cc::kInvoiceColumns) {
    Datum values[] = {TextDatum(column.name), CStringGetTextDatum(cc::SqlTypeOf(column.kind)), BoolGetDatum(column.not_null),
                      TextDatum(column.comment)};
    bool nulls[] = {false, false, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return Datum{0};
}
