#include "pg/numeric.hpp"

extern "C" {
#include "utils/builtins.h"
}

namespace cc::pg {

Numeric MakeNumeric(const Decimal& decimal) {
  std::int64_t digits;
  if (decimal.exponent <= 0 && decimal.ToInt64(digits))
    return decimal.exponent == 0 ? int64_to_numeric(digits)
                                 : int64_div_fast_to_numeric(digits, static_cast<int>(-decimal.exponent));
  char* const text = static_cast<char*>(palloc(decimal.integer_text.size() + decimal.fraction_text.size() + 24));
  WriteDecimal(decimal, text);
  const Datum numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
  pfree(text);
  return DatumGetNumeric(numeric);
}

Numeric MakeAmount(Decimal amount) {
  constexpr std::int64_t kMaxScale = 36;
  if (amount.IsZero()) return int64_to_numeric(0);
  if (amount.scale > kMaxScale) {  // further decimals are zeros
    const auto excess = static_cast<std::size_t>(amount.scale - kMaxScale);
    if (excess <= amount.fraction_text.size()) {
      amount.fraction_text.remove_suffix(excess);
      amount.exponent += static_cast<std::int64_t>(excess);
    }
  }
  return MakeNumeric(amount);
}

}  // namespace cc::pg
