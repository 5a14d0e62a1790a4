// What the pipeline (sql/pipeline.sql) needs: cc_read_delivery, everything that a body says in one pass over it, and
// cc_text_or_null.
#include <cstring>

#include "core/invoice_info.hpp"
#include "core/text.hpp"
#include "core/utf8.hpp"
#include "pg/numeric.hpp"
#include "pg/verification.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cc_read_delivery);
PG_FUNCTION_INFO_V1(cc_text_or_null);
}

namespace cc::pg {
namespace {

// The columns of the type cc_delivery: these, then kInfoColumns, then info.
enum Column {
  kReason, kInvoiceId, kOrderId, kStatus, kAmountCrypto, kCurrency, kTokenExpiresAt, kTokenDigest, kContentDigest, kFirstInfo,
  kInfo = kFirstInfo + kInfoColumns.size(),
  kColumns
};

struct Row {
  Datum values[kColumns];
  bool nulls[kColumns];

  void Set(std::size_t column, Datum value) {
    values[column] = value;
    nulls[column] = false;
  }
};

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

void SetInfoColumn(const Document& document, const Node& node, InfoKind kind, std::size_t column, Row& row) {
  std::string_view text;
  Decimal number;
  std::int64_t time;
  bool boolean;
  switch (kind) {
    case InfoKind::kText:
      if (ReadText(document, node, text)) row.Set(column, TextDatum(text));
      break;
    case InfoKind::kNumber:
      if (ReadNumber(document, node, number)) row.Set(column, NumericGetDatum(MakeNumeric(number)));
      break;
    case InfoKind::kTime:
      if (ReadTime(document, node, time)) row.Set(column, TimestampDatum(time));
      break;
    case InfoKind::kBoolean:
      if (ReadBoolean(document, node, boolean)) row.Set(column, BoolGetDatum(boolean));
      break;
    case InfoKind::kTextList:
      if (IsTextList(document, node)) row.Set(column, TextListDatum(document, node));
      break;
  }
}

void SetInfoColumns(const Document& document, const Node& info, Row& row) {
  const InvoiceInfo columns = ReadInvoiceInfo(document, info);
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i] != nullptr) SetInfoColumn(document, *columns[i], kInfoColumns[i].kind, kFirstInfo + i, row);
}

// Of a JSON body invoice_info is part of the payload already.
void SetInfoFromPayload(Jsonb* payload, Row& row) {
  constexpr std::string_view kName = "invoice_info";
  JsonbValue value;
  if (getKeyJsonValueFromContainer(&payload->root, kName.data(), kName.size(), &value) != nullptr)
    row.Set(kInfo, JsonbPGetDatum(JsonbValueToJsonb(&value)));
}

// A form carries no invoice_info, but for some stacks that send it as one JSON string.
void SetFormInfoColumns(const Postback& postback, Row& row) {
  const std::string_view json = postback.document.TextOf(*postback.invoice_info);
  if (Trim(json).substr(0, 1) != "{") return;
  Document document;
  Workspace workspace = AllocateWorkspace(json.size(), JsonNodeCapacity(json.size()));
  if (ParseJson(json, workspace, document)) {
    SetInfoColumns(document, document.root(), row);
    row.Set(kInfo, JsonbPGetDatum(MakeJsonb(document, document.root(), Outermost::kAsIs)));
  }
  FreeWorkspace(workspace);
}

void SetColumns(const Postback& postback, Row& row) {
  const Fields& fields = postback.fields;
  row.Set(kInvoiceId, TextDatum(fields.invoice_id));
  if (!fields.order_id.empty()) row.Set(kOrderId, TextDatum(fields.order_id));
  row.Set(kStatus, TextDatum(fields.status));
  row.Set(kAmountCrypto, NumericGetDatum(MakeAmount(fields.amount_crypto)));
  row.Set(kCurrency, TextDatum(fields.currency));
  row.Set(kTokenDigest, DigestDatum(fields.token));
  // jsonb is a canonical form: neither the order of members nor white space changes it.
  Jsonb* const payload = MakePayload(postback);
  row.Set(kContentDigest, DigestDatum({VARDATA(payload), VARSIZE(payload) - VARHDRSZ}));
  if (postback.invoice_info == nullptr) return;
  if (postback.format == Format::kForm) {
    SetFormInfoColumns(postback, row);
  } else if (postback.invoice_info->kind == Kind::kObject) {
    SetInfoColumns(postback.document, *postback.invoice_info, row);
    SetInfoFromPayload(payload, row);
  }
}

// A first secret that is NULL asks for no verification: the row was verified when it came.
Verification ReadDelivery(FunctionCallInfo fcinfo, const Request& request) {
  if (PG_ARGISNULL(3)) return ReadOnly(request);
  VerificationInput input{};
  input.request = request;
  input.secrets[input.secret_count++] = SecretFrom(fcinfo, 3);
  if (!PG_ARGISNULL(4)) input.secrets[input.secret_count++] = SecretFrom(fcinfo, 4);
  input.clock = ClockFrom(fcinfo, 5, 6);
  return Verify(input);
}

}  // namespace
}  // namespace cc::pg

// Arguments: body text, raw bytea, content_type, secret, previous_secret, at, leeway.
extern "C" PGDLLEXPORT Datum cc_read_delivery(PG_FUNCTION_ARGS) {
  using namespace cc;
  using namespace cc::pg;
  const TupleDesc descriptor = ResultDescriptor(fcinfo);
  const varlena* const body = ArgumentOrNull(fcinfo, 0);
  const varlena* const bytes = body != nullptr ? body : ArgumentOrNull(fcinfo, 1);
  Verification verification = ReadDelivery(fcinfo, RequestFrom(bytes, body != nullptr, ArgumentOrNull(fcinfo, 2)));

  Row row;
  for (bool& null : row.nulls) null = true;
  if (verification.reason != Reason::kVerified) {
    row.Set(kReason, CStringGetTextDatum(ReasonName(verification.reason)));
  } else {
    SetColumns(verification.postback, row);
    if (!PG_ARGISNULL(3)) row.Set(kTokenExpiresAt, TimestampDatum(verification.token.times.expires_at));
  }
  FreeVerification(verification);
  return HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls));
}

extern "C" PGDLLEXPORT Datum cc_text_or_null(PG_FUNCTION_ARGS) {
  const std::string_view bytes = cc::pg::ViewOf(PG_GETARG_BYTEA_PP(0));
  if (bytes.find('\0') != std::string_view::npos || !cc::IsUtf8(bytes)) PG_RETURN_NULL();
  return cc::pg::TextDatum(bytes);
}
