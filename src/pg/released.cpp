// Functions that the SQL of released versions calls and the SQL of this version does not. A library that is newer than the SQL
// still receives postbacks. They are kept pending until ALTER EXTENSION UPDATE and cc_setup() have run.
#include "core/utf8.hpp"
#include "pg/owner.hpp"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"

PG_FUNCTION_INFO_V1(cc_become_owner);
PG_FUNCTION_INFO_V1(cc_text_or_null);
PG_FUNCTION_INFO_V1(cc_read_delivery);
PG_FUNCTION_INFO_V1(cc_deliver);
PG_FUNCTION_INFO_V1(cc_is_paid);
PG_FUNCTION_INFO_V1(cc_payment);
}

namespace cc::pg {
namespace {

Datum RowOfNulls(FunctionCallInfo fcinfo) {
  const TupleDesc descriptor = ResultDescriptor(fcinfo);
  const auto count = static_cast<std::size_t>(descriptor->natts);
  auto* const values = static_cast<Datum*>(palloc0(count * sizeof(Datum)));
  auto* const nulls = static_cast<bool*>(palloc(count * sizeof(bool)));
  for (std::size_t i = 0; i < count; ++i) nulls[i] = true;
  return HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls));
}

[[noreturn]] void RaiseOldSql() {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("the SQL of extension cryptocloud_postback is older than its library"),
                  errhint("Run ALTER EXTENSION cryptocloud_postback UPDATE.")));
  pg_unreachable();
}

}  // namespace
}  // namespace cc::pg

extern "C" {
// 0.1.0: called by cc_receive and cc_apply.
PGDLLEXPORT Datum cc_become_owner(PG_FUNCTION_ARGS) {
  PG_RETURN_OID(cc::pg::SwitchToTableOwner(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0)));
}

// 0.1.0: called by cc_receive. Returns the bytes as text; NULL if they are not valid UTF-8 or hold a NUL.
PGDLLEXPORT Datum cc_text_or_null(PG_FUNCTION_ARGS) {
  const std::string_view bytes = cc::pg::ViewOf(PG_GETARG_BYTEA_PP(0));
  if (bytes.find('\0') != std::string_view::npos || !cc::IsUtf8(bytes)) PG_RETURN_NULL();
  return cc::pg::TextDatum(bytes);
}

// 0.1.0: called by cc_apply, which skips a row when cc_deliver returns NULLs.
PGDLLEXPORT Datum cc_read_delivery(PG_FUNCTION_ARGS) { return cc::pg::RowOfNulls(fcinfo); }
PGDLLEXPORT Datum cc_deliver(PG_FUNCTION_ARGS) { return cc::pg::RowOfNulls(fcinfo); }

// 0.1.0: called by cc_update_invoice, which only the library of 0.1.0 called.
PGDLLEXPORT Datum cc_is_paid(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  cc::pg::RaiseOldSql();
}
PGDLLEXPORT Datum cc_payment(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  cc::pg::RaiseOldSql();
}
}
