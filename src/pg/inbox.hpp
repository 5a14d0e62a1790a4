// A row of cc_inbox.
#pragma once

#include "core/reason.hpp"
#include "pg/row.hpp"

extern "C" {
#include "access/htup.h"
#include "utils/relcache.h"
}

namespace cc::pg {

/// The columns, in the order of the table.
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
  bool is_given;  ///< by the statement that inserts; the others are filled in
};
extern const InboxColumnInfo kInboxColumns[kInboxColumnCount];

/// Of a body over kMaxBodySize this many bytes are kept, of a content type or project name this many characters.
inline constexpr std::size_t kKeptBodyBytes = 4096;
inline constexpr int kMaxNameLength = 255;

/// The row that is being inserted into `inbox`. ERROR 428C9 if the statement gave a column that is filled in, 42804 if a column
/// is not as cc_setup() makes it.
InboxRow ReadInsertedRow(Relation inbox, HeapTuple tuple);

/// The tuple with the values of `row`.
HeapTuple WithRow(Relation inbox, HeapTuple tuple, const InboxRow& row);

/// The id that the row may have: the value that the table's sequence just gave to this session, otherwise its next one, so that
/// no client chooses an id. ERROR 23505 if a row has it already: the sequence is behind.
Datum OwnId(Relation inbox, Datum given);

/// The body and the content type that verification is to see. A long one is never looked at as a whole: of a body over
/// kMaxBodySize a little more than that, instead of a content type over kMaxNameLength one that is unsupported.
struct InboxInput {
  const varlena* bytes;  ///< nullptr: no body
  bool is_text;
  const varlena* content_type;
};
InboxInput InputOf(const InboxRow& row);

/// Cuts body, raw, content type and project name of a row to what is kept of them, between characters.
void CutLongInput(InboxRow& row);

/// True if the project's name is too long for any project.
bool IsProjectNameTooLong(const InboxRow& row);

void SetText(InboxRow& row, InboxColumn column, const char* text);
void SetState(InboxRow& row, State state, Reason reason);

}  // namespace cc::pg
