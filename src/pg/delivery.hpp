// A delivery: the content of a body as SQL values.
#pragma once

#include "core/api_invoice.hpp"
#include "core/invoice_columns.hpp"
#include "pg/row.hpp"
#include "pg/verification.hpp"

namespace cc::pg {

/// A row of cc_invoice; the index is that of kInvoiceColumns.
using InvoiceRow = Row<std::size_t, kInvoiceColumnCount>;

/// Returns the SQL type of an invoice column.
Oid TypeOf(ColumnKind kind);

struct Delivery {
  Reason reason;             ///< kVerified, or why not; then nothing below is set
  InvoiceRow invoice;        ///< the content of the body; project, times and computed columns are NULL
  Datum token_digest;        ///< bytea, SHA-256 of the token
  Datum content_digest;      ///< bytea, SHA-256 of the content without the token, as jsonb
  bool token_names_invoice;  ///< the token is known to fit no other invoice
  bool confirms_success;     ///< invoice_status does not contradict success
};

/// Makes a delivery in the current memory context. token_expires_at is NULL if the token was not read.
Delivery MakeDelivery(const Verification& verification);

/// Makes a delivery from an element of an answer of the service's API that was read without a fault. `element` is the whole
/// element. It has no token, so token_expires_at is -infinity.
Delivery MakeDelivery(const Document& document, const ApiInvoice& invoice, Jsonb* element);

}  // namespace cc::pg
