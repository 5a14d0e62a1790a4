#include "pg/lock.hpp"

extern "C" {
#include "access/twophase.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
}

namespace cc::pg {
namespace {

// SQL's advisory locks have 1 or 2 here, so none of their functions reaches these locks. pg_locks shows the value as objsubid.
constexpr std::uint16_t kLockSpace = 0x4343;

std::uint64_t Hash(std::string_view bytes, std::uint64_t seed) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), seed);
}

LOCKTAG TagOf(std::uint64_t key) {
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<std::uint32_t>(key >> 32), static_cast<std::uint32_t>(key), kLockSpace);
  return tag;
}

// The number of locks that this transaction took. A lock that a rolled back savepoint released still counts.
struct {
  LocalTransactionId transaction;
  int locks;
} taken;

int MaxLocks() {
  const int lock_table = max_locks_per_xact * (MaxBackends + max_prepared_xacts);
  return lock_table / 8 < kMaxLocks ? lock_table / 8 : kMaxLocks;
}

bool MayTakeAnother() {
  if (taken.transaction != CurrentTransaction()) taken = {CurrentTransaction(), 0};
  return taken.locks < MaxLocks();
}

void Wait(const LOCKTAG& tag) {
  const int outside = NewGUCNestLevel();
  if (LockTimeout == 0 || LockTimeout > kMaxLockWait)
    set_config_option("lock_timeout", psprintf("%d", kMaxLockWait), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  LockAcquire(&tag, ExclusiveLock, false, false);
  AtEOXact_GUC(true, outside);
}

LockOutcome Lock(std::uint64_t key, bool may_wait) {
  const LOCKTAG tag = TagOf(key);
  switch (LockAcquire(&tag, ExclusiveLock, false, true)) {
    case LOCKACQUIRE_ALREADY_HELD:
    case LOCKACQUIRE_ALREADY_CLEAR: return LockOutcome::kHeld;
    case LOCKACQUIRE_OK:
      if (!MayTakeAnother()) {
        LockRelease(&tag, ExclusiveLock, false);
        return LockOutcome::kTooMany;
      }
      break;
    case LOCKACQUIRE_NOT_AVAIL:
      if (!MayTakeAnother()) return LockOutcome::kTooMany;
      if (!may_wait) return LockOutcome::kBusy;
      Wait(tag);
      break;
  }
  ++taken.locks;
  return LockOutcome::kHeld;
}

}  // namespace

LockOutcome LockInvoice(std::string_view project, std::string_view invoice_id, bool may_wait) {
  return Lock(Hash(invoice_id, Hash(project, 0)), may_wait);
}

LockOutcome LockToken(std::string_view token_digest, bool may_wait) { return Lock(Hash(token_digest, 1), may_wait); }

void LockSecrets() {
  if (Lock(Hash("secrets", 2), true) != LockOutcome::kHeld)
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the transaction has taken too many locks")));
}

void LockSetup() {
  const LOCKTAG tag = TagOf(Hash("setup", 3));
  LockAcquire(&tag, ExclusiveLock, false, false);
}

}  // namespace cc::pg
