// Settling: the one way of every row of cc_inbox, whether it has just come, waits, failed, or is judged again.
//
//   1. Verify, as of its receipt, unless the row has its proof.
//   2. Lock the invoice, and the token unless it names the invoice.
//   3. Decide by what is committed now (core/rules.hpp).
//   4. Apply, in a subtransaction.
#pragma once

#include "pg/inbox.hpp"
#include "pg/invoice.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace cc::pg {

/// How a row is to be settled. The current user is the owner of the tables.
struct SettleRequest {
  Oid schema;                                 ///< of the tables
  Oid owner;                                  ///< of the tables
  bool is_stored;                             ///< the row is in the table already, under its id
  bool apply_now;                             ///< even if the project is deferred
  bool may_wait;                              ///< for the lock of the invoice
  const char* hold;                           ///< not nullptr: verify only, and keep the row pending for this reason
  const Interval* leeway = nullptr;           ///< not nullptr: instead of the project's
  Acceptance acceptance = Acceptance::kNone;  ///< of a row that a person took for right, without a decision
};

enum class SettleOutcome : std::uint8_t {
  kDone,       ///< `row` has its new state
  kBusy,       ///< another transaction works on the invoice
  kOldTables,  ///< the tables are of an earlier version
  kTooMany,    ///< this transaction holds as many locks as it may
  kEnded,      ///< a cancel or timeout: nothing more is to be tried in this statement
};

/// Fills in state, reason, error, attempts, applied_at, the proof (invoice_id, content_digest, token_expires_at) and, in the row
/// that spends its token, token_digest. Takes the body off where KeepsBody() says so. Whatever the outcome, the row can be
/// stored: one that could not be settled is pending.
///
/// Errors of the merchant's code are caught, and undo no more than what they were raised in. ERROR if a table or a setting is not
/// as cc_setup() makes it, or if verification itself fails (XX000, out of memory).
SettleOutcome Settle(const SettleRequest& request, InboxRow& row);

/// What Settle would decide of a row by its verification and the other rows. `kApplied` may still become a conflict or fail.
struct Foreseen {
  Decision decision;
  Datum token_digest;    ///< bytea; of a verified row
  Datum content_digest;  ///< bytea; of a verified row
};

/// Changes and locks nothing.
Foreseen Foresee(const SettleRequest& request, const InboxRow& row);

}  // namespace cc::pg
