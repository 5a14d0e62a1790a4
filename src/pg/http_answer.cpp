#include "pg/http_answer.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/fmgrprotos.h"
}

namespace cc::pg {
namespace {

// {"message": …} or {"error": …}
Datum ResponseDatum(const HttpAnswer& answer) {
  const char* const json = psprintf("{\"%s\": \"%.*s\"}", answer.status == 200 ? "message" : "error",
                                    static_cast<int>(answer.message.size()), answer.message.data());
  return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

}  // namespace

Datum HttpAnswerDatum(TupleDesc descriptor, const HttpAnswer& answer) {
  Datum values[] = {Int32GetDatum(answer.status), ResponseDatum(answer)};
  bool nulls[] = {false, false};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

}  // namespace cc::pg
