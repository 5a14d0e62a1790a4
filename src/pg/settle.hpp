// Settles a row of cc_inbox. New, pending, failed and rejected rows all take these steps.
//
//   1. Verify it as of its receipt, unless the row has its proof.
//   2. Lock the invoice, and the token unless it names the invoice.
//   3. Decide by the committed rows (core/rules.hpp).
//   4. Apply, in a subtransaction.
#pragma once

#include "pg/inbox.hpp"
#include "pg/invoice.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace cc::pg {

/// How to settle a row. The current user is the owner of the tables.
struct SettleRequest {
  Oid schema;                                 ///< of the tables
  Oid owner;                                  ///< of the tables
  bool is_stored;                             ///< the row is already in the table, with its id
  bool apply_now;                             ///< even if the project is deferred
  bool may_wait;                              ///< for the lock of the invoice
  const char* hold;                           ///< not nullptr: only verify, and keep the row pending for this reason
  const Interval* leeway = nullptr;           ///< not nullptr: instead of the project's
  Acceptance acceptance = Acceptance::kNone;  ///< of a row that a person accepted, so that nothing is decided
};

enum class SettleOutcome : std::uint8_t {
  kDone,       ///< `row` has its new state
  kBusy,       ///< another transaction has locked the invoice
  kOldTables,  ///< the tables are of an earlier version
  kTooMany,    ///< this transaction holds the largest number of locks
  kEnded,      ///< a cancel or timeout: this statement must not try anything more
};

/// Fills in state, reason, error, attempts, applied_at, the proof (invoice_id, content_digest, token_expires_at) and, in the row
/// that spends its token, token_digest. Removes the body if KeepsBody() says so. Whatever the outcome, the row can be stored: a
/// row that could not be settled is pending.
///
/// Catches errors of the merchant's code, which undo only the work of their row. Raises an ERROR if a table or a setting is not
/// as cc_setup() makes it, or if verification itself fails (XX000, out of memory).
SettleOutcome Settle(const SettleRequest& request, InboxRow& row);

/// What Settle would decide by verification and the other rows. A row that is `kApplied` here may still become a conflict or
/// fail.
struct Foreseen {
  Decision decision;
  Datum token_digest;    ///< bytea; of a verified row
  Datum content_digest;  ///< bytea; of a verified row
};

/// Previews Settle: changes and locks nothing.
Foreseen Foresee(const SettleRequest& request, const InboxRow& row);

}  // namespace cc::pg
