// cc_verify_postback and cc_parse_postback: the verification as SQL functions. Their contract is in sql/verify.sql.
#include "core/reason.hpp"
#include "pg/numeric.hpp"
#include "pg/row.hpp"
#include "pg/verification.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(cc_verify_postback);
PG_FUNCTION_INFO_V1(cc_verify_postback_bytea);
PG_FUNCTION_INFO_V1(cc_parse_postback);
PG_FUNCTION_INFO_V1(cc_parse_postback_bytea);
}

namespace cc::pg {
namespace {

// The columns of the type cc_postback.
enum class PostbackColumn : std::uint8_t {
  kVerified,
  kReason,
  kStatus,
  kInvoiceId,
  kAmountCrypto,
  kCurrency,
  kOrderId,
  kTokenExpiresAt,
  kClaims,
  kPayload,
  kCount
};
using PostbackRow = Row<PostbackColumn, static_cast<std::size_t>(PostbackColumn::kCount)>;

constexpr Oid kPostbackTypes[PostbackRow::kCount] = {BOOLOID, TEXTOID, TEXTOID,        TEXTOID,  NUMERICOID,
                                                     TEXTOID, TEXTOID, TIMESTAMPTZOID, JSONBOID, JSONBOID};

// Raises 42804 if ALTER TYPE changed cc_postback.
TupleDesc PostbackDescriptor(FunctionCallInfo fcinfo) {
  const TupleDesc descriptor = ResultDescriptor(fcinfo);
  bool is_same = static_cast<std::size_t>(descriptor->natts) == PostbackRow::kCount;
  for (std::size_t i = 0; is_same && i < PostbackRow::kCount; ++i)
    is_same = TupleDescAttr(descriptor, static_cast<int>(i))->atttypid == kPostbackTypes[i];
  if (!is_same)
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("type \"cc_postback\" is not as CREATE EXTENSION makes it")));
  return descriptor;
}

void SetVerifiedColumns(const Verification& verification, PostbackRow& row) {
  const Fields& fields = verification.postback.fields;
  const Document& claims = verification.token.claims;
  row.Set(PostbackColumn::kStatus, TextDatum(fields.status));
  row.Set(PostbackColumn::kInvoiceId, TextDatum(fields.invoice_id));
  row.Set(PostbackColumn::kAmountCrypto, NumericGetDatum(MakeAmount(fields.amount_crypto)));
  row.Set(PostbackColumn::kCurrency, TextDatum(fields.currency));
  if (!fields.order_id.empty()) row.Set(PostbackColumn::kOrderId, TextDatum(fields.order_id));
  row.Set(PostbackColumn::kTokenExpiresAt, TimestampDatum(static_cast<std::int64_t>(verification.token.times.expires_at)));
  row.Set(PostbackColumn::kClaims, JsonbPGetDatum(MakeJsonb(claims, claims.root(), RootMembers::kAsIs)));
}

// Arguments: body, content_type, secret [, at, leeway].
Datum VerifyPostback(FunctionCallInfo fcinfo, bool is_utf8) {
  VerificationInput input{};
  input.secrets[0] = SecretFrom(fcinfo->args[2]);
  input.secret_count = 1;
  input.clock = PG_NARGS() > 3 ? ClockFrom(fcinfo->args[3], fcinfo->args[4]) : ClockAt(GetCurrentStatementStartTimestamp());
  input.request = RequestFrom(ArgumentOrNull(fcinfo, 0), is_utf8, ArgumentOrNull(fcinfo, 1));
  const TupleDesc descriptor = PostbackDescriptor(fcinfo);

  Verification verification = Verify(input);
  const bool verified = verification.reason == Reason::kVerified;
  PostbackRow row = PostbackRow::Empty();
  row.Set(PostbackColumn::kVerified, BoolGetDatum(verified));
  if (verified)
    SetVerifiedColumns(verification, row);
  else
    row.Set(PostbackColumn::kReason, CStringGetTextDatum(ReasonWord(verification.reason)));
  if (Jsonb* const payload = MakePayload(verification.postback)) row.Set(PostbackColumn::kPayload, JsonbPGetDatum(payload));
  FreeVerification(verification);
  return HeapTupleGetDatum(heap_form_tuple(descriptor, row.values, row.nulls));
}

// Arguments: body, content_type. Only an unreadable body is an error here; fields may be missing or wrong.
Datum ParsePostback(FunctionCallInfo fcinfo, bool is_utf8) {
  Verification verification = ReadWithoutVerifying(RequestFrom(ArgumentOrNull(fcinfo, 0), is_utf8, ArgumentOrNull(fcinfo, 1)));
  const Jsonb* const payload = MakePayload(verification.postback);
  if (payload == nullptr)
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION), errmsg("malformed postback: %s", ReasonWord(verification.reason))));
  FreeVerification(verification);
  PG_RETURN_JSONB_P(payload);
}

}  // namespace
}  // namespace cc::pg

extern "C" {
PGDLLEXPORT Datum cc_verify_postback(PG_FUNCTION_ARGS) { return cc::pg::VerifyPostback(fcinfo, true); }
PGDLLEXPORT Datum cc_verify_postback_bytea(PG_FUNCTION_ARGS) { return cc::pg::VerifyPostback(fcinfo, false); }
PGDLLEXPORT Datum cc_parse_postback(PG_FUNCTION_ARGS) { return cc::pg::ParsePostback(fcinfo, true); }
PGDLLEXPORT Datum cc_parse_postback_bytea(PG_FUNCTION_ARGS) { return cc::pg::ParsePostback(fcinfo, false); }
}
