// A delivery: all that a body says, as the values of SQL's type cc_delivery.
#pragma once

#include "core/invoice_info.hpp"
#include "pg/verification.hpp"

namespace cc::pg {

/// The columns of the type cc_delivery: these, then kInfoColumns, then info.
enum DeliveryColumn : std::size_t {
  kReason, kInvoiceId, kOrderId, kStatus, kAmountCrypto, kCurrency, kTokenExpiresAt, kTokenDigest, kContentDigest, kFirstInfo,
  kInfo = kFirstInfo + kInfoColumns.size(),
  kDeliveryColumns
};

struct Delivery {
  Datum values[kDeliveryColumns];
  bool nulls[kDeliveryColumns];
  bool token_names_invoice = false;  ///< it is known that the token is good for no other invoice

  NullableDatum At(std::size_t column) const { return {values[column], nulls[column]}; }
  void Set(std::size_t column, Datum value) {
    values[column] = value;
    nulls[column] = false;
  }
};

/// What the body says, in the current memory context; only `reason` is set if it is not verified. token_expires_at is NULL if
/// the token was not read.
Delivery MakeDelivery(const Verification& verification);

}  // namespace cc::pg
