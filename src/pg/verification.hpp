// A body verified inside PostgreSQL: the core's verdict, in memory of the current context.
#pragma once

#include "pg/jsonb.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace cc::pg {

/// What verification takes from SQL. `secrets[0]` is set; a second one verifies as well.
struct VerificationInput {
  Request request;
  std::string_view secrets[2];
  int secret_count;
  Clock clock;
};

/// Everything that was found out. The views in it point into the workspaces; FreeVerification frees them.
struct Verification {
  Postback postback;
  TokenVerdict token;  ///< counts only if the body was well formed
  Reason reason;       ///< of both together
  Workspace body_workspace;
  Workspace token_workspace;  ///< nothing unless the token was read
};

/// The argument as a Request; NULL is no body.
Request RequestFrom(const varlena* body, bool is_utf8, const varlena* content_type);

/// A secret, as text. ERROR 22023 if it is NULL or empty: no such secret verifies anything.
std::string_view SecretFrom(NullableDatum secret);

/// A timestamptz and an interval as a Clock. ERROR 22023 if one is NULL or infinite, or the leeway negative. A day counts as 24
/// hours.
Clock ClockFrom(NullableDatum at, NullableDatum leeway);
Clock ClockAt(TimestampTz at);

/// Reads the body only: `reason` is the postback's, the token stays unchecked.
Verification ReadWithoutVerifying(const Request& request);

/// Reads and verifies. ERROR XX000 if OpenSSL cannot compute.
Verification Verify(const VerificationInput& input);
void FreeVerification(Verification& verification);

/// The whole body as jsonb without its token; nullptr unless the body could be read.
Jsonb* MakePayload(const Postback& postback);

/// Microseconds since 1970 as PostgreSQL counts them.
Datum TimestampDatum(std::int64_t microseconds);

/// HMAC-SHA256 with this backend's context; ERROR XX000 if OpenSSL fails.
Sha256 ComputeHmac(std::string_view key, std::string_view message);

}  // namespace cc::pg
