#include "pg/deliver.hpp"

#include <cstring>

#include "core/earlier.hpp"
#include "pg/invoice.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace cc::pg {
namespace {

// --- Locks ---

// Two keys that fall together only make one session wait for another in vain.
std::int64_t LockKey(Datum project, Datum name) {
  const auto hash = [](std::string_view bytes, std::uint64_t seed) {
    return hash_bytes_extended(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), seed);
  };
  const std::uint64_t seed = hash(ViewOf(DatumGetTextPP(project)), 0);
  return static_cast<std::int64_t>(hash(ViewOf(DatumGetTextPP(name)), seed));
}

// Until the end of the transaction. False at once if it is another session's and this one cannot wait.
bool Lock(const Receipt& receipt, Datum name) {
  const Datum key = Int64GetDatum(LockKey(receipt.project, name));
  if (!receipt.can_wait) return DatumGetBool(DirectFunctionCall1(pg_try_advisory_xact_lock_int8, key));
  DirectFunctionCall1(pg_advisory_xact_lock_int8, key);
  return true;
}

// --- What came before ---

// The next row but the delivery's own.
bool Next(Scan& scan, Relation inbox, const Receipt& receipt, const Delivery& delivery, Earlier& earlier) {
  for (HeapTuple row; (row = scan.Next()) != nullptr;) {
    if (DatumGetInt64(ColumnOf(inbox, row, "id", INT8OID).value) == receipt.inbox_id) continue;
    const NullableDatum content = ColumnOf(inbox, row, "content_digest", BYTEAOID);
    earlier.state = ViewOf(DatumGetTextPP(ColumnOf(inbox, row, "state", TEXTOID).value));
    earlier.same_content = !content.isnull && ViewOf(DatumGetByteaPP(content.value)) ==
                                                  ViewOf(DatumGetByteaPP(delivery.values[kContentDigest]));
    return true;
  }
  return false;
}

Finding FindByToken(Relation inbox, const Receipt& receipt, const Delivery& delivery) {
  Finding finding = Finding::kNew;
  Scan scan(inbox, "cc_inbox_token", {{"token_digest", delivery.values[kTokenDigest]}, {"project", receipt.project}});
  for (Earlier earlier; finding == Finding::kNew && Next(scan, inbox, receipt, delivery, earlier);)
    finding = CompareByToken(earlier);
  scan.End();
  return finding;
}

// `is_first` says whether nothing at all of this invoice came before.
Finding FindByInvoice(Relation inbox, const Receipt& receipt, const Delivery& delivery, bool& is_first) {
  Finding finding = Finding::kNew;
  is_first = true;
  Scan scan(inbox, "cc_inbox_invoice", {{"invoice_id", delivery.values[kInvoiceId]}, {"project", receipt.project}});
  for (Earlier earlier; finding == Finding::kNew && Next(scan, inbox, receipt, delivery, earlier); is_first = false)
    finding = CompareByInvoice(earlier);
  scan.End();
  return finding;
}

// What the token says comes first. But a token that names its invoice did not come before either if nothing of the invoice did.
Finding FindInInbox(const Receipt& receipt, const Delivery& delivery) {
  const Relation inbox = OpenTable(receipt.schema, "cc_inbox");
  bool is_first;
  const Finding by_invoice = FindByInvoice(inbox, receipt, delivery, is_first);
  const bool is_new_token = is_first && delivery.token_names_invoice;
  const Finding by_token = is_new_token ? Finding::kNew : FindByToken(inbox, receipt, delivery);
  CloseTable(inbox);
  return by_token != Finding::kNew ? by_token : by_invoice;
}

// --- Applying ---

// {"project" : …, "invoice_id" : …}, as json_build_object writes it.
void Notify(const Receipt& receipt, const Delivery& delivery) {
  StringInfoData payload;
  initStringInfo(&payload);
  appendStringInfoString(&payload, "{\"project\" : ");
  escape_json(&payload, TextDatumGetCString(receipt.project));
  appendStringInfoString(&payload, ", \"invoice_id\" : ");
  escape_json(&payload, TextDatumGetCString(delivery.values[kInvoiceId]));
  appendStringInfoChar(&payload, '}');
  Async_Notify("cc_invoice", payload.data);
}

bool Apply(const Receipt& receipt, const Delivery& delivery) {
  const bool changed = ChangeInvoice(receipt, delivery);
  if (changed && receipt.notify) Notify(receipt, delivery);
  return changed;
}

Outcome Settle(Finding finding, const Receipt& receipt, const Delivery& delivery) {
  switch (finding) {
    case Finding::kTokenReused: return {.state = "rejected", .reason = "token_reused"};
    case Finding::kDuplicate: return {.state = "duplicate"};
    case Finding::kNew: break;
  }
  if (!receipt.apply_now) return {.state = "pending"};
  return {.state = Apply(receipt, delivery) ? "applied" : "conflict"};
}

Outcome Decide(const Receipt& receipt, const Delivery& delivery) {
  // One delivery of a token and one of an invoice at a time, always in this order. Is the token good for one invoice only, then the
  // invoice's lock is enough.
  if (!delivery.token_names_invoice && !Lock(receipt, delivery.values[kTokenDigest])) return {};
  if (!Lock(receipt, delivery.values[kInvoiceId])) return {};
  // From here on nobody else changes what is looked at.
  CommandCounterIncrement();
  PushActiveSnapshot(GetTransactionSnapshot());
  const Outcome outcome = Settle(FindInInbox(receipt, delivery), receipt, delivery);
  PopActiveSnapshot();
  return outcome;
}

// --- Errors ---

TimestampTz cancelled_statement;

// SQLSTATE, message and where it was, as far as 2,000 characters go.
const char* DescriptionOf(const ErrorData& error) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "%s: %s", unpack_sql_state(error.sqlerrcode), error.message == nullptr ? "" : error.message);
  if (error.context != nullptr)
    appendStringInfo(&text, " (%.*s)", static_cast<int>(std::strcspn(error.context, "\n")), error.context);
  text.data[pg_mbcharcliplen(text.data, text.len, 2000)] = '\0';
  return text.data;
}

}  // namespace

// The subtransaction is handled as PL/pgSQL handles that of a block with EXCEPTION.
Outcome Deliver(const Receipt& receipt, const Delivery& delivery) {
  const MemoryContext memory = CurrentMemoryContext;
  const ResourceOwner owner = CurrentResourceOwner;
  Outcome outcome{};
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    outcome = Decide(receipt, delivery);
    ReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(memory);
    ErrorData* const error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory);
    CurrentResourceOwner = owner;
    if (error->sqlerrcode == ERRCODE_QUERY_CANCELED) cancelled_statement = GetCurrentStatementStartTimestamp();
    outcome = {.state = "failed", .reason = nullptr, .error = DescriptionOf(*error)};
    FreeErrorData(error);
  }
  PG_END_TRY();
  return outcome;
}

void CheckNotCancelled() {
  if (cancelled_statement == GetCurrentStatementStartTimestamp())
    ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
                    errmsg("canceling statement, which was cancelled while an earlier row was applied")));
}

}  // namespace cc::pg
