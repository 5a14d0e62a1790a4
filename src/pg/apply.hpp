// Settling rows of cc_inbox that wait: pending and failed ones.
#pragma once

#include "pg/inbox.hpp"
#include "pg/statement.hpp"

extern "C" {
#include "utils/array.h"
}

namespace cc::pg {

/// Reads the row with this id. False if there is none.
bool ReadInboxRow(Oid schema, std::int64_t id, InboxRow& row);

/// Writes what is filled in of a row: everything that Settle sets. A body that Settle took off is taken off the stored row.
void WriteInboxRow(Oid schema, const InboxRow& row);

/// ERROR 0A000 unless the transaction is READ COMMITTED: what is settled now may be newer than another snapshot.
void RequireReadCommitted();

/// The bigint[] in the first column of the first row; nullptr if it is NULL.
ArrayType* FirstArray(const Result& result);
/// The elements of a bigint[]; none of nullptr. Returns their number.
int ElementsOf(ArrayType* array, Datum** elements);

/// A batch of waiting rows.
struct Batch {
  int tried = 0;              ///< rows that were looked at
  int settled = 0;            ///< of these, rows that wait no more
  bool is_ended = false;      ///< a cancel or timeout, no more locks, old tables: this transaction settles no more
  ArrayType* left = nullptr;  ///< bigint[]: ids of the rows that still wait, those of `skip` included
};

/// Settles at most `max_rows` waiting rows, rows with the fewest attempts first; skips those in `skip` and those that another
/// session has locked. The current user is `owner`. ERROR 0A000 unless the transaction is READ COMMITTED.
Batch SettleWaiting(Oid schema, Oid owner, std::int64_t max_rows, ArrayType* skip);

}  // namespace cc::pg
