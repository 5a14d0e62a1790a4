// cc_read_delivery: what it promises stands in sql/pipeline.sql.
#include "pg/delivery.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"

PG_FUNCTION_INFO_V1(cc_read_delivery);
}

// Arguments: body text, raw bytea, content_type.
extern "C" PGDLLEXPORT Datum cc_read_delivery(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  const TupleDesc descriptor = ResultDescriptor(fcinfo);
  const varlena* const body = ArgumentOrNull(fcinfo, 0);
  const varlena* const bytes = body != nullptr ? body : ArgumentOrNull(fcinfo, 1);
  Verification verification = ReadOnly(RequestFrom(bytes, body != nullptr, ArgumentOrNull(fcinfo, 2)));
  Delivery delivery = MakeDelivery(verification);
  FreeVerification(verification);
  return HeapTupleGetDatum(heap_form_tuple(descriptor, delivery.values, delivery.nulls));
}
