// cc_http_answer: what it promises stands in sql/pipeline.sql.
#include "core/http_answer.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(cc_http_answer);
}

namespace cc::pg {
namespace {

std::string_view TextOrEmpty(FunctionCallInfo fcinfo, int argument) {
  const varlena* const text = ArgumentOrNull(fcinfo, argument);
  return text == nullptr ? std::string_view{} : ViewOf(text);
}

// {"message": …} or {"error": …}
Datum ResponseDatum(const HttpAnswer& answer) {
  const char* const json = psprintf("{\"%s\": \"%.*s\"}", answer.status == 200 ? "message" : "error",
                                    static_cast<int>(answer.words.size()), answer.words.data());
  return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

}  // namespace
}  // namespace cc::pg

// Arguments: state, reason. Result: http_status, response.
extern "C" PGDLLEXPORT Datum cc_http_answer(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  const cc::HttpAnswer answer = cc::HttpAnswerFor(TextOrEmpty(fcinfo, 0), TextOrEmpty(fcinfo, 1));
  Datum values[] = {Int32GetDatum(answer.status), ResponseDatum(answer)};
  bool nulls[] = {false, false};
  return HeapTupleGetDatum(heap_form_tuple(ResultDescriptor(fcinfo), values, nulls));
}
