// An HTTP answer as an SQL row.
#pragma once

#include "core/reason.hpp"
#include "pg/postgres.hpp"

namespace cc::pg {

/// Returns (http_status integer, response jsonb), in the current memory context.
Datum HttpAnswerDatum(TupleDesc descriptor, const HttpAnswer& answer);

}  // namespace cc::pg
