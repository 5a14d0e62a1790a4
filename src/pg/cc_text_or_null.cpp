// cc_text_or_null: what it promises stands in sql/pipeline.sql.
#include "core/utf8.hpp"
#include "pg/postgres.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(cc_text_or_null);
}

extern "C" PGDLLEXPORT Datum cc_text_or_null(PG_FUNCTION_ARGS) {
  const std::string_view bytes = cc::pg::ViewOf(PG_GETARG_BYTEA_PP(0));
  if (bytes.find('\0') != std::string_view::npos || !cc::IsUtf8(bytes)) PG_RETURN_NULL();
  return cc::pg::TextDatum(bytes);
}
