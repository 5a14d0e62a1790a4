// Decimal to PostgreSQL's numeric.
#pragma once

#include "core/decimal.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "utils/numeric.h"
}

namespace cc::pg {

/// Exactly `decimal`, with the display scale that it was spelled with. It must be within kMaxDigits (Decimal::IsExact).
Numeric MakeNumeric(const Decimal& decimal);

/// The same for an amount, which by value is small enough, but may end in any number of zeros: its scale is at most 36.
Numeric MakeAmount(Decimal amount);

}  // namespace cc::pg
