// The locks under which deliveries of one invoice, or of one token, are settled one after the other.
//
// They last until the transaction ends, whatever fails afterwards, and no SQL function can take or release one.
#pragma once

#include <string_view>

#include "pg/postgres.hpp"

namespace cc::pg {

/// A transaction holds at most this many, and never more than an eighth of the server's lock table: a full lock table keeps
/// every session of the server from working.
inline constexpr int kMaxLocks = 1000;

/// How long a delivery waits for a lock, in milliseconds; lock_timeout makes it shorter.
inline constexpr int kMaxLockWait = 3000;

enum class LockOutcome : std::uint8_t { kHeld, kBusy, kTooMany };

/// Locks an invoice of a project for the current resource owner. Without `may_wait`, kBusy at once if another transaction holds
/// it. With it, ERROR 55P03 after kMaxLockWait, 40P01 for a deadlock, 57014 for a cancel: the caller is in a subtransaction of
/// its own. A hash collision only causes unnecessary waiting.
LockOutcome LockInvoice(std::string_view project, std::string_view invoice_id, bool may_wait);

/// Lets one session at a time store secrets. ERROR as LockInvoice with `may_wait`, and 54000 for kTooMany.
void LockSecrets();

/// The same as LockInvoice for a token, by its digest.
LockOutcome LockToken(std::string_view token_digest, bool may_wait);

}  // namespace cc::pg
