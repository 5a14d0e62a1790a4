// cc_http_answer: its contract is in sql/pipeline.sql.
#include "pg/http_answer.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(cc_http_answer);
}

namespace cc::pg {
namespace {

std::string_view TextOrEmpty(FunctionCallInfo fcinfo, int argument) {
  const varlena* const text = ArgumentOrNull(fcinfo, argument);
  return text == nullptr ? std::string_view{} : ViewOf(text);
}

}  // namespace
}  // namespace cc::pg

// Arguments: state, reason.
extern "C" PGDLLEXPORT Datum cc_http_answer(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  return HttpAnswerDatum(ResultDescriptor(fcinfo), cc::HttpAnswerFor(TextOrEmpty(fcinfo, 0), TextOrEmpty(fcinfo, 1)));
}
