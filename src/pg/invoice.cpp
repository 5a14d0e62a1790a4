#include "pg/invoice.hpp"

#include <utility>

#include "pg/merchant_code.hpp"
#include "pg/statement.hpp"
#include "pg/table.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
}

namespace cc::pg {
namespace {

constexpr std::size_t kProject = InvoiceColumnIndex("project");
constexpr std::size_t kInvoiceId = InvoiceColumnIndex("invoice_id");
constexpr std::size_t kOrderId = InvoiceColumnIndex("order_id");
constexpr std::size_t kStatus = InvoiceColumnIndex("status");
constexpr std::size_t kAmountCrypto = InvoiceColumnIndex("amount_crypto");
constexpr std::size_t kCurrency = InvoiceColumnIndex("currency");
constexpr std::size_t kPaidAt = InvoiceColumnIndex("paid_at");
constexpr std::size_t kIsTest = InvoiceColumnIndex("is_test");
constexpr std::size_t kPayment = InvoiceColumnIndex("payment");
constexpr std::size_t kInvoiceStatus = InvoiceColumnIndex("invoice_status");
constexpr std::size_t kPaymentStatus = InvoiceColumnIndex("payment_status");
constexpr std::size_t kAmountToPay = InvoiceColumnIndex("amount_to_pay");
constexpr std::size_t kAmountToPayUsd = InvoiceColumnIndex("amount_to_pay_usd");
constexpr std::size_t kAmountPaid = InvoiceColumnIndex("amount_paid");
constexpr std::size_t kInfo = InvoiceColumnIndex("info");
constexpr std::size_t kTokenExpiresAt = InvoiceColumnIndex("token_expires_at");
constexpr std::size_t kReceivedAt = InvoiceColumnIndex("received_at");
constexpr std::size_t kUpdatedAt = InvoiceColumnIndex("updated_at");
constexpr std::size_t kAmountsExpireAt = InvoiceColumnIndex("amounts_expire_at");
constexpr std::size_t kExpectedAt = InvoiceColumnIndex("expected_at");
constexpr std::size_t kImportedAt = InvoiceColumnIndex("imported_at");
constexpr std::size_t kErasedAt = InvoiceColumnIndex("erased_at");

// --- The table ---

// What is known of cc_invoice, cached until it changes.
struct {
  Oid schema;
  Oid table;
  bool is_current;
  bool runs_merchant_code;
  bool has_exact_amounts;  // amount_crypto is not numeric(20, 8), say, which would round it
} known_table;

void ForgetTable(Oid table) {
  if (!OidIsValid(table) || table == known_table.table) known_table.table = InvalidOid;
}

bool HasEachColumn(Relation table) {
  const TupleDesc descriptor = RelationGetDescr(table);
  for (const InvoiceColumn& column : kInvoiceColumns) {
    bool found = false;
    for (int i = 0; i < descriptor->natts && !found; ++i)
      found = !TupleDescAttr(descriptor, i)->attisdropped && column.name == NameStr(TupleDescAttr(descriptor, i)->attname);
    if (!found) return false;
  }
  return true;
}

[[noreturn]] void RaiseAltered(std::size_t column) {
  ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                  errmsg("column \"%s\" of \"cc_invoice\" is not as cc_setup() makes it", kInvoiceColumns[column].name.data())));
  pg_unreachable();
}

void ReadTable(Oid schema) {
  OnRelationChange(ForgetTable);
  if (OidIsValid(known_table.table) && known_table.schema == schema) return;
  const Relation table = OpenTable(schema, "cc_invoice");
  known_table.schema = schema;
  known_table.table = RelationGetRelid(table);  // before the lookups: a change that they meet forgets it again
  known_table.is_current = HasEachColumn(table);
  known_table.runs_merchant_code = RunsMerchantCode(table);
  known_table.has_exact_amounts = ColumnFinder(table).Find("amount_crypto", NUMERICOID) != 0;
  CloseTable(table);
}

// --- Statements, generated from the list of columns ---

// The parameter of a column is its index + 1.
void AppendParameter(StringInfo text, std::size_t column) { appendStringInfo(text, "$%zu", column + 1); }

void AppendName(StringInfo text, std::size_t column) {
  appendStringInfo(text, "%.*s", static_cast<int>(kInvoiceColumns[column].name.size()), kInvoiceColumns[column].name.data());
}

// name, name, …
void AppendNames(StringInfo text) {
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i) {
    if (i > 0) appendStringInfoString(text, ", ");
    AppendName(text, i);
  }
}

// WHERE invoice_id = $2 AND project = $1
void AppendKey(StringInfo text) {
  for (const std::size_t column : {kInvoiceId, kProject}) {
    appendStringInfoString(text, column == kInvoiceId ? " WHERE " : " AND ");
    AppendName(text, column);
    appendStringInfoString(text, " OPERATOR(pg_catalog.=) ");
    AppendParameter(text, column);
  }
}

const char* InsertText(const char* schema) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "INSERT INTO %s.cc_invoice (", schema);
  AppendNames(&text);
  appendStringInfoString(&text, ") SELECT ");
  AppendNames(&text);
  appendStringInfoString(&text, " FROM given");
  return text.data;
}

const char* SelectText(const char* schema) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfoString(&text, "SELECT ");
  AppendNames(&text);
  appendStringInfo(&text, " FROM %s.cc_invoice", schema);
  AppendKey(&text);
  appendStringInfoString(&text, " FOR NO KEY UPDATE");
  return text.data;
}

// An UPDATE names these columns only if they change, so that a trigger on UPDATE OF one of them fires only then.
enum Named : unsigned { kNamesAmount = 1, kNamesOrder = 2, kNamesPaidAt = 4, kNamedSets = 8 };

bool IsNamed(std::size_t column, unsigned named) {
  if (kInvoiceColumns[column].group == ColumnGroup::kKey || column == kReceivedAt || column == kErasedAt) return false;
  if (column == kAmountCrypto || column == kCurrency) return (named & kNamesAmount) != 0;
  if (column == kOrderId) return (named & kNamesOrder) != 0;
  if (column == kPaidAt) return (named & kNamesPaidAt) != 0;
  return true;
}

template <unsigned kNamed>
const char* UpdateText(const char* schema) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "UPDATE %s.cc_invoice SET ", schema);
  bool is_first = true;
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i) {
    if (!IsNamed(i, kNamed)) continue;
    if (!is_first) appendStringInfoString(&text, ", ");
    is_first = false;
    AppendName(&text, i);
    appendStringInfoString(&text, " = ");
    AppendParameter(&text, i);
  }
  AppendKey(&text);
  return text.data;
}

Statement insert_invoice{InsertText};
Statement select_invoice{SelectText};
Statement update_invoice[kNamedSets] = {{UpdateText<0>}, {UpdateText<1>}, {UpdateText<2>}, {UpdateText<3>},
                                        {UpdateText<4>}, {UpdateText<5>}, {UpdateText<6>}, {UpdateText<7>}};

Result ExecuteWith(Statement& statement, Oid schema, const InvoiceRow& row) {
  static_assert(kInvoiceColumnCount <= kMaxParameters);
  Parameter parameters[kInvoiceColumnCount];
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    parameters[i] = {TypeOf(kInvoiceColumns[i].kind), row.values[i], row.nulls[i]};
  return Execute(statement, schema, parameters, static_cast<int>(kInvoiceColumnCount));
}

// The columns of an InvoiceRow. Made once in a session.
TupleDesc InvoiceDescriptor() {
  static TupleDesc descriptor;
  if (descriptor == nullptr) {
    const MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
    const TupleDesc made = CreateTemplateTupleDesc(static_cast<int>(kInvoiceColumnCount));
    AttrNumber number = 0;
    for (const InvoiceColumn& column : kInvoiceColumns)
      TupleDescInitEntry(made, ++number, column.name.data(), TypeOf(column.kind), -1, 0);
    MemoryContextSwitchTo(caller);
    descriptor = made;
  }
  return descriptor;
}

Result Insert(Oid schema, InvoiceRow& row) {
  return ExecuteForRow(insert_invoice, schema, InvoiceDescriptor(), row.values, row.nulls);
}

void RequireOneRow(Statement& statement, Result result) {
  if (result.processed == 1) return;
  // A rule DO INSTEAD NOTHING leaves a plan that is not invalidated when the rule is dropped.
  statement.plan = nullptr;
  ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
                  errmsg("the invoice was not stored because a trigger or a rule of cc_invoice skipped the row")));
}

InvoiceRow ReadForUpdate(Oid schema, const InvoiceRow& key) {
  const ResultRow found = ExecuteWith(select_invoice, schema, key).first;
  if (found.tuple == nullptr)
    ereport(ERROR, (errcode(ERRCODE_NO_DATA_FOUND), errmsg("the invoice was deleted while it was being updated")));
  InvoiceRow row;
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    if (TupleDescAttr(found.descriptor, static_cast<int>(i))->atttypid != TypeOf(kInvoiceColumns[i].kind)) RaiseAltered(i);
  heap_deform_tuple(found.tuple, found.descriptor, row.values, row.nulls);
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    if (kInvoiceColumns[i].not_null && row.nulls[i])
      ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                      errmsg("column \"%s\" of \"cc_invoice\" must not be null", kInvoiceColumns[i].name.data())));
  return row;
}

// --- Values ---

std::string_view TextOrEmpty(const InvoiceRow& row, std::size_t column) {
  return row.nulls[column] ? std::string_view{} : ViewOf(DatumGetTextPP(row.values[column]));
}

int CompareNumbers(Datum a, Datum b) { return DatumGetInt32(DirectFunctionCall2(numeric_cmp, a, b)); }

bool IsTrue(NullableDatum value) { return !value.isnull && DatumGetBool(value.value); }

PaymentStatus StatusOf(const InvoiceRow& row) {
  return {TextOrEmpty(row, kStatus), TextOrEmpty(row, kInvoiceStatus), TextOrEmpty(row, kPaymentStatus)};
}

// `is_test` is the value of the postback, or the invoice's previous value if the postback has none.
bool SaysPaid(const DeliveryContext& context, const Delivery& delivery, NullableDatum is_test) {
  return IsPaid(TextOrEmpty(delivery.invoice, kStatus), delivery.confirms_success, IsTrue(is_test), context.accept_test_payments);
}

void SetPayment(InvoiceRow& row) {
  if (row.nulls[kAmountPaid] || row.nulls[kAmountToPay])
    row.SetNull(kPayment);
  else
    row.Set(kPayment, CStringGetTextDatum(PaymentWord(CompareNumbers(row.values[kAmountPaid], row.values[kAmountToPay]))));
}

// Only for a row that is stored: it takes most of the time of reading invoice_info. A stored value stays as it is.
void CompressInfo(InvoiceRow& row) {
  if (!row.nulls[kInfo] && !VARATT_IS_EXTENDED(DatumGetPointer(row.values[kInfo]))) row.Set(kInfo, Compressed(row.values[kInfo]));
}

// An answer of the API that says more than created is newer than all earlier postbacks.
void SetImportTimes(const DeliveryContext& context, const Delivery& delivery, InvoiceRow& row) {
  if (row.nulls[kExpectedAt]) row.Set(kExpectedAt, context.received_at);
  if (RankOf(StatusOf(delivery.invoice)) > 0) row.Set(kImportedAt, context.received_at);
}

InvoiceRow NewInvoice(const DeliveryContext& context, const Delivery& delivery) {
  InvoiceRow row = delivery.invoice;
  row.Set(kProject, context.project);
  row.Set(kReceivedAt, context.received_at);
  row.Set(kUpdatedAt, context.received_at);
  row.Set(kAmountsExpireAt, row.At(kTokenExpiresAt));
  if (SaysPaid(context, delivery, row.At(kIsTest))) row.Set(kPaidAt, context.received_at);
  SetPayment(row);
  if (context.from_api) SetImportTimes(context, delivery, row);
  if (row.nulls[kCurrency]) row.Set(kCurrency, CStringGetTextDatum(""));  // an answer of the API before a coin is chosen
  return row;
}

// --- An existing invoice ---

bool Differ(const InvoiceRow& given, const InvoiceRow& known, std::size_t column) {
  return !given.nulls[column] && !known.nulls[column] && TextOrEmpty(given, column) != TextOrEmpty(known, column);
}

const char* TextOf(const InvoiceRow& row, std::size_t column) {
  return kInvoiceColumns[column].kind == ColumnKind::kNumber
             ? DatumGetCString(DirectFunctionCall1(numeric_out, row.values[column]))
             : psprintf("\"%s\"", TextDatumGetCString(row.values[column]));
}

// Returns a text such as: order_id is "O1", the postback says "O2".
const char* Describe(const DeliveryContext& context, std::size_t column, const InvoiceRow& given, const InvoiceRow& known) {
  return psprintf("%s is %s, the %s says %s", kInvoiceColumns[column].name.data(), TextOf(known, column),
                  context.from_api ? "API" : "postback", TextOf(given, column));
}

Agreement Compare(const InvoiceRow& given, const InvoiceRow& known, std::size_t column) {
  if (given.nulls[column] || known.nulls[column]) return Agreement::kUnknown;
  return CompareNumbers(given.values[column], known.values[column]) == 0 ? Agreement::kSame : Agreement::kOther;
}

// Compares the API and a postback, whichever came second. The API may correct its own values. While nothing is paid, it may also
// correct those of a postback.
Contradiction FindOtherPrice(const DeliveryContext& context, const InvoiceRow& given, const InvoiceRow& known) {
  const bool is_expected = !known.nulls[kExpectedAt];
  const bool counts = context.from_api ? !is_expected && !known.nulls[kPaidAt] : is_expected;
  return counts ? cc::FindOtherPrice(Differ(given, known, kCurrency), Compare(given, known, kAmountToPay),
                                     Compare(given, known, kAmountToPayUsd))
                : Contradiction::kNone;
}

// In an answer of the API that does not say paid, amount and currency are not those of a payment.
Contradiction FindContradiction(const DeliveryContext& context, const InvoiceRow& given, const InvoiceRow& known,
                                bool says_paid) {
  const bool is_paid = !known.nulls[kPaidAt] && (says_paid || !context.from_api);
  const Contradiction found = cc::FindContradiction(is_paid, Differ(given, known, kOrderId), Differ(given, known, kCurrency),
                                                    CompareNumbers(given.values[kAmountCrypto], known.values[kAmountCrypto]) < 0);
  return found == Contradiction::kNone ? FindOtherPrice(context, given, known) : found;
}

const char* ContradictionOf(const DeliveryContext& context, const InvoiceRow& given, const InvoiceRow& known, bool says_paid) {
  switch (FindContradiction(context, given, known, says_paid)) {
    case Contradiction::kOrderId: return Describe(context, kOrderId, given, known);
    case Contradiction::kCurrency: return Describe(context, kCurrency, given, known);
    case Contradiction::kAmount: return Describe(context, kAmountCrypto, given, known);
    case Contradiction::kAmountToPay: return Describe(context, kAmountToPay, given, known);
    case Contradiction::kAmountToPayUsd: return Describe(context, kAmountToPayUsd, given, known);
    case Contradiction::kNone: break;
  }
  return nullptr;
}

bool IsNewer(const DeliveryContext& context, const InvoiceRow& given, const InvoiceRow& known) {
  const int rank = RankOf(StatusOf(given)), known_rank = RankOf(StatusOf(known));
  if (context.from_api) return IsAnswerNewer(rank, known_rank);
  return (known.nulls[kImportedAt] ||
          IsNewerThanAnswer(DatumGetTimestampTz(context.received_at), DatumGetTimestampTz(known.values[kImportedAt]))) &&
         cc::IsNewer(DatumGetTimestampTz(given.values[kTokenExpiresAt]), rank, DatumGetTimestampTz(known.values[kTokenExpiresAt]),
                     known_rank);
}

// Amounts from an answer of the API have no exp, like the answer.
bool IsNewerAmount(const DeliveryContext& context, const InvoiceRow& given, const InvoiceRow& known) {
  if (context.from_api) return IsNewer(context, given, known);
  const TimestampTz amounts =
      DatumGetTimestampTz(known.values[known.nulls[kAmountsExpireAt] ? kTokenExpiresAt : kAmountsExpireAt]);
  if (TIMESTAMP_IS_NOBEGIN(amounts))
    return known.nulls[kImportedAt] ||
           IsNewerThanAnswer(DatumGetTimestampTz(context.received_at), DatumGetTimestampTz(known.values[kImportedAt]));
  return DatumGetTimestampTz(given.values[kTokenExpiresAt]) >= amounts;
}

Update UpdateBy(const DeliveryContext& context, const Delivery& delivery, const InvoiceRow& known) {
  const InvoiceRow& given = delivery.invoice;
  const NullableDatum is_test = given.nulls[kIsTest] ? known.At(kIsTest) : given.At(kIsTest);
  const bool same_currency = !Differ(given, known, kCurrency);
  return {.is_newer = IsNewer(context, given, known),
          .is_newer_amount = IsNewerAmount(context, given, known),
          .is_paid = !known.nulls[kPaidAt],
          .says_paid = SaysPaid(context, delivery, is_test),
          .same_amount = same_currency && CompareNumbers(given.values[kAmountCrypto], known.values[kAmountCrypto]) == 0,
          .is_accepted = context.acceptance != Acceptance::kNone,
          .from_api = context.from_api,
          .is_expected = !known.nulls[kExpectedAt],
          .same_currency = same_currency,
          .is_erased = !known.nulls[kErasedAt]};
}

NullableDatum MergeValue(Merge merge, NullableDatum given, NullableDatum known) {
  switch (merge) {
    case Merge::kKeep: return known;
    case Merge::kFill: return known.isnull ? given : known;
    case Merge::kReplace: return given.isnull ? known : given;
    case Merge::kTake: return given;
  }
  pg_unreachable();
}

InvoiceRow MergeRows(const DeliveryContext& context, const Delivery& delivery, const InvoiceRow& given, const InvoiceRow& known,
                     const Update& update) {
  InvoiceRow row;
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    row.Set(i, MergeValue(MergeOf(kInvoiceColumns[i].group, update), given.At(i), known.At(i)));
  if (DatumGetTimestampTz(given.values[kTokenExpiresAt]) > DatumGetTimestampTz(known.values[kTokenExpiresAt]))
    row.Set(kTokenExpiresAt, given.At(kTokenExpiresAt));
  row.Set(kUpdatedAt, context.received_at);
  const Merge amounts = MergeOf(ColumnGroup::kMoney, update);
  // A person decides after everything known. An older postback changes nothing of that decision.
  if (amounts == Merge::kTake || amounts == Merge::kReplace)
    row.Set(kAmountsExpireAt, update.is_accepted ? row.At(kTokenExpiresAt) : given.At(kTokenExpiresAt));
  if (update.says_paid && !update.is_paid) row.Set(kPaidAt, context.received_at);
  if (context.from_api) SetImportTimes(context, delivery, row);
  SetPayment(row);
  return row;
}

bool IsSame(const InvoiceRow& row, const InvoiceRow& known, std::size_t column) {
  if (row.nulls[column] || known.nulls[column]) return row.nulls[column] == known.nulls[column];
  TypeCacheEntry* const type = lookup_type_cache(TypeOf(kInvoiceColumns[column].kind), TYPECACHE_EQ_OPR_FINFO);
  return DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, DEFAULT_COLLATION_OID, row.values[column], known.values[column]));
}

// Returns true if nothing but the times of the import differs.
bool IsUnchanged(const InvoiceRow& row, const InvoiceRow& known) {
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    if (i != kUpdatedAt && i != kImportedAt && i != kAmountsExpireAt && !IsSame(row, known, i)) return false;
  return true;
}

unsigned NamedBy(const InvoiceRow& row, const InvoiceRow& known) {
  unsigned named = 0;
  if (Differ(row, known, kCurrency) || CompareNumbers(row.values[kAmountCrypto], known.values[kAmountCrypto]) != 0)
    named |= kNamesAmount;
  if (row.nulls[kOrderId] != known.nulls[kOrderId] || Differ(row, known, kOrderId)) named |= kNamesOrder;
  if (row.nulls[kPaidAt] != known.nulls[kPaidAt]) named |= kNamesPaidAt;
  return named;
}

const char* UpdateKnown(const DeliveryContext& context, const Delivery& delivery, InvoiceChange& change) {
  InvoiceRow given = delivery.invoice;
  given.Set(kProject, context.project);
  const InvoiceRow known = ReadForUpdate(context.schema, given);
  const Update update = UpdateBy(context, delivery, known);
  if (context.acceptance == Acceptance::kNone) {
    if (const char* const contradiction = ContradictionOf(context, given, known, update.says_paid)) return contradiction;
  } else if (context.acceptance == Acceptance::kAccepted && !known.nulls[kPaidAt] && Differ(given, known, kOrderId)) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the order of a paid invoice would change: %s", Describe(context, kOrderId, given, known)),
                    errdetail("One payment would pay two orders."), errhint("Call cc_accept with reassign => true.")));
  }
  InvoiceRow row = MergeRows(context, delivery, given, known, update);
  if (context.from_api && IsUnchanged(row, known)) return nullptr;
  CompressInfo(row);
  Statement& statement = update_invoice[NamedBy(row, known)];
  RequireOneRow(statement, ExecuteWith(statement, context.schema, row));
  change = known.nulls[kPaidAt] && !row.nulls[kPaidAt] ? InvoiceChange::kPaid : InvoiceChange::kUpdated;
  return nullptr;
}

// {"project" : …, "invoice_id" : …}, as json_build_object writes it.
void Notify(const DeliveryContext& context, const Delivery& delivery) {
  StringInfoData payload;
  initStringInfo(&payload);
  appendStringInfoString(&payload, "{\"project\" : ");
  escape_json(&payload, TextDatumGetCString(context.project));
  appendStringInfoString(&payload, ", \"invoice_id\" : ");
  escape_json(&payload, TextDatumGetCString(delivery.invoice.values[kInvoiceId]));
  appendStringInfoChar(&payload, '}');
  Async_Notify("cc_invoice", payload.data);
}

// Returns a project that has this invoice; nullptr: none. The service gives each id once, to an invoice of one project.
const char* ProjectWithInvoice(const DeliveryContext& context, const Delivery& delivery) {
  const Relation table = OpenTable(context.schema, "cc_invoice");
  const Snapshot now = TakeLatestSnapshot();
  Scan scan(table, now, {{"invoice_id", TEXTOID, delivery.invoice.values[kInvoiceId]}});
  const HeapTuple row = scan.Next();
  const char* const project = row == nullptr ? nullptr : TextDatumGetCString(RequiredColumnOf(table, row, "project", TEXTOID));
  scan.End();
  ForgetSnapshot(now);
  CloseTable(table);
  return project;
}

const char* Store(const DeliveryContext& context, const Delivery& delivery, bool is_known, InvoiceChange& change) {
  if (is_known) return UpdateKnown(context, delivery, change);
  // A postback proves its project. An answer of the API does not, and can have the invoices of all projects.
  if (context.from_api)
    if (const char* const project = ProjectWithInvoice(context, delivery))
      return psprintf("project \"%s\" has this invoice", project);
  InvoiceRow row = NewInvoice(context, delivery);
  CompressInfo(row);
  RequireOneRow(insert_invoice, Insert(context.schema, row));
  change = row.nulls[kPaidAt] ? InvoiceChange::kMade : InvoiceChange::kPaid;
  return nullptr;
}

}  // namespace

bool IsInvoiceTableCurrent(Oid schema) {
  ReadTable(schema);
  return known_table.is_current;
}

InvoiceLookup FindInvoice(const DeliveryContext& context, Datum invoice_id, LOCKMODE lock) {
  const Relation table = OpenTable(context.schema, "cc_invoice", lock);
  const Snapshot now = TakeLatestSnapshot();
  Scan scan(table, now, {{"invoice_id", TEXTOID, invoice_id}, {"project", TEXTOID, context.project}}, lock);
  const HeapTuple row = scan.Next();
  InvoiceLookup found{};
  if (row != nullptr)
    found = {.is_known = true,
             .is_hidden = IsHiddenFromTransaction(row),
             .is_erased = !ColumnOf(table, row, "erased_at", TIMESTAMPTZOID).isnull};
  scan.End();
  ForgetSnapshot(now);
  CloseTable(table);
  return found;
}

const char* ChangeInvoice(const DeliveryContext& context, const Delivery& delivery, bool is_known, InvoiceChange* result) {
  ReadTable(context.schema);
  if (!known_table.has_exact_amounts) RaiseAltered(kAmountCrypto);
  InvoiceChange change = InvoiceChange::kNone;
  const char* contradiction;
  if (known_table.runs_merchant_code) {
    const MerchantCode around = BeginMerchantCode(context.schema, context.owner);
    contradiction = Store(context, delivery, is_known, change);
    EndMerchantCode(around, contradiction == nullptr);
  } else {
    contradiction = Store(context, delivery, is_known, change);
  }
  if (change != InvoiceChange::kNone && context.notify) Notify(context, delivery);
  if (result != nullptr) *result = change;
  return contradiction;
}

}  // namespace cc::pg
