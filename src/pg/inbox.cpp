#include "pg/inbox.hpp"

#include <cstring>

#include "core/postback.hpp"
#include "pg/subtransaction.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
}

namespace cc::pg {

const InboxColumnInfo kInboxColumns[kInboxColumnCount] = {
    {"id", INT8OID, true},
    {"project", TEXTOID, true},
    {"received_at", TIMESTAMPTZOID, false},
    {"content_type", TEXTOID, true},
    {"body", TEXTOID, true},
    {"raw", BYTEAOID, true},
    {"state", TEXTOID, false},
    {"reason", TEXTOID, false},
    {"invoice_id", TEXTOID, false},
    {"token_digest", BYTEAOID, false},
    {"content_digest", BYTEAOID, false},
    {"token_expires_at", TIMESTAMPTZOID, false},
    {"error", TEXTOID, false},
    {"attempts", INT4OID, false},
    {"applied_at", TIMESTAMPTZOID, false},
};

namespace {

constexpr std::size_t Index(InboxColumn column) { return InboxRow::Index(column); }

const varlena* DetoastedOrNull(NullableDatum value) { return value.isnull ? nullptr : PG_DETOAST_DATUM_PACKED(value.value); }

// Returns the size of a text or bytea without detoasting it.
std::size_t SizeOf(Datum value) { return toast_raw_datum_size(value) - VARHDRSZ; }

// Returns at most the first `size` bytes.
const varlena* Prefix(Datum value, std::size_t size) { return PG_DETOAST_DATUM_SLICE(value, 0, static_cast<int>(size)); }

// The most bytes of a text of kMaxNameLength characters.
constexpr std::size_t kMaxNameBytes = static_cast<std::size_t>(kMaxNameLength) * 4;

// Returns the length in bytes of the first kMaxNameLength characters if there are more of them, else 0.
std::size_t CutLength(NullableDatum name) {
  if (name.isnull || SizeOf(name.value) <= kMaxNameLength) return 0;
  const std::string_view text = ViewOf(Prefix(name.value, kMaxNameBytes + 4));
  const auto length = static_cast<std::size_t>(pg_mbcharcliplen(text.data(), static_cast<int>(text.size()), kMaxNameLength));
  return length < text.size() ? length : 0;
}

void CutName(InboxRow& row, InboxColumn column) {
  if (const std::size_t length = CutLength(row.At(column)); length > 0)
    row.Set(column, TextDatum(ViewOf(Prefix(row.Value(column), length))));
}

// Keeps all bytes, compressed if that helps, or of an oversized body the first kKeptBodyBytes.
void CutBody(InboxRow& row, InboxColumn column) {
  if (row.IsNull(column)) return;
  const std::size_t size = SizeOf(row.Value(column));
  if (size > kMaxBodySize) {
    std::string_view kept = ViewOf(Prefix(row.Value(column), kKeptBodyBytes));
    if (column == InboxColumn::kBody)
      kept = kept.substr(0, static_cast<std::size_t>(
                                pg_mbcliplen(kept.data(), static_cast<int>(kept.size()), static_cast<int>(kKeptBodyBytes))));
    row.Set(column, TextDatum(kept));  // a bytea has the same layout
  }
  row.Set(column, Compressed(row.Value(column)));
}

// The numbers of the columns and the sequence of ids, cached until the table changes.
struct Layout {
  Oid table;
  int columns[kInboxColumnCount];
  int is_purged;  // 0: a table of an earlier version has no such column
  Oid sequence;
} known_layout;

void ForgetLayout(Oid table) {
  if (!OidIsValid(table) || table == known_layout.table) known_layout.table = InvalidOid;
}

Oid SequenceOf(Relation inbox, int id) {
#if PG_VERSION_NUM >= 170000
  const Oid sequence = getIdentitySequence(inbox, static_cast<AttrNumber>(id), true);
#else
  const Oid sequence = getIdentitySequence(RelationGetRelid(inbox), static_cast<AttrNumber>(id), true);
#endif
  if (!OidIsValid(sequence))
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("column \"id\" of \"cc_inbox\" is not an identity column")));
  return sequence;
}

const Layout& LayoutOf(Relation inbox) {
  OnRelationChange(ForgetLayout);
  if (known_layout.table == RelationGetRelid(inbox)) return known_layout;
  Layout layout{};
  ColumnFinder columns(inbox);
  for (std::size_t i = 0; i < kInboxColumnCount; ++i)
    layout.columns[i] = columns.Get(kInboxColumns[i].name, kInboxColumns[i].type);
  layout.is_purged = columns.Find("is_purged", BOOLOID);
  layout.sequence = SequenceOf(inbox, layout.columns[Index(InboxColumn::kId)]);
  layout.table = RelationGetRelid(inbox);
  known_layout = layout;
  return known_layout;
}

// Returns the last id that the sequence gave in this session, which is the default of the row; 0 if it gave none.
std::int64_t LastGivenId(Datum sequence, bool is_first_row) {
  std::int64_t id = 0;
  const auto read = [&] { id = DatumGetInt64(DirectFunctionCall1(currval_oid, sequence)); };
  if (is_first_row)
    InSubtransaction(read);  // an error if it gave none
  else
    read();
  return id;
}

[[noreturn]] void RefuseGiven(const char* column) {
  ereport(ERROR, (errcode(ERRCODE_GENERATED_ALWAYS),
                  errmsg("column \"%s\" of \"cc_inbox\" cannot be inserted because its trigger fills it in", column),
                  errdetail("Each inserted row is received and verified as a new postback."),
                  errhint("To restore rows, use pg_restore or pg_dump with --disable-triggers.")));
  pg_unreachable();
}

bool HasRow(Relation inbox, Datum id) {
  const Snapshot now = TakeLatestSnapshot();
  Scan scan(inbox, now, {{"id", INT8OID, id}});
  const bool found = scan.Next() != nullptr;
  scan.End();
  ForgetSnapshot(now);
  return found;
}

}  // namespace

InboxRow ReadInsertedRow(Relation inbox, HeapTuple tuple) {
  const Layout& layout = LayoutOf(inbox);
  const TupleDesc descriptor = RelationGetDescr(inbox);
  auto* const values = static_cast<Datum*>(palloc(static_cast<std::size_t>(descriptor->natts) * sizeof(Datum)));
  auto* const nulls = static_cast<bool*>(palloc(static_cast<std::size_t>(descriptor->natts) * sizeof(bool)));
  heap_deform_tuple(tuple, descriptor, values, nulls);
  InboxRow row;
  for (std::size_t i = 0; i < kInboxColumnCount; ++i) {
    row.values[i] = values[layout.columns[i] - 1];
    row.nulls[i] = nulls[layout.columns[i] - 1];
    const bool is_default = row.nulls[i] || (i == Index(InboxColumn::kAttempts) && DatumGetInt32(row.values[i]) == 0);
    if (!kInboxColumns[i].is_given && !is_default) RefuseGiven(kInboxColumns[i].name);
  }
  // cc_purge() would never see a row that is given as purged.
  if (layout.is_purged != 0 && !nulls[layout.is_purged - 1] && DatumGetBool(values[layout.is_purged - 1]))
    RefuseGiven("is_purged");
  if (row.IsNull(InboxColumn::kProject)) SetText(row, InboxColumn::kProject, "default");
  return row;
}

HeapTuple WithRow(Relation inbox, HeapTuple tuple, const InboxRow& row) {
  return heap_modify_tuple_by_cols(tuple, RelationGetDescr(inbox), static_cast<int>(kInboxColumnCount),
                                   const_cast<int*>(LayoutOf(inbox).columns), const_cast<Datum*>(row.values),
                                   const_cast<bool*>(row.nulls));
}

Datum OwnId(Relation inbox, Datum given) {
  static std::int64_t last_id = 0;
  const Datum sequence = ObjectIdGetDatum(LayoutOf(inbox).sequence);
  std::int64_t id = DatumGetInt64(given);
  if (id != LastGivenId(sequence, last_id == 0) || id == last_id) id = DatumGetInt64(DirectFunctionCall1(nextval_oid, sequence));
  // A sequence that is behind shows in a session's first insert; the primary key refuses any later one.
  if (last_id == 0 && HasRow(inbox, Int64GetDatum(id)))
    ereport(ERROR,
            (errcode(ERRCODE_UNIQUE_VIOLATION), errmsg("cc_inbox already has a row with id %lld", static_cast<long long>(id)),
             errdetail("The sequence of the column id is behind the rows."), errhint("Run SELECT cc_setup() to fix it.")));
  last_id = id;
  return Int64GetDatum(id);
}

InboxInput InputOf(const InboxRow& row) {
  static const char* const kUnsupported = "too long";
  const InboxColumn column = row.IsNull(InboxColumn::kBody) ? InboxColumn::kRaw : InboxColumn::kBody;
  InboxInput input{.bytes = nullptr, .is_text = column == InboxColumn::kBody, .content_type = nullptr};
  if (!row.IsNull(column))
    input.bytes =
        SizeOf(row.Value(column)) > kMaxBodySize ? Prefix(row.Value(column), kMaxBodySize + 1) : DetoastedOrNull(row.At(column));
  input.content_type = CutLength(row.At(InboxColumn::kContentType)) > 0 ? cstring_to_text(kUnsupported)
                                                                        : DetoastedOrNull(row.At(InboxColumn::kContentType));
  return input;
}

void CutLongInput(InboxRow& row) {
  CutName(row, InboxColumn::kProject);
  CutName(row, InboxColumn::kContentType);
  CutBody(row, InboxColumn::kBody);
  CutBody(row, InboxColumn::kRaw);
}

bool IsProjectNameTooLong(const InboxRow& row) { return CutLength(row.At(InboxColumn::kProject)) > 0; }

void SetText(InboxRow& row, InboxColumn column, const char* text) {
  if (text == nullptr)
    row.SetNull(column);
  else
    row.Set(column, CStringGetTextDatum(text));
}

void SetState(InboxRow& row, State state, Reason reason) {
  SetText(row, InboxColumn::kState, StateWord(state));
  SetText(row, InboxColumn::kReason, ReasonWord(reason));
}

std::optional<State> StateOf(const InboxRow& row) { return StateFrom(ViewOf(DatumGetTextPP(row.Value(InboxColumn::kState)))); }

Reason ReasonOf(const InboxRow& row) {
  return row.IsNull(InboxColumn::kReason) ? Reason::kVerified
                                          : ReasonFrom(ViewOf(DatumGetTextPP(row.Value(InboxColumn::kReason))));
}

}  // namespace cc::pg
