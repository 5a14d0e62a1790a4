// cc_read_delivery: what it promises stands in sql/pipeline.sql.
#include "pg/delivery.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"

PG_FUNCTION_INFO_V1(cc_read_delivery);
}

namespace cc::pg {
namespace {

// A first secret that is NULL asks for no verification: the row was verified when it came.
Verification ReadAndVerify(FunctionCallInfo fcinfo, const Request& request) {
  if (PG_ARGISNULL(3)) return ReadOnly(request);
  VerificationInput input{};
  input.request = request;
  input.secrets[input.secret_count++] = SecretFrom(fcinfo->args[3]);
  if (!PG_ARGISNULL(4)) input.secrets[input.secret_count++] = SecretFrom(fcinfo->args[4]);
  input.clock = ClockFrom(fcinfo->args[5], fcinfo->args[6]);
  return Verify(input);
}

}  // namespace
}  // namespace cc::pg

// Arguments: body text, raw bytea, content_type, secret, previous_secret, at, leeway.
extern "C" PGDLLEXPORT Datum cc_read_delivery(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  const TupleDesc descriptor = ResultDescriptor(fcinfo);
  const varlena* const body = ArgumentOrNull(fcinfo, 0);
  const varlena* const bytes = body != nullptr ? body : ArgumentOrNull(fcinfo, 1);
  Verification verification = ReadAndVerify(fcinfo, RequestFrom(bytes, body != nullptr, ArgumentOrNull(fcinfo, 2)));
  Delivery delivery = MakeDelivery(verification);
  FreeVerification(verification);
  return HeapTupleGetDatum(heap_form_tuple(descriptor, delivery.values, delivery.nulls));
}
