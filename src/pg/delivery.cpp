#include "pg/delivery.hpp"

#include <cstring>

#include "core/text.hpp"
#include "pg/numeric.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
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
  return PointerGetDatum(
      construct_array(elements, static_cast<int>(array.size), TEXTOID, -1, false, TYPALIGN_INT));
}

void SetInfoColumn(const Document& document, const Node& node, InfoKind kind, std::size_t column, Delivery& delivery) {
  std::string_view text;
  Decimal number;
  std::int64_t time;
  bool boolean;
  switch (kind) {
    case InfoKind::kText:
      if (ReadText(document, node, text)) delivery.Set(column, TextDatum(text));
      break;
    case InfoKind::kNumber:
      if (ReadNumber(document, node, number)) delivery.Set(column, NumericGetDatum(MakeNumeric(number)));
      break;
    case InfoKind::kTime:
      if (ReadTime(document, node, time)) delivery.Set(column, TimestampDatum(time));
      break;
    case InfoKind::kBoolean:
      if (ReadBoolean(document, node, boolean)) delivery.Set(column, BoolGetDatum(boolean));
      break;
    case InfoKind::kTextList:
      if (IsTextList(document, node)) delivery.Set(column, TextListDatum(document, node));
      break;
  }
}

void SetInfoColumns(const Document& document, const Node& info, Delivery& delivery) {
  const InvoiceInfo columns = ReadInvoiceInfo(document, info);
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i] != nullptr) SetInfoColumn(document, *columns[i], kInfoColumns[i].kind, kFirstInfo + i, delivery);
}

// Of a JSON body invoice_info is part of the payload already.
void SetInfoFromPayload(Jsonb* payload, Delivery& delivery) {
  constexpr std::string_view kName = "invoice_info";
  JsonbValue value;
  if (getKeyJsonValueFromContainer(&payload->root, kName.data(), kName.size(), &value) != nullptr)
    delivery.Set(kInfo, JsonbPGetDatum(JsonbValueToJsonb(&value)));
}

// A form carries no invoice_info, but for some stacks that send it as one JSON string.
void SetFormInfoColumns(const Postback& postback, Delivery& delivery) {
  const std::string_view json = postback.document.TextOf(*postback.invoice_info);
  if (Trim(json).substr(0, 1) != "{") return;
  Document document;
  Workspace workspace = AllocateWorkspace(json.size(), JsonNodeCapacity(json.size()));
  if (ParseJson(json, workspace, document)) {
    SetInfoColumns(document, document.root(), delivery);
    delivery.Set(kInfo, JsonbPGetDatum(MakeJsonb(document, document.root(), Outermost::kAsIs)));
  }
  FreeWorkspace(workspace);
}

void SetColumns(const Postback& postback, Delivery& delivery) {
  const Fields& fields = postback.fields;
  delivery.Set(kInvoiceId, TextDatum(fields.invoice_id));
  if (!fields.order_id.empty()) delivery.Set(kOrderId, TextDatum(fields.order_id));
  delivery.Set(kStatus, TextDatum(fields.status));
  delivery.Set(kAmountCrypto, NumericGetDatum(MakeAmount(fields.amount_crypto)));
  delivery.Set(kCurrency, TextDatum(fields.currency));
  delivery.Set(kTokenDigest, DigestDatum(fields.token));
  // jsonb is a canonical form: neither the order of members nor white space changes it.
  Jsonb* const payload = MakePayload(postback);
  delivery.Set(kContentDigest, DigestDatum({VARDATA(payload), VARSIZE(payload) - VARHDRSZ}));
  if (postback.invoice_info == nullptr) return;
  if (postback.format == Format::kForm) {
    SetFormInfoColumns(postback, delivery);
  } else if (postback.invoice_info->kind == Kind::kObject) {
    SetInfoColumns(postback.document, *postback.invoice_info, delivery);
    SetInfoFromPayload(payload, delivery);
  }
}

}  // namespace

Delivery MakeDelivery(const Verification& verification) {
  Delivery delivery;
  for (bool& null : delivery.nulls) null = true;
  if (verification.reason != Reason::kVerified) {
    delivery.Set(kReason, CStringGetTextDatum(ReasonName(verification.reason)));
  } else {
    SetColumns(verification.postback, delivery);
    delivery.token_names_invoice = verification.token.names_invoice;
    if (verification.token_workspace.text != nullptr)
      delivery.Set(kTokenExpiresAt, TimestampDatum(verification.token.times.expires_at));
  }
  return delivery;
}

}  // namespace cc::pg
