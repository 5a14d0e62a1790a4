// A postback of CryptoCloud: the whole verification, from the bytes of an HTTP body to a verdict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/decimal.hpp"
#include "core/document.hpp"
#include "core/field.hpp"
#include "core/form.hpp"
#include "core/hmac.hpp"
#include "core/json.hpp"
#include "core/reason.hpp"
#include "core/token.hpp"

namespace cc {

/// Longest body, in bytes. Up to here nothing overflows a Node, and work is linear.
inline constexpr std::size_t kMaxBodySize = 1024 * 1024;

/// A body as it came. `is_utf8` says that somebody has checked already that it is valid UTF-8.
struct Request {
  std::string_view body;
  bool is_utf8 = false;
  std::string_view content_type;  ///< the header's value; empty or blank when there was none
};

/// What decides money and identity. Views into the document's text, valid as long as that is.
struct Fields {
  std::string_view status;
  std::string_view invoice_id;  ///< without INV-
  Decimal amount_crypto;
  std::string_view currency;
  std::string_view order_id;  ///< empty: none
  std::string_view token;     ///< without the white space around it
};

enum class Format : std::uint8_t { kJson, kForm };

/// A body that was read. `document` is empty if it could not be; `fields` counts only up to the reason found.
struct Postback {
  Reason reason = Reason::kEmptyBody;
  Format format = Format::kJson;
  Document document;
  const Node* invoice_info = nullptr;  ///< the member's value; for a form the first that is JSON, or the first
  Fields fields;
};

/// Room that reading and verifying a body of `size` bytes needs.
constexpr std::size_t TextCapacity(std::size_t size) noexcept { return size + kTextPadding; }
constexpr std::size_t NodeCapacity(std::size_t size) noexcept {
  return JsonNodeCapacity(size) > FormNodeCapacity(size) ? JsonNodeCapacity(size) : FormNodeCapacity(size);
}

/// Reads a body up to and including kMissingToken: all that can be said without a secret. kVerified then means "well formed".
Postback ReadPostback(const Request& request, const Workspace& workspace) noexcept;

/// When a postback is judged, in microseconds (since 1970-01-01 UTC; not negative).
struct Clock {
  Microseconds at = 0;
  Microseconds leeway = 0;
};

/// Checks the token of a well-formed postback: signature, claims, time, and that it names no other invoice.
TokenVerdict VerifyToken(const Postback& postback, std::span<const std::string_view> secrets, const Clock& clock,
                         HmacSha256& hmac, const Workspace& workspace) noexcept;

}  // namespace cc
