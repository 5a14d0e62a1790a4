// cc_lock: what it promises stands in sql/pipeline.sql.
#include "pg/postgres.hpp"

extern "C" {
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(cc_lock);
}

namespace {

// Two keys that fall together only make one session wait for another in vain.
std::uint64_t HashOf(std::string_view text, std::uint64_t seed) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()), seed);
}

}  // namespace

extern "C" PGDLLEXPORT Datum cc_lock(PG_FUNCTION_ARGS) {
  const std::string_view project = cc::pg::ViewOf(PG_GETARG_TEXT_PP(0));
  const std::string_view name = cc::pg::ViewOf(PG_GETARG_TEXT_PP(1));
  const Datum key = Int64GetDatum(static_cast<int64>(HashOf(name, HashOf(project, 0))));
  if (!PG_GETARG_BOOL(2)) return DirectFunctionCall1(pg_try_advisory_xact_lock_int8, key);
  DirectFunctionCall1(pg_advisory_xact_lock_int8, key);
  PG_RETURN_BOOL(true);
}
