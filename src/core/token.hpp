// The token: a JWS in compact serialization (RFC 7515 section 7.1), signed HS256 (RFC 7518 section 3.2). Its payload is a JWT
// claims set (RFC 7519).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/document.hpp"
#include "core/hmac.hpp"
#include "core/reason.hpp"

namespace cc {

/// The longest token, in characters.
inline constexpr std::size_t kMaxTokenLength = 4096;

/// Wide enough for any time plus any leeway without overflow.
__extension__ typedef __int128 Microseconds;
inline constexpr Microseconds kEndOfTime = Microseconds{1} << 100;

/// The validity of a token, in microseconds since 1970-01-01 UTC, rounded up.
struct TokenTimes {
  Microseconds expires_at = 0;
  Microseconds not_before = -kEndOfTime;
};

/// The result of CheckToken. `crypto_failed`: OpenSSL could not compute, so nothing is known and `reason` means nothing.
struct TokenVerdict {
  Reason reason = Reason::kMalformedToken;
  bool crypto_failed = false;
  TokenTimes times;
  Document claims;             ///< empty if the token is unreadable
  bool names_invoice = false;  ///< set by VerifyToken: verified, and a claim names the invoice, so that it fits no other
};

/// Checks everything that depends on the token alone: form, algorithm, signature by one of `secrets`, claims. `workspace` needs
/// room for kMaxTokenLength bytes and JsonNodeCapacity(kMaxTokenLength) nodes, or for the token's own length if that is less.
/// Header members other than alg, crit and b64 are ignored: the token never provides a key.
TokenVerdict CheckToken(std::string_view token, std::span<const std::string_view> secrets, HmacSha256& hmac,
                        const Workspace& workspace) noexcept;

}  // namespace cc
