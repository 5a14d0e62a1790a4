// The row of cc_invoice that a delivery makes or changes.
#pragma once

#include "pg/deliver.hpp"

namespace cc::pg {

/// Makes the invoice, or brings it up to date. False, and nothing changed, if the delivery contradicts what is known. The caller
/// holds the lock of the invoice, and has an active snapshot taken since.
bool ChangeInvoice(const Receipt& receipt, const Delivery& delivery);

}  // namespace cc::pg
