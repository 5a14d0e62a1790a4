#include "pg/invoice.hpp"

#include "core/payment.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(cc_is_paid);
PG_FUNCTION_INFO_V1(cc_payment);
}

namespace cc::pg {
namespace {

// --- Rules that SQL shares ---

Datum PaymentOf(Datum amount_paid, Datum amount_to_pay) {
  const int order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, amount_paid, amount_to_pay));
  return CStringGetTextDatum(order < 0 ? "under" : order > 0 ? "over" : "exact");
}

std::string_view TextOrEmpty(NullableDatum value) { return value.isnull ? std::string_view{} : ViewOf(DatumGetTextPP(value.value)); }

// --- The columns of cc_invoice ---

// Where a column's value comes from: a DeliveryColumn, or one of these.
enum Source : std::size_t { kProject = kDeliveryColumns, kPaidAt, kPayment, kReceivedAt, kSources };

constexpr std::size_t FromInfo(std::string_view member) {
  for (std::size_t i = 0; i < kInfoColumns.size(); ++i)
    if (kInfoColumns[i].member == member) return kFirstInfo + i;
  throw "no such member";  // never at run time: the table below is a constant
}

struct InvoiceColumn {
  const char* name;
  std::size_t source;
};

// In the order that cc_setup() gives them.
constexpr auto kInvoiceColumns = std::to_array<InvoiceColumn>({
    {"project", kProject},
    {"invoice_id", kInvoiceId},
    {"order_id", kOrderId},
    {"status", kStatus},
    {"amount_crypto", kAmountCrypto},
    {"currency", kCurrency},
    {"paid_at", kPaidAt},
    {"is_test", FromInfo("test_mode")},
    {"payment", kPayment},
    {"invoice_status", FromInfo("invoice_status")},
    {"payment_status", FromInfo("status")},
    {"network", kFirstInfo + kNetworkColumn},
    {"address", FromInfo("address")},
    {"tx_list", FromInfo("tx_list")},
    {"amount", FromInfo("amount")},
    {"amount_in_crypto", FromInfo("amount_in_crypto")},
    {"amount_in_fiat", FromInfo("amount_in_fiat")},
    {"amount_usd", FromInfo("amount_usd")},
    {"amount_to_pay", FromInfo("amount_to_pay")},
    {"amount_to_pay_usd", FromInfo("amount_to_pay_usd")},
    {"amount_paid", FromInfo("amount_paid")},
    {"amount_paid_usd", FromInfo("amount_paid_usd")},
    {"fee", FromInfo("fee")},
    {"fee_usd", FromInfo("fee_usd")},
    {"service_fee", FromInfo("service_fee")},
    {"service_fee_usd", FromInfo("service_fee_usd")},
    {"received", FromInfo("received")},
    {"received_usd", FromInfo("received_usd")},
    {"to_surcharge", FromInfo("to_surcharge")},
    {"to_surcharge_usd", FromInfo("to_surcharge_usd")},
    {"side_commission", FromInfo("side_commission")},
    {"type_payments", FromInfo("type_payments")},
    {"created_at", FromInfo("created")},
    {"expires_at", FromInfo("expiry_date")},
    {"finished_at", FromInfo("date_finished")},
    {"info", kInfo},
    {"token_expires_at", kTokenExpiresAt},
    {"received_at", kReceivedAt},
    {"updated_at", kReceivedAt},
});
constexpr int kColumnCount = static_cast<int>(kInvoiceColumns.size());

Oid TypeOfInfo(InfoKind kind) {
  switch (kind) {
    case InfoKind::kText: return TEXTOID;
    case InfoKind::kNumber: return NUMERICOID;
    case InfoKind::kTime: return TIMESTAMPTZOID;
    case InfoKind::kBoolean: return BOOLOID;
    case InfoKind::kTextList: return TEXTARRAYOID;
  }
  pg_unreachable();
}

Oid TypeOf(std::size_t source) {
  if (source >= kFirstInfo && source < kInfo) return TypeOfInfo(kInfoColumns[source - kFirstInfo].kind);
  switch (source) {
    case kAmountCrypto: return NUMERICOID;
    case kTokenDigest:
    case kContentDigest: return BYTEAOID;
    case kTokenExpiresAt:
    case kPaidAt:
    case kReceivedAt: return TIMESTAMPTZOID;
    case kInfo: return JSONBOID;
    default: return TEXTOID;
  }
}

// The values by Source.
struct Values {
  NullableDatum of[kSources];
};

Values ValuesOf(const Receipt& receipt, const Delivery& delivery) {
  Values values;
  for (std::size_t i = 0; i < kDeliveryColumns; ++i) values.of[i] = delivery.At(i);
  values.of[kProject] = {receipt.project, false};
  values.of[kReceivedAt] = {receipt.received_at, false};
  const NullableDatum is_test = delivery.At(FromInfo("test_mode"));
  const bool is_paid = IsPaid(TextOrEmpty(delivery.At(kStatus)), TextOrEmpty(delivery.At(FromInfo("invoice_status"))),
                              !is_test.isnull && DatumGetBool(is_test.value), receipt.accept_test_payments);
  values.of[kPaidAt] = {receipt.received_at, !is_paid};
  const NullableDatum paid = delivery.At(FromInfo("amount_paid")), to_pay = delivery.At(FromInfo("amount_to_pay"));
  const bool is_known = !paid.isnull && !to_pay.isnull;
  values.of[kPayment] = {is_known ? PaymentOf(paid.value, to_pay.value) : Datum{0}, !is_known};
  return values;
}

// A row of cc_invoice in the order that this table has its columns in.
struct Row {
  Datum* values;
  bool* nulls;
};

// False if the table has other columns, or of other types: those may have defaults, and domains have checks.
bool Arrange(const Values& values, Relation table, Row& row) {
  const TupleDesc descriptor = RelationGetDescr(table);
  const auto natts = static_cast<std::size_t>(descriptor->natts);
  row.values = static_cast<Datum*>(palloc0(natts * sizeof(Datum)));
  row.nulls = static_cast<bool*>(palloc(natts));
  int dropped = 0;
  for (int i = 0; i < descriptor->natts; ++i) {
    row.nulls[i] = true;
    dropped += TupleDescAttr(descriptor, i)->attisdropped ? 1 : 0;
  }
  if (descriptor->natts - dropped != kColumnCount) return false;
  ColumnFinder columns(table);
  for (const InvoiceColumn& column : kInvoiceColumns) {
    const AttrNumber number = columns.Find(column.name, TypeOf(column.source));
    if (number == 0) return false;
    row.values[number - 1] = values.of[column.source].value;
    row.nulls[number - 1] = values.of[column.source].isnull;
  }
  return true;
}

// --- Statements: whatever the table is ---

// INSERT INTO cc_invoice (project, …) VALUES ($1, …)
const char* InsertText() {
  StringInfoData text;
  const MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
  initStringInfo(&text);
  MemoryContextSwitchTo(caller);
  appendStringInfoString(&text, "INSERT INTO @extschema@.cc_invoice (");
  for (int i = 0; i < kColumnCount; ++i) appendStringInfo(&text, "%s%s", i == 0 ? "" : ", ", kInvoiceColumns[i].name);
  appendStringInfoString(&text, ") VALUES (");
  for (int i = 0; i < kColumnCount; ++i) appendStringInfo(&text, "%s$%d", i == 0 ? "" : ", ", i + 1);
  appendStringInfoChar(&text, ')');
  return text.data;
}

bool Insert(const Receipt& receipt, const Values& values) {
  static Statement insert_invoice{nullptr};
  if (insert_invoice.sql == nullptr) insert_invoice.sql = InsertText();
  Parameter parameters[kColumnCount];
  for (std::size_t i = 0; i < kInvoiceColumns.size(); ++i) {
    const std::size_t source = kInvoiceColumns[i].source;
    parameters[i] = {TypeOf(source), values.of[source].value, values.of[source].isnull};
  }
  Execute(insert_invoice, receipt.schema, parameters, kColumnCount);
  return true;
}

Statement update_invoice{R"(SELECT @extschema@.cc_update_invoice($1, $2, $3, ROW(
       $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
       $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40)::@extschema@.cc_delivery))"};

bool Update(const Receipt& receipt, const Delivery& delivery) {
  Parameter parameters[3 + kDeliveryColumns] = {{TEXTOID, receipt.project},
                                                {TIMESTAMPTZOID, receipt.received_at},
                                                {BOOLOID, BoolGetDatum(receipt.accept_test_payments)}};
  for (std::size_t i = 0; i < kDeliveryColumns; ++i) parameters[3 + i] = {TypeOf(i), delivery.values[i], delivery.nulls[i]};
  return Execute(update_invoice, receipt.schema, parameters, 3 + kDeliveryColumns);
}

// --- Changing it ---

bool IsKnown(Relation table, const Receipt& receipt, const Delivery& delivery) {
  Scan scan(table, "cc_invoice_pkey", {{"invoice_id", delivery.values[kInvoiceId]}, {"project", receipt.project}});
  const bool is_known = scan.Next() != nullptr;
  scan.End();
  return is_known;
}

// A search_path that nobody who inserts can choose: the extension's schema, then what a new session of the tables' owner would
// have. Until LeaveSearchPath, or until an error ends the subtransaction.
int EnterSearchPath(Oid schema) {
  const int outside = NewGUCNestLevel();
  const char* const path = psprintf("%s, \"$user\", public, pg_temp", quote_identifier(get_namespace_name(schema)));
  set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
  return outside;
}

void LeaveSearchPath(int outside) { AtEOXact_GUC(true, outside); }

// SET CONSTRAINTS ALL IMMEDIATE, and then DEFERRED again: what is due is checked now, and what the transaction itself has put
// off stays put off. A constraint that is deferred would fail at commit, and take the inbox row with it.
void CheckConstraints() {
  ConstraintsSetStmt statement{};  // no names: ALL
  statement.type = T_ConstraintsSetStmt;
  AfterTriggerSetState(&statement);
  statement.deferred = true;
  AfterTriggerSetState(&statement);
}

}  // namespace

bool ChangeInvoice(const Receipt& receipt, const Delivery& delivery) {
  const Relation table = OpenTableToInsert(receipt.schema, "cc_invoice");
  const bool is_known = IsKnown(table, receipt, delivery);
  const Values values = ValuesOf(receipt, delivery);
  Row row;
  const bool is_plain = !is_known && IsPlain(table) && Arrange(values, table, row);
  bool changed = true;
  if (is_plain && table->trigdesc == nullptr) {  // nothing of the merchant's runs
    InsertRow(table, row.values, row.nulls);
  } else {
    const int outside = EnterSearchPath(receipt.schema);
    if (is_plain)
      InsertRow(table, row.values, row.nulls);
    else
      changed = is_known ? Update(receipt, delivery) : Insert(receipt, values);
    CheckConstraints();
    LeaveSearchPath(outside);
  }
  CloseTable(table);
  return changed;
}

}  // namespace cc::pg

// What these promise stands in sql/pipeline.sql.
extern "C" {
// Arguments: status, invoice_status, is_test, accept_test_payments.
PGDLLEXPORT Datum cc_is_paid(PG_FUNCTION_ARGS) {
  using namespace cc::pg;
  PG_RETURN_BOOL(cc::IsPaid(TextOrEmpty(fcinfo->args[0]), TextOrEmpty(fcinfo->args[1]),
                            !PG_ARGISNULL(2) && PG_GETARG_BOOL(2), !PG_ARGISNULL(3) && PG_GETARG_BOOL(3)));
}

PGDLLEXPORT Datum cc_payment(PG_FUNCTION_ARGS) { return cc::pg::PaymentOf(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)); }
}
