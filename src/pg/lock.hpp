// Locks that settle deliveries of one invoice, or of one token, one after the other.
//
// They last until the transaction ends, whatever fails afterwards. No SQL function can take or release one.
#pragma once

#include <string_view>

#include "pg/postgres.hpp"

namespace cc::pg {

/// A transaction holds at most this many, and at most an eighth of the server's lock table: with a full lock table no session of
/// the server can work.
inline constexpr int kMaxLocks = 1000;

/// The longest wait of a delivery for a lock, in milliseconds; lock_timeout can shorten it.
inline constexpr int kMaxLockWait = 3000;

enum class LockOutcome : std::uint8_t { kHeld, kBusy, kTooMany };

/// Locks an invoice of a project for the current resource owner. Without `may_wait`, returns kBusy at once if another transaction
/// holds the lock. With it, raises 55P03 after kMaxLockWait, 40P01 for a deadlock, 57014 for a cancel; the caller is in a
/// subtransaction of its own. A hash collision only causes unnecessary waiting.
LockOutcome LockInvoice(std::string_view project, std::string_view invoice_id, bool may_wait);

/// Lets one session at a time store secrets. Raises like LockInvoice with `may_wait`, and 54000 for kTooMany.
void LockSecrets();

/// Lets one session at a time run cc_setup(). Waits as long as lock_timeout allows.
void LockSetup();

/// Locks a token by its digest, like LockInvoice.
LockOutcome LockToken(std::string_view token_digest, bool may_wait);

}  // namespace cc::pg
