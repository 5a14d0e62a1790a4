// A delivery: everything that a body says, as values of SQL.
#pragma once

#include "core/api_invoice.hpp"
#include "core/invoice_columns.hpp"
#include "pg/row.hpp"
#include "pg/verification.hpp"

namespace cc::pg {

/// A row of cc_invoice, by the index of kInvoiceColumns.
using InvoiceRow = Row<std::size_t, kInvoiceColumnCount>;

/// The type of an invoice's column.
Oid TypeOf(ColumnKind kind);

struct Delivery {
  Reason reason;             ///< kVerified, or why not; then nothing below is set
  InvoiceRow invoice;        ///< what the body says; project, times and computed columns are NULL
  Datum token_digest;        ///< bytea, SHA-256 of the token
  Datum content_digest;      ///< bytea, SHA-256 of the content without the token, as jsonb
  bool token_names_invoice;  ///< the token is known to be good for no other invoice
  bool confirms_success;     ///< invoice_status does not say otherwise
};

/// What the body says, in the current memory context. token_expires_at is NULL if the token was not read.
Delivery MakeDelivery(const Verification& verification);

/// The same for an element of an answer of the service's API, read without a fault; `element` is the whole of it. It has no
/// token: token_expires_at is -infinity.
Delivery MakeDelivery(const Document& document, const ApiInvoice& invoice, Jsonb* element);

}  // namespace cc::pg
