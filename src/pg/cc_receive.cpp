// cc_receive: called by proxies. Its contract is in sql/pipeline.sql.
#include "core/postback.hpp"
#include "core/utf8.hpp"
#include "pg/http_answer.hpp"
#include "pg/merchant_code.hpp"
#include "pg/owner.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cc_receive);
PG_FUNCTION_INFO_V1(cc_receive_bytea);
}

namespace cc::pg {
namespace {

Statement insert_into_inbox{[](const char* schema) -> const char* {
  return psprintf("INSERT INTO %s.cc_inbox (project, body, raw, content_type) VALUES ($1, $2, $3, $4) RETURNING state, reason",
                  schema);
}};

// Cuts an oversized body, so that it is not copied as a whole. What is left is still long enough to be rejected as too large. The
// cut is between characters of UTF-8.
NullableDatum WithoutExcess(NullableDatum body) {
  constexpr std::size_t kEnough = kMaxBodySize + 4;
  if (body.isnull || toast_raw_datum_size(body.value) - VARHDRSZ <= kEnough) return body;
  const std::string_view prefix = ViewOf(PG_DETOAST_DATUM_SLICE(body.value, 0, static_cast<int>(kEnough + 1)));
  std::size_t size = kEnough;
  while (size > kMaxBodySize + 1 && (static_cast<unsigned char>(prefix[size]) & 0xC0) == 0x80) --size;
  return {TextDatum(prefix.substr(0, size)), false};  // a bytea has the same form
}

bool IsText(NullableDatum bytes) {
  if (bytes.isnull) return true;
  const std::string_view view = ViewOf(DatumGetByteaPP(bytes.value));
  return view.find('\0') == std::string_view::npos && IsUtf8(view);
}

std::string_view TextOrEmpty(const ResultRow& row, int column) {
  bool is_null;
  const Datum value = heap_getattr(row.tuple, column, row.descriptor, &is_null);
  return is_null ? std::string_view{} : ViewOf(DatumGetTextPP(value));
}

// Bytes that are not text go into the column raw.
Datum Receive(FunctionCallInfo fcinfo, bool is_text) {
  const Oid schema = SchemaOf(fcinfo);
  const Oid inbox = TableIn(schema, "cc_inbox");
  RefuseSuperuser("cc_receive", inbox);
  const Oid owner = SwitchToTableOwner(inbox);

  const NullableDatum body = WithoutExcess(fcinfo->args[0]);
  const NullableDatum none{Datum{0}, true};
  if (!is_text) is_text = IsText(body);
  const Parameter parameters[] = {ParameterFrom(TEXTOID, fcinfo->args[2]), ParameterFrom(TEXTOID, is_text ? body : none),
                                  ParameterFrom(BYTEAOID, is_text ? none : body), ParameterFrom(TEXTOID, fcinfo->args[1])};
  ResultRow row;
  WriteTable(schema, owner, "cc_inbox", [&] { row = Execute(insert_into_inbox, schema, parameters, 4).first; });
  if (row.tuple == nullptr)
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION), errmsg("the postback was not stored"),
                    errdetail("A trigger or a rule of cc_inbox skipped the row.")));
  return HttpAnswerDatum(ResultDescriptor(fcinfo), HttpAnswerFor(TextOrEmpty(row, 1), TextOrEmpty(row, 2)));
}

}  // namespace
}  // namespace cc::pg

// Arguments: body, content_type, project. It returns one row like a function that returns a set and is called once per row.
extern "C" {
PGDLLEXPORT Datum cc_receive(PG_FUNCTION_ARGS) { return cc::pg::Receive(fcinfo, true); }
PGDLLEXPORT Datum cc_receive_bytea(PG_FUNCTION_ARGS) { return cc::pg::Receive(fcinfo, false); }
}
