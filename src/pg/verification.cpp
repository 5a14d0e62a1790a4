#include "pg/verification.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace cc::pg {
namespace {

// Static: it outlives every error, so no longjmp skips its destructor, and the next call can reuse its key.
HmacSha256 backend_hmac;

constexpr std::int64_t kUnixEpochToPostgres = static_cast<std::int64_t>(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

[[noreturn]] void RaiseCryptoFailure() {
  // OpenSSL's own message is left out on purpose: the log must not say anything about keys.
  ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute HMAC-SHA256"),
                  errhint("OpenSSL is out of memory, or its configuration does not provide HMAC with SHA-256.")));
  pg_unreachable();
}

[[noreturn]] void RaiseInvalidParameter(const char* message) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message)));
  pg_unreachable();
}

Microseconds MicrosecondsOf(const Interval& interval) {
  Microseconds total = interval.time;
  total += static_cast<Microseconds>(interval.day) * USECS_PER_DAY;
  total += static_cast<Microseconds>(interval.month) * DAYS_PER_MONTH * USECS_PER_DAY;
  return total;
}

}  // namespace

Request RequestFrom(const varlena* body, bool is_utf8, const varlena* content_type) {
  return Request{.body = body == nullptr ? std::string_view{} : ViewOf(body),
                 .is_utf8 = is_utf8,
                 .content_type = content_type == nullptr ? std::string_view{} : ViewOf(content_type)};
}

std::string_view SecretFrom(NullableDatum value) {
  if (value.isnull) RaiseInvalidParameter("secret must not be null");
  const std::string_view secret = ViewOf(DatumGetTextPP(value.value));
  if (secret.empty()) RaiseInvalidParameter("secret must not be empty");
  return secret;
}

Clock ClockAt(TimestampTz at) { return Clock{.at = static_cast<Microseconds>(at) + kUnixEpochToPostgres, .leeway = 0}; }

Clock ClockFrom(NullableDatum at, NullableDatum leeway) {
  if (at.isnull || TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(at.value))) RaiseInvalidParameter("time must be finite");
  if (leeway.isnull) RaiseInvalidParameter("leeway must not be null");
  const Interval& interval = *DatumGetIntervalP(leeway.value);
#ifdef INTERVAL_NOT_FINITE  // PostgreSQL 17 and later
  if (INTERVAL_NOT_FINITE(&interval)) RaiseInvalidParameter("leeway must be finite");
#endif
  Clock clock = ClockAt(DatumGetTimestampTz(at.value));
  clock.leeway = MicrosecondsOf(interval);
  if (clock.leeway < 0) RaiseInvalidParameter("leeway must not be negative");
  return clock;
}

Verification ReadWithoutVerifying(const Request& request) {
  // An oversized body is rejected before it is parsed, so it needs no memory.
  const std::size_t size = request.body.size() > kMaxBodySize ? 0 : request.body.size();
  Verification verification{};
  verification.body_workspace = AllocateWorkspace(size, NodeCapacity(size));
  verification.postback = ReadPostback(request, verification.body_workspace);
  verification.reason = verification.postback.reason;
  return verification;
}

Verification Verify(const VerificationInput& input) {
  Verification verification = ReadWithoutVerifying(input.request);
  if (verification.reason != Reason::kVerified) return verification;
  const std::size_t size = verification.postback.fields.token.size();
  verification.token_workspace = AllocateWorkspace(size, JsonNodeCapacity(size));
  verification.token = VerifyToken(verification.postback, {input.secrets, static_cast<std::size_t>(input.secret_count)},
                                   input.clock, backend_hmac, verification.token_workspace);
  if (verification.token.crypto_failed) RaiseCryptoFailure();
  verification.reason = verification.token.reason;
  return verification;
}

void FreeVerification(Verification& verification) {
  FreeWorkspace(verification.body_workspace);
  if (verification.token_workspace.text != nullptr) FreeWorkspace(verification.token_workspace);
}

Jsonb* MakePayload(const Postback& postback) {
  if (postback.document.count == 0) return nullptr;
  return MakeJsonb(postback.document, postback.document.root(),
                   postback.format == Format::kJson ? RootMembers::kJsonWithoutToken : RootMembers::kFormWithoutToken);
}

Datum TimestampDatum(std::int64_t microseconds) { return TimestampTzGetDatum(microseconds - kUnixEpochToPostgres); }

Sha256 ComputeHmac(std::string_view key, std::string_view message) {
  Sha256 digest;
  if (!backend_hmac.Compute(key, message, digest)) RaiseCryptoFailure();
  return digest;
}

}  // namespace cc::pg
