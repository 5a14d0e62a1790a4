// The row of cc_invoice that a delivery makes or changes.
#pragma once

#include "pg/delivery.hpp"

namespace cc::pg {

/// Whether a person took a postback for right.
enum class Acceptance : std::uint8_t {
  kNone,
  kAccepted,    ///< whatever it contradicts, but for another order of a paid invoice: one payment would pay two
  kReassigned,  ///< that as well
};

/// What a delivery is about, and how its project takes it.
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

/// False if cc_invoice lacks a column of kInvoiceColumns: it is of an earlier version.
bool IsInvoiceTableCurrent(Oid schema);

struct InvoiceLookup {
  bool is_known;
  bool is_hidden;  ///< the transaction's own snapshot does not see its row
  bool is_erased;  ///< by cc_erase()
};

/// The invoice as it is now; IsInvoiceTableCurrent() holds.
InvoiceLookup FindInvoice(const DeliveryContext& context, const Delivery& delivery);

/// What became of the invoice.
enum class InvoiceChange : std::uint8_t { kNone, kMade, kUpdated, kPaid };

/// Makes the invoice, or brings it up to date, fires the merchant's triggers and checks the constraints that are deferred.
/// Returns nullptr, or, where nothing changed because the delivery contradicts the invoice, the field and its values. The
/// merchant's code sees a search_path that nobody who delivers can choose, and leaves no setting behind. The caller holds the
/// lock of the invoice. ERROR 55000 for an accepted one that would need kReassigned. An answer of the API that says nothing new
/// changes nothing, and fires nothing.
const char* ChangeInvoice(const DeliveryContext& context, const Delivery& delivery, bool is_known,
                          InvoiceChange* change = nullptr);

}  // namespace cc::pg
