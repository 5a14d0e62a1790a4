// The row of cc_invoice that a delivery creates or changes.
#pragma once

#include "pg/delivery.hpp"

extern "C" {
#include "storage/lockdefs.h"
}

namespace cc::pg {

/// Whether a person accepted a postback.
enum class Acceptance : std::uint8_t {
  kNone,
  kAccepted,    ///< whatever it contradicts, except another order for a paid invoice: one payment would pay two orders
  kReassigned,  ///< also another order for a paid invoice
};

/// The project, time and settings of a delivery.
struct DeliveryContext {
  Oid schema;         ///< of the tables
  Oid owner;          ///< of the tables, and the current user
  Datum project;      ///< text
  Datum received_at;  ///< timestamptz
  bool accept_test_payments;
  bool notify;
  Acceptance acceptance = Acceptance::kNone;
  bool from_api = false;  ///< the delivery is an answer of the service's API
};

/// Returns false if cc_invoice lacks a column of kInvoiceColumns: it is of an earlier version.
bool IsInvoiceTableCurrent(Oid schema);

struct InvoiceLookup {
  bool is_known;
  bool is_hidden;  ///< the transaction's own snapshot does not see its row
  bool is_erased;  ///< by cc_erase()
};

/// Returns the invoice as it is now. IsInvoiceTableCurrent() must be true. `lock` is for cc_invoice; see OpenTable.
InvoiceLookup FindInvoice(const DeliveryContext& context, Datum invoice_id, LOCKMODE lock = AccessShareLock);

/// What happened to the invoice.
enum class InvoiceChange : std::uint8_t { kNone, kMade, kUpdated, kPaid };

/// Creates the invoice or updates it, fires the merchant's triggers, and checks deferred constraints. Returns nullptr. If the
/// delivery contradicts the invoice, changes nothing and returns the field with both values. The merchant's code gets a
/// search_path that no sender can choose, and leaves no setting behind. The caller holds the lock of the invoice. Raises 55000
/// for an accepted postback that would need kReassigned. An answer of the API that says nothing new changes nothing and fires no
/// trigger.
const char* ChangeInvoice(const DeliveryContext& context, const Delivery& delivery, bool is_known,
                          InvoiceChange* change = nullptr);

}  // namespace cc::pg
