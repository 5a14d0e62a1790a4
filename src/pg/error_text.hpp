// The text that is stored of a caught error.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// Returns SQLSTATE, message and the place of the error, cut at 2,000 bytes.
const char* DescriptionOf(const ErrorData& error);

}  // namespace cc::pg
