#include "pg/deliver.hpp"

#include "pg/statement.hpp"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
}

namespace cc::pg {
namespace {

// The first use of a token wins. The same content is a duplicate, but for an earlier one that failed: then this is another
// attempt, unless it is the very same message.
Statement look_around{R"(SELECT EXISTS (SELECT FROM @extschema@.cc_inbox AS i
                WHERE i.project = $1 AND i.token_digest = $3
                  AND i.state NOT IN ('rejected', 'duplicate') AND i.content_digest <> $4) AS is_reused,
       EXISTS (SELECT FROM @extschema@.cc_inbox AS i
                WHERE i.project = $1 AND i.invoice_id = $2 AND i.content_digest = $4 AND i.id <> $5
                  AND (i.state IN ('applied', 'pending', 'conflict')
                       OR (i.state = 'failed' AND i.token_digest = $3))) AS is_known,
       EXISTS (SELECT FROM @extschema@.cc_invoice AS i WHERE i.project = $1 AND i.invoice_id = $2) AS has_invoice)"};

Statement insert_invoice{R"(INSERT INTO @extschema@.cc_invoice (
       project, invoice_id, order_id, status, amount_crypto, currency, paid_at, is_test, payment, invoice_status,
       payment_status, network, address, tx_list, amount, amount_in_crypto, amount_in_fiat, amount_usd, amount_to_pay,
       amount_to_pay_usd, amount_paid, amount_paid_usd, fee, fee_usd, service_fee, service_fee_usd, received, received_usd,
       to_surcharge, to_surcharge_usd, side_commission, type_payments, created_at, expires_at, finished_at, info,
       token_expires_at, received_at, updated_at)
SELECT project, invoice_id, order_id, status, amount_crypto, currency,
       CASE WHEN @extschema@.cc_is_paid(status, invoice_status, is_test, accept_test_payments) THEN received_at END, is_test,
       @extschema@.cc_payment(amount_paid, amount_to_pay), invoice_status, payment_status, network, address, tx_list, amount,
       amount_in_crypto, amount_in_fiat, amount_usd, amount_to_pay, amount_to_pay_usd, amount_paid, amount_paid_usd, fee,
       fee_usd, service_fee, service_fee_usd, received, received_usd, to_surcharge, to_surcharge_usd, side_commission,
       type_payments, created_at, expires_at, finished_at, info, token_expires_at, received_at, received_at
  FROM (VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40)) AS given (
       project, received_at, accept_test_payments,
       -- the columns of cc_delivery
       reason, invoice_id, order_id, status, amount_crypto, currency, token_expires_at, token_digest, content_digest, address,
       network, invoice_status, payment_status, side_commission, type_payments, is_test, amount, amount_in_crypto,
       amount_in_fiat, amount_usd, amount_to_pay, amount_to_pay_usd, amount_paid, amount_paid_usd, fee, fee_usd, service_fee,
       service_fee_usd, received, received_usd, to_surcharge, to_surcharge_usd, tx_list, created_at, expires_at, finished_at,
       info))"};

Statement update_invoice{R"(SELECT @extschema@.cc_update_invoice($1, $2, $3, ROW(
       $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
       $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40)::@extschema@.cc_delivery))"};

Statement notify_listeners{
    "SELECT pg_catalog.pg_notify('cc_invoice', pg_catalog.json_build_object('project', $1, 'invoice_id', $2)::text)"};

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

// --- Applying ---

Oid TypeOf(std::size_t column) {
  switch (column) {
    case kAmountCrypto: return NUMERICOID;
    case kTokenExpiresAt: return TIMESTAMPTZOID;
    case kTokenDigest:
    case kContentDigest: return BYTEAOID;
    case kInfo: return JSONBOID;
    default: break;
  }
  if (column < kFirstInfo) return TEXTOID;
  switch (kInfoColumns[column - kFirstInfo].kind) {
    case InfoKind::kText: return TEXTOID;
    case InfoKind::kNumber: return NUMERICOID;
    case InfoKind::kTime: return TIMESTAMPTZOID;
    case InfoKind::kBoolean: return BOOLOID;
    case InfoKind::kTextList: return TEXTARRAYOID;
  }
  pg_unreachable();
}

// True unless it contradicts what is known of the invoice.
bool ChangeInvoice(const char* schema, const Receipt& receipt, const Delivery& delivery, bool is_new) {
  Parameter parameters[3 + kDeliveryColumns] = {{TEXTOID, receipt.project},
                                                {TIMESTAMPTZOID, TimestampTzGetDatum(receipt.received_at)},
                                                {BOOLOID, BoolGetDatum(receipt.accept_test_payments)}};
  for (std::size_t i = 0; i < kDeliveryColumns; ++i) parameters[3 + i] = {TypeOf(i), delivery.values[i], delivery.nulls[i]};
  if (!is_new) return Execute(update_invoice, schema, parameters) && BooleanOf(1);
  Execute(insert_invoice, schema, parameters);
  return true;
}

// SET CONSTRAINTS ALL IMMEDIATE, and then DEFERRED again: what is due is checked now, and what the transaction itself has put
// off stays put off. A constraint that is deferred would fail at commit, and take the inbox row with it.
void CheckConstraints() {
  ConstraintsSetStmt statement{};  // no names: ALL
  statement.type = T_ConstraintsSetStmt;
  AfterTriggerSetState(&statement);
  statement.deferred = true;
  AfterTriggerSetState(&statement);
}

bool Apply(const char* schema, const Receipt& receipt, const Delivery& delivery, bool is_new) {
  const bool changed = ChangeInvoice(schema, receipt, delivery, is_new);
  CheckConstraints();
  if (changed && receipt.notify)
    Execute(notify_listeners, schema, {{TEXTOID, receipt.project}, {TEXTOID, delivery.values[kInvoiceId]}});
  return changed;
}

Outcome Decide(const char* schema, const Receipt& receipt, const Delivery& delivery) {
  // One delivery of a token and one of an invoice at a time, always in this order.
  if (!Lock(receipt, delivery.values[kTokenDigest]) || !Lock(receipt, delivery.values[kInvoiceId])) return {};
  Execute(look_around, schema, {{TEXTOID, receipt.project},
                                {TEXTOID, delivery.values[kInvoiceId]},
                                {BYTEAOID, delivery.values[kTokenDigest]},
                                {BYTEAOID, delivery.values[kContentDigest]},
                                {INT8OID, receipt.inbox_id}});
  const bool is_reused = BooleanOf(1), is_known = BooleanOf(2), has_invoice = BooleanOf(3);
  if (is_reused) return {.state = "rejected", .reason = "token_reused"};
  if (is_known) return {.state = "duplicate"};
  if (!receipt.apply_now) return {.state = "pending"};
  return {.state = Apply(schema, receipt, delivery, !has_invoice) ? "applied" : "conflict"};
}

// --- Errors ---

TimestampTz cancelled_statement;

// SQLSTATE, message and where it was, as far as 2,000 characters go.
const char* DescriptionOf(const ErrorData& error) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "%s: %s", unpack_sql_state(error.sqlerrcode), error.message == nullptr ? "" : error.message);
  if (error.context != nullptr)
    appendStringInfo(&text, " (%.*s)", static_cast<int>(strcspn(error.context, "\n")), error.context);
  text.data[pg_mbcharcliplen(text.data, text.len, 2000)] = '\0';
  return text.data;
}

}  // namespace

// The subtransaction is handled as PL/pgSQL handles that of a block with EXCEPTION.
Outcome Deliver(const char* schema, const Receipt& receipt, const Delivery& delivery) {
  const MemoryContext memory = CurrentMemoryContext;
  const ResourceOwner owner = CurrentResourceOwner;
  Outcome outcome{};
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(memory);
  PG_TRY();
  {
    outcome = Decide(schema, receipt, delivery);
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
