// Decimal to PostgreSQL's numeric.
#pragma once

#include "core/decimal.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "utils/numeric.h"
}

namespace cc::pg {

/// Converts `decimal` exactly, with the display scale of its spelling. It must be within kMaxDigits (Decimal::IsExact).
Numeric MakeNumeric(const Decimal& decimal);

/// Converts an amount. Its value is small enough, but its spelling may end in any number of zeros, so the scale is at most 36.
Numeric MakeAmount(Decimal amount);

}  // namespace cc::pg
