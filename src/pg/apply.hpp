// Settles the waiting rows of cc_inbox: pending and failed ones.
#pragma once

#include "pg/inbox.hpp"
#include "pg/statement.hpp"

extern "C" {
#include "utils/array.h"
}

namespace cc::pg {

/// Reads the row with this id. Returns false if there is none.
bool ReadInboxRow(Oid schema, std::int64_t id, InboxRow& row);

/// Writes the columns that Settle fills in. If Settle removed the body, the body of the stored row is removed as well. The
/// current user is `owner`.
void WriteInboxRow(Oid schema, Oid owner, const InboxRow& row);

/// Raises 0A000 unless the transaction is READ COMMITTED: rows settled now may be newer than another snapshot.
void RequireReadCommitted();

/// Returns the bigint[] in the first column of the first row; nullptr if it is NULL.
ArrayType* FirstArray(const Result& result);
/// Sets `elements` to the elements of a bigint[]; nullptr has none. Returns their number.
int ElementsOf(ArrayType* array, Datum** elements);

/// A place in the order of waiting rows, which is that of attempts and id. The default is before all rows.
struct Place {
  std::int32_t attempts = -1;
  std::int64_t id = 0;
  bool IsStart() const { return attempts < 0; }
};

/// A batch of waiting rows.
struct Batch {
  int tried = 0;              ///< rows that were tried
  int settled = 0;            ///< of these, rows that no longer wait
  bool is_ended = false;      ///< a cancel or timeout, no more locks, old tables: this transaction settles no more
  bool is_over = false;       ///< a cancel or timeout, old tables: the statement should end
  ArrayType* left = nullptr;  ///< bigint[]: ids of the rows that still wait, including `skip`
  Place reached;              ///< the place of the last row that was tried
};

/// Settles at most `max_rows` waiting rows, rows with the fewest attempts first. Skips the rows up to `after`, the rows in `skip`
/// and rows locked by another session. The current user is `owner`. Raises 0A000 unless the transaction is READ COMMITTED.
Batch SettleWaiting(Oid schema, Oid owner, std::int64_t max_rows, Place after, ArrayType* skip);

}  // namespace cc::pg
