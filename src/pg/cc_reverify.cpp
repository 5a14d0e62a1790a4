// cc_reverify: judges rejected postbacks again. Its contract is in sql/recover.sql.
#include <cstring>

#include "core/rules.hpp"
#include "pg/apply.hpp"
#include "pg/owner.hpp"
#include "pg/settle.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(cc_reverify);
}

namespace cc::pg {
namespace {

// Returns the ids of rows that were rejected for a reason that can change: of project $1, received since $2. NULL: any.
Statement select_rejected{[](const char* schema) -> const char* {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text,
                   "SELECT pg_catalog.array_agg(id ORDER BY id) FROM %s.cc_inbox"
                   " WHERE state OPERATOR(pg_catalog.=) 'rejected' AND reason OPERATOR(pg_catalog.=) ANY ('{",
                   schema);
  bool is_first = true;
  for (const ReasonEntry& entry : kReasons) {
    if (!IsJudgedAgain(entry.reason)) continue;
    appendStringInfo(&text, "%s%s", is_first ? "" : ",", entry.word);
    is_first = false;
  }
  appendStringInfoString(&text,
                         "}'::pg_catalog.text[])"
                         " AND (body IS NOT NULL OR raw IS NOT NULL)"  // cc_purge() removed some
                         " AND ($1 IS NULL OR project OPERATOR(pg_catalog.=) $1)"
                         " AND ($2 IS NULL OR received_at OPERATOR(pg_catalog.>=) $2)");
  return text.data;
}};

// Locks the row. Finds nothing if another session has locked it.
Statement lock_row{[](const char* schema) -> const char* {
  return psprintf(
      "SELECT id FROM %s.cc_inbox WHERE id OPERATOR(pg_catalog.=) $1"
      " AND state OPERATOR(pg_catalog.=) 'rejected' FOR UPDATE SKIP LOCKED",
      schema);
}};

// Counts the rows by outcome.
struct Tally {
  std::int64_t counts[static_cast<std::size_t>(State::kCount)][static_cast<std::size_t>(Reason::kCount)] = {};

  void Add(State state, Reason reason) { ++counts[static_cast<std::size_t>(state)][static_cast<std::size_t>(reason)]; }
};

// The rows that a dry run has found verified so far. Later rows are compared with them as with settled rows.
class Preview {
 public:
  Preview() {
    HASHCTL control{};
    control.keysize = kDigest;
    control.entrysize = sizeof(SpentToken);
    control.hcxt = CurrentMemoryContext;
    tokens_ = hash_create("cryptocloud_postback tokens", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    contents_ = hash_create("cryptocloud_postback contents", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  }

  Decision Compare(const Foreseen& foreseen) {
    if (foreseen.decision.state == State::kRejected && foreseen.decision.reason != Reason::kMissingOrderId)
      return foreseen.decision;
    bool is_spent, is_known;
    auto* const token = static_cast<SpentToken*>(hash_search(tokens_, DigestOf(foreseen.token_digest), HASH_ENTER, &is_spent));
    if (is_spent)
      return DecideByToken({.state = token->state,
                            .reason = Reason::kMissingOrderId,
                            .same_content = std::memcmp(token->content, DigestOf(foreseen.content_digest), kDigest) == 0});
    std::memcpy(token->content, DigestOf(foreseen.content_digest), kDigest);
    token->state = foreseen.decision.state;
    if (foreseen.decision != kNewContent) return foreseen.decision;
    hash_search(contents_, DigestOf(foreseen.content_digest), HASH_ENTER, &is_known);
    return is_known ? Decision{State::kDuplicate} : kNewContent;
  }

 private:
  static constexpr std::size_t kDigest = 32;
  struct SpentToken {
    char digest[kDigest];
    char content[kDigest];
    State state;
  };
  static const char* DigestOf(Datum value) { return VARDATA_ANY(DatumGetByteaPP(value)); }

  HTAB* tokens_;
  HTAB* contents_;
};

bool LockRow(Oid schema, std::int64_t id) {
  const Parameter parameter{INT8OID, Int64GetDatum(id)};
  return Execute(lock_row, schema, &parameter, 1).processed == 1;
}

// Settles the row if it verifies now. Returns true if the transaction can settle more.
bool JudgeAgain(const SettleRequest& request, std::int64_t id, InboxRow& row, Tally& tally, int& settled) {
  const Decision foreseen = Foresee(request, row).decision;
  if (foreseen.state == State::kRejected && foreseen.reason != Reason::kTokenReused) {
    tally.Add(foreseen.state, foreseen.reason);  // the row stays as it is
    return true;
  }
  if (!LockRow(request.schema, id)) return true;
  const SettleOutcome outcome = Settle(request, row);
  // A genuine row is kept pending for cc_apply(), because nobody calls cc_reverify() again.
  if (outcome == SettleOutcome::kBusy && foreseen.state == State::kRejected) return true;
  if (outcome == SettleOutcome::kTooMany || outcome == SettleOutcome::kOldTables) return false;
  WriteInboxRow(request.schema, request.owner, row);
  tally.Add(*StateOf(row), ReasonOf(row));
  ++settled;
  return outcome != SettleOutcome::kEnded;
}

void Return(FunctionCallInfo fcinfo, const Tally& tally) {
  InitMaterializedSRF(fcinfo, 0);
  const auto* const result = reinterpret_cast<const ReturnSetInfo*>(fcinfo->resultinfo);
  for (std::size_t state = 0; state < static_cast<std::size_t>(State::kCount); ++state)
    for (std::size_t reason = 0; reason < static_cast<std::size_t>(Reason::kCount); ++reason) {
      if (tally.counts[state][reason] == 0) continue;
      const char* const word = ReasonWord(static_cast<Reason>(reason));
      Datum values[] = {CStringGetTextDatum(StateWord(static_cast<State>(state))),
                        word == nullptr ? Datum{0} : CStringGetTextDatum(word), Int64GetDatum(tally.counts[state][reason])};
      bool nulls[] = {false, word == nullptr, false};
      tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
}

Datum Reverify(FunctionCallInfo fcinfo) {
  if (PG_ARGISNULL(3) || PG_GETARG_INT32(3) < 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_rows must be zero or more")));
  if (PG_ARGISNULL(4)) ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("dry_run must not be null")));
  const bool dry_run = PG_GETARG_BOOL(4);
  if (!PG_ARGISNULL(2)) ClockFrom({TimestampTzGetDatum(0), false}, fcinfo->args[2]);  // rejects a negative or infinite leeway
  const Oid schema = SchemaOf(fcinfo);
  const Oid inbox = TableIn(schema, "cc_inbox");
  if (!dry_run) PreventCommandIfReadOnly("cc_reverify()");
  RefuseSuperuser("cc_reverify", inbox);
  const Oid owner = SwitchToTableOwner(inbox);
  RequireReadCommitted();

  SettleRequest request{
      .schema = schema, .owner = owner, .is_stored = true, .apply_now = false, .may_wait = false, .hold = nullptr};
  request.leeway = PG_ARGISNULL(2) ? nullptr : PG_GETARG_INTERVAL_P(2);
  const Parameter parameters[] = {{TEXTOID, fcinfo->args[0].value, PG_ARGISNULL(0)},
                                  {TIMESTAMPTZOID, fcinfo->args[1].value, PG_ARGISNULL(1)}};
  Datum* ids;
  const int count = ElementsOf(FirstArray(Execute(select_rejected, schema, parameters, 2)), &ids);

  Tally tally;
  Preview preview;
  int settled = 0;
  bool goes_on = true;
  const MemoryContext row_memory = MakeRowMemory();
  for (int i = 0; i < count && goes_on && (dry_run || settled < PG_GETARG_INT32(3)); ++i) {
    CHECK_FOR_INTERRUPTS();
    const MemoryContext caller = MemoryContextSwitchTo(row_memory);
    InboxRow row;
    if (ReadInboxRow(schema, DatumGetInt64(ids[i]), row) && StateOf(row) == State::kRejected) {
      if (dry_run) {
        const Decision decision = preview.Compare(Foresee(request, row));
        tally.Add(decision.state, decision.reason);
      } else {
        goes_on = JudgeAgain(request, DatumGetInt64(ids[i]), row, tally, settled);
      }
    }
    MemoryContextSwitchTo(caller);
    MemoryContextReset(row_memory);
  }
  MemoryContextDelete(row_memory);
  Return(fcinfo, tally);
  return Datum{0};
}

}  // namespace
}  // namespace cc::pg

// Arguments: project, since, leeway, max_rows, dry_run.
extern "C" PGDLLEXPORT Datum cc_reverify(PG_FUNCTION_ARGS) { return cc::pg::Reverify(fcinfo); }
