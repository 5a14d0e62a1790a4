// What becomes of a verified delivery, and the applying of it.
#pragma once

#include "pg/delivery.hpp"

namespace cc::pg {

/// Where a delivery came from, and how its project takes it.
struct Receipt {
  Oid schema;  ///< of the tables
  std::int64_t inbox_id;
  Datum project;      ///< text
  Datum received_at;  ///< timestamptz
  bool accept_test_payments;
  bool notify;
  bool apply_now;  ///< or leave it pending
  bool can_wait;   ///< while another session has the same token or invoice in hand
};

/// What cc_inbox says of it.
struct Outcome {
  const char* state = nullptr;   ///< nullptr: another session is at work on it, and can_wait is false
  const char* reason = nullptr;  ///< of a rejected one, or nullptr
  const char* error = nullptr;   ///< of a failed one, or nullptr
};

/// Decides, and applies. Whatever is raised in here, by the merchant's triggers and constraints too, makes it failed, and undoes
/// no more than what was done in here. The error is in the current memory context.
Outcome Deliver(const Receipt& receipt, const Delivery& delivery);

/// ERROR 57014 if the running statement was cancelled, or out of time, while an earlier row of it was applied. That row is safe,
/// as failed; but the statement must not go on.
void CheckNotCancelled();

}  // namespace cc::pg
