// The token: a JWS in compact serialisation (RFC 7515 section 7.1), signed HS256 (RFC 7518 section 3.2), whose payload is a
// JWT claims set (RFC 7519).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/document.hpp"
#include "core/hmac.hpp"
#include "core/reason.hpp"

namespace cc {

/// Longest token, in characters.
inline constexpr std::size_t kMaxTokenLength = 4096;

/// Wide enough for any time plus any leeway: nothing overflows, nothing saturates.
__extension__ typedef __int128 Microseconds;
inline constexpr Microseconds kEndOfTime = Microseconds{1} << 100;

/// When a token is valid, in microseconds since 1970-01-01 UTC, rounded up.
struct TokenTimes {
  Microseconds expires_at = 0;
  Microseconds not_before = -kEndOfTime;
};

/// What CheckToken found. `crypto_failed` says that OpenSSL could not compute: then nothing is known and `reason` means nothing.
struct TokenVerdict {
  Reason reason = Reason::kMalformedToken;
  bool crypto_failed = false;
  TokenTimes times;
  Document claims;             ///< empty unless the token could be read
  bool names_invoice = false;  ///< VerifyToken: verified, and a claim names the invoice, so that the token is good for no other
};

/// Checks everything that the token decides by itself: form, algorithm, signature under one of `secrets`, claims.
/// `workspace` needs room for kMaxTokenLength bytes and JsonNodeCapacity(kMaxTokenLength) nodes, or for the token's own length
/// if that is less. The header's members other than alg, crit and b64 are ignored: no key is ever taken from the token.
TokenVerdict CheckToken(std::string_view token, std::span<const std::string_view> secrets, HmacSha256& hmac,
                        const Workspace& workspace) noexcept;

}  // namespace cc
