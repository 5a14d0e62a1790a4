// cc_sign_token: signs a token as the service does. Its contract is in sql/verify.sql.
#include "core/base64url.hpp"
#include "pg/verification.hpp"

extern "C" {
#include "lib/stringinfo.h"

PG_FUNCTION_INFO_V1(cc_sign_token);
}

namespace cc::pg {
namespace {

constexpr std::string_view kHeader = R"({"typ":"JWT","alg":"HS256"})";

void AppendBase64Url(StringInfo out, std::string_view bytes) {
  const std::size_t size = Base64UrlEncodedSize(bytes.size());
  enlargeStringInfo(out, static_cast<int>(size));
  Base64UrlEncode(bytes, out->data + out->len);
  out->len += static_cast<int>(size);
}

text* SignToken(Jsonb* claims, std::string_view secret) {
  StringInfoData json, token;
  initStringInfo(&json);
  initStringInfo(&token);
  JsonbToCString(&json, &claims->root, static_cast<int>(VARSIZE(claims)));

  AppendBase64Url(&token, kHeader);
  appendStringInfoChar(&token, '.');
  AppendBase64Url(&token, {json.data, static_cast<std::size_t>(json.len)});
  const Sha256 signature = ComputeHmac(secret, {token.data, static_cast<std::size_t>(token.len)});
  appendStringInfoChar(&token, '.');
  AppendBase64Url(&token, {reinterpret_cast<const char*>(signature.data()), signature.size()});
  return DatumGetTextPP(TextDatum({token.data, static_cast<std::size_t>(token.len)}));
}

}  // namespace
}  // namespace cc::pg

extern "C" PGDLLEXPORT Datum cc_sign_token(PG_FUNCTION_ARGS) {
  const std::string_view secret = cc::pg::SecretFrom(fcinfo->args[1]);
  if (PG_ARGISNULL(0) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(0)))
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("claims must be a JSON object")));
  PG_RETURN_TEXT_P(cc::pg::SignToken(PG_GETARG_JSONB_P(0), secret));
}
