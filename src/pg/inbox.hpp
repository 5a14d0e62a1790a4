// A row of cc_inbox.
#pragma once

#include <optional>

#include "core/reason.hpp"
#include "pg/row.hpp"

extern "C" {
#include "access/htup.h"
#include "utils/relcache.h"
}

namespace cc::pg {

/// The columns that receiving and settling use, in the order of the table. Only cc_purge() uses is_purged.
enum class InboxColumn : std::uint8_t {
  kId,
  kProject,
  kReceivedAt,
  kContentType,
  kBody,
  kRaw,
  kState,
  kReason,
  kInvoiceId,
  kTokenDigest,
  kContentDigest,
  kTokenExpiresAt,
  kError,
  kAttempts,
  kAppliedAt,
  kCount
};
inline constexpr std::size_t kInboxColumnCount = static_cast<std::size_t>(InboxColumn::kCount);
using InboxRow = Row<InboxColumn, kInboxColumnCount>;

struct InboxColumnInfo {
  const char* name;
  Oid type;
  bool is_given;  ///< by the INSERT; the other columns are filled in
};
extern const InboxColumnInfo kInboxColumns[kInboxColumnCount];

/// The bytes that are kept of a body over kMaxBodySize, and the characters that are kept of a content type or project name.
inline constexpr std::size_t kKeptBodyBytes = 4096;
inline constexpr int kMaxNameLength = 255;

/// Reads the row that is being inserted into `inbox`. Raises 428C9 if the statement gave a column that is filled in, 42804 if a
/// column is not as cc_setup() makes it.
InboxRow ReadInsertedRow(Relation inbox, HeapTuple tuple);

/// Returns the tuple with the values of `row`.
HeapTuple WithRow(Relation inbox, HeapTuple tuple, const InboxRow& row);

/// Returns the id of the row: the last value that the table's sequence gave to this session, otherwise its next value. So no
/// client chooses an id. Raises 23505 if a row has this id already, because the sequence is behind.
Datum OwnId(Relation inbox, Datum given);

/// The body and content type for verification. An oversized one is never read as a whole: a body over kMaxBodySize is cut
/// slightly above that, and a content type over kMaxNameLength is replaced by an unsupported one.
struct InboxInput {
  const varlena* bytes;  ///< nullptr: no body
  bool is_text;
  const varlena* content_type;
};
InboxInput InputOf(const InboxRow& row);

/// Cuts body, raw, content type and project name to the part that is kept, between characters.
void CutLongInput(InboxRow& row);

/// Returns true if the name is too long for any project.
bool IsProjectNameTooLong(const InboxRow& row);

void SetText(InboxRow& row, InboxColumn column, const char* text);
void SetState(InboxRow& row, State state, Reason reason);

/// Returns the state; nothing if it is none of this version. `state` must not be NULL.
std::optional<State> StateOf(const InboxRow& row);
/// Returns the reason of a rejected row; kVerified if it is NULL or unknown.
Reason ReasonOf(const InboxRow& row);

}  // namespace cc::pg
