// What is kept of an error that was caught.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// SQLSTATE, message and where it was raised, as far as 2,000 bytes go.
const char* DescriptionOf(const ErrorData& error);

}  // namespace cc::pg
