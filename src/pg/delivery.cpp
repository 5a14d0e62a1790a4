#include "pg/delivery.hpp"

#include <cstring>

#include "core/invoice_info.hpp"
#include "core/trim.hpp"
#include "pg/numeric.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace cc::pg {
namespace {

Datum DigestDatum(std::string_view bytes) {
  Sha256 digest;
  if (!ComputeSha256(bytes, digest)) ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute SHA-256")));
  auto* const result = static_cast<bytea*>(palloc(VARHDRSZ + digest.size()));
  SET_VARSIZE(result, VARHDRSZ + digest.size());
  std::memcpy(VARDATA(result), digest.data(), digest.size());
  return PointerGetDatum(result);
}

Datum TextListDatum(const Document& document, const Node& array) {
  auto* const elements = static_cast<Datum*>(palloc(array.size * sizeof(Datum)));
  for (std::uint32_t i = 0; i < array.size; ++i) elements[i] = TextDatum(document.TextOf((&array)[i + 1]));
  return PointerGetDatum(construct_array(elements, static_cast<int>(array.size), TEXTOID, -1, false, TYPALIGN_INT));
}

void SetInfoColumn(const Document& document, const Node& node, std::size_t column, InvoiceRow& invoice) {
  std::string_view text;
  Decimal number;
  std::int64_t time;
  bool is_test;
  switch (kInvoiceColumns[column].kind) {
    case ColumnKind::kText:
      if (ReadText(document, node, text)) invoice.Set(column, TextDatum(text));
      break;
    case ColumnKind::kNumber:
      if (ReadNumber(document, node, number)) invoice.Set(column, NumericGetDatum(MakeNumeric(number)));
      break;
    case ColumnKind::kTime:
      if (ReadTime(document, node, time)) invoice.Set(column, TimestampDatum(time));
      break;
    case ColumnKind::kTestMode:
      if (ReadTestMode(document, node, is_test)) invoice.Set(column, BoolGetDatum(is_test));
      break;
    case ColumnKind::kTextList:
      if (IsTextList(document, node)) invoice.Set(column, TextListDatum(document, node));
      break;
    case ColumnKind::kJson: break;  // info itself: SetInfo
  }
}

void SetInfoColumns(const Document& document, const Node& info, Delivery& delivery) {
  const InvoiceInfo values = ReadInvoiceInfo(document, info);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] != nullptr) SetInfoColumn(document, *values[i], i, delivery.invoice);
  delivery.confirms_success = ConfirmsSuccess(document, values[InvoiceColumnIndex("invoice_status")]);
}

void SetInfo(Jsonb* info, Delivery& delivery) { delivery.invoice.Set(InvoiceColumnIndex("info"), JsonbPGetDatum(info)); }

// A JSON body has invoice_info in its payload already.
void SetInfoFromPayload(Jsonb* payload, Delivery& delivery) {
  constexpr std::string_view kName = "invoice_info";
  JsonbValue value;
  if (getKeyJsonValueFromContainer(&payload->root, kName.data(), kName.size(), &value) != nullptr)
    SetInfo(JsonbValueToJsonb(&value), delivery);
}

// Some stacks send invoice_info as a JSON text, in forms and in JSON. A text that only looks like JSON confirms nothing. Any
// other text says nothing: in a form it is the name of a member.
void SetInfoFromText(std::string_view json, Delivery& delivery) {
  if (!Trim(json).starts_with('{')) return;
  delivery.confirms_success = false;
  Document document;
  Workspace workspace = AllocateWorkspace(json.size(), JsonNodeCapacity(json.size()));
  if (ParseJson(json, workspace, document)) {
    SetInfoColumns(document, document.root(), delivery);
    SetInfo(MakeJsonb(document, document.root(), RootMembers::kAsIs), delivery);
  }
  FreeWorkspace(workspace);
}

void SetColumns(const Postback& postback, Delivery& delivery) {
  const Fields& fields = postback.fields;
  InvoiceRow& invoice = delivery.invoice;
  invoice.Set(InvoiceColumnIndex("invoice_id"), TextDatum(fields.invoice_id));
  if (!fields.order_id.empty()) invoice.Set(InvoiceColumnIndex("order_id"), TextDatum(fields.order_id));
  invoice.Set(InvoiceColumnIndex("status"), TextDatum(fields.status));
  invoice.Set(InvoiceColumnIndex("amount_crypto"), NumericGetDatum(MakeAmount(fields.amount_crypto)));
  invoice.Set(InvoiceColumnIndex("currency"), TextDatum(fields.currency));
  delivery.token_digest = DigestDatum(fields.token);
  // jsonb is a canonical form: the order of members and white space do not matter.
  Jsonb* const payload = MakePayload(postback);
  delivery.content_digest = DigestDatum({VARDATA(payload), VARSIZE(payload) - VARHDRSZ});
  if (postback.invoice_info == nullptr) return;
  if (postback.invoice_info->kind == Kind::kObject) {
    SetInfoColumns(postback.document, *postback.invoice_info, delivery);
    SetInfoFromPayload(payload, delivery);
  } else if (postback.invoice_info->kind == Kind::kString) {
    SetInfoFromText(postback.document.TextOf(*postback.invoice_info), delivery);
  }
}

// The service may send zero before the customer has chosen a coin. No postback contradicts such an amount.
void ForgetZeroPrices(const Document& document, InvoiceRow& invoice) {
  const InvoiceInfo values = ReadInvoiceInfo(document, document.root());
  for (const std::size_t i : {InvoiceColumnIndex("amount_to_pay"), InvoiceColumnIndex("amount_to_pay_usd")})
    if (Decimal amount; values[i] != nullptr && ReadNumber(document, *values[i], amount) && amount.IsZero()) invoice.SetNull(i);
}

}  // namespace

Oid TypeOf(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kText: return TEXTOID;
    case ColumnKind::kNumber: return NUMERICOID;
    case ColumnKind::kTime: return TIMESTAMPTZOID;
    case ColumnKind::kTestMode: return BOOLOID;
    case ColumnKind::kTextList: return TEXTARRAYOID;
    case ColumnKind::kJson: return JSONBOID;
  }
  pg_unreachable();
}

Delivery MakeDelivery(const Verification& verification) {
  Delivery delivery{.reason = verification.reason,
                    .invoice = InvoiceRow::Empty(),
                    .token_digest = Datum{0},
                    .content_digest = Datum{0},
                    .token_names_invoice = verification.token.names_invoice,
                    .confirms_success = true};
  if (delivery.reason != Reason::kVerified) return delivery;
  SetColumns(verification.postback, delivery);
  if (verification.token_workspace.text != nullptr)
    delivery.invoice.Set(InvoiceColumnIndex("token_expires_at"),
                         TimestampDatum(static_cast<std::int64_t>(verification.token.times.expires_at)));
  return delivery;
}

Delivery MakeDelivery(const Document& document, const ApiInvoice& invoice, Jsonb* element) {
  Delivery delivery{.reason = Reason::kVerified,
                    .invoice = InvoiceRow::Empty(),
                    .token_digest = Datum{0},
                    .content_digest = Datum{0},
                    .token_names_invoice = true,
                    .confirms_success = true};
  SetInfoColumns(document, document.root(), delivery);
  SetInfo(element, delivery);
  ForgetZeroPrices(document, delivery.invoice);
  InvoiceRow& row = delivery.invoice;
  row.Set(InvoiceColumnIndex("invoice_id"), TextDatum(invoice.invoice_id));
  row.Set(InvoiceColumnIndex("status"), TextDatum(invoice.status));
  if (!invoice.order_id.empty()) row.Set(InvoiceColumnIndex("order_id"), TextDatum(invoice.order_id));
  if (!invoice.currency.empty()) row.Set(InvoiceColumnIndex("currency"), TextDatum(invoice.currency));
  row.Set(InvoiceColumnIndex("amount_crypto"), NumericGetDatum(MakeAmount(invoice.amount_crypto)));
  row.Set(InvoiceColumnIndex("token_expires_at"), TimestampTzGetDatum(DT_NOBEGIN));
  return delivery;
}

}  // namespace cc::pg
