// cc_deliver: what it promises stands in sql/pipeline.sql.
#include "pg/deliver.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(cc_deliver);
}

namespace cc::pg {
namespace {

Delivery DeliveryFrom(HeapTupleHeader row) {
  HeapTupleData tuple{};
  tuple.t_len = HeapTupleHeaderGetDatumLength(row);
  tuple.t_data = row;
  const TupleDesc descriptor = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
  if (descriptor->natts != static_cast<int>(kDeliveryColumns)) elog(ERROR, "type cc_delivery is not of this version");
  Delivery delivery;
  heap_deform_tuple(&tuple, descriptor, delivery.values, delivery.nulls);
  ReleaseTupleDesc(descriptor);
  if (delivery.nulls[kInvoiceId] || delivery.nulls[kTokenDigest] || delivery.nulls[kContentDigest])
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a delivery has an invoice and digests")));
  return delivery;
}

void SetText(Datum& value, bool& is_null, const char* text) {
  is_null = text == nullptr;
  if (text != nullptr) value = CStringGetTextDatum(text);
}

}  // namespace
}  // namespace cc::pg

// Arguments: inbox_id, project, received_at, accept_test_payments, notify, apply_now, can_wait, given. Result: state, reason, error.
extern "C" PGDLLEXPORT Datum cc_deliver(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  const TupleDesc descriptor = ResultDescriptor(fcinfo);
  const Receipt receipt{.schema = SchemaOf(fcinfo),
                        .inbox_id = PG_GETARG_INT64(0),
                        .project = PG_GETARG_DATUM(1),
                        .received_at = PG_GETARG_DATUM(2),
                        .accept_test_payments = PG_GETARG_BOOL(3),
                        .notify = PG_GETARG_BOOL(4),
                        .apply_now = PG_GETARG_BOOL(5),
                        .can_wait = PG_GETARG_BOOL(6)};
  const Delivery delivery = DeliveryFrom(PG_GETARG_HEAPTUPLEHEADER(7));
  const Outcome outcome = Deliver(receipt, delivery);
  Datum values[3];
  bool nulls[3];
  SetText(values[0], nulls[0], outcome.state);
  SetText(values[1], nulls[1], outcome.reason);
  SetText(values[2], nulls[2], outcome.error);
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}
