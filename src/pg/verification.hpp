// Verifies a body inside PostgreSQL: the core's verification, in memory of the current context.
#pragma once

#include "pg/jsonb.hpp"
#include "pg/postgres.hpp"

extern "C" {
#include "datatype/timestamp.h"
}

namespace cc::pg {

/// The input of a verification. `secrets[0]` is set; a second secret is accepted as well.
struct VerificationInput {
  Request request;
  std::string_view secrets[2];
  int secret_count;
  Clock clock;
};

/// The result of a verification. Its views point into the workspaces; FreeVerification frees them.
struct Verification {
  Postback postback;
  TokenVerdict token;  ///< counts only if the body was well formed
  Reason reason;       ///< of body and token together
  Workspace body_workspace;
  Workspace token_workspace;  ///< empty unless the token was read
};

/// Returns the arguments as a Request. A NULL body is an empty one.
Request RequestFrom(const varlena* body, bool is_utf8, const varlena* content_type);

/// Returns a secret as text. Raises 22023 if it is NULL or empty.
std::string_view SecretFrom(NullableDatum secret);

/// Returns a timestamptz and an interval as a Clock. Raises 22023 if one of them is NULL or infinite, or if the leeway is
/// negative. A day counts as 24 hours.
Clock ClockFrom(NullableDatum at, NullableDatum leeway);
Clock ClockAt(TimestampTz at);

/// Reads only the body: `reason` is the body's, and the token is not checked.
Verification ReadWithoutVerifying(const Request& request);

/// Reads and verifies a body. Raises XX000 if OpenSSL cannot compute.
Verification Verify(const VerificationInput& input);
void FreeVerification(Verification& verification);

/// Returns the whole body as jsonb without its token; nullptr if the body is unreadable.
Jsonb* MakePayload(const Postback& postback);

/// Converts microseconds since 1970 to a timestamptz.
Datum TimestampDatum(std::int64_t microseconds);

/// Computes HMAC-SHA256 with this backend's context. Raises XX000 if OpenSSL fails.
Sha256 ComputeHmac(std::string_view key, std::string_view message);

}  // namespace cc::pg
