#include "pg/http_answer.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/jsonb.h"
}

namespace cc::pg {
namespace {

JsonbValue StringOf(std::string_view text) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string.val = const_cast<char*>(text.data());  // only read
  value.val.string.len = static_cast<int>(text.size());
  return value;
}

// {"message": …} or {"error": …}
Datum ResponseDatum(const HttpAnswer& answer) {
  JsonbValue name = StringOf(answer.status == 200 ? "message" : "error");
  JsonbValue text = StringOf(answer.message);
  JsonbParseState* state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  pushJsonbValue(&state, WJB_KEY, &name);
  pushJsonbValue(&state, WJB_VALUE, &text);
  return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
}

}  // namespace

Datum HttpAnswerDatum(TupleDesc descriptor, const HttpAnswer& answer) {
  Datum values[] = {Int32GetDatum(answer.status), ResponseDatum(answer)};
  bool nulls[] = {false, false};
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

}  // namespace cc::pg
