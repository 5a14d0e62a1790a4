// A postback of CryptoCloud: the whole verification, from the bytes of an HTTP body to the result.
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

/// The longest body, in bytes. Up to this size no Node overflows.
inline constexpr std::size_t kMaxBodySize = 1024 * 1024;

/// A body as received. `is_utf8` means that the caller has checked that it is valid UTF-8.
struct Request {
  std::string_view body;
  bool is_utf8 = false;
  std::string_view content_type;  ///< the value of the header; empty or blank if there was none
};

/// The fields that decide money and identity: views into the document's text, valid as long as the document is.
struct Fields {
  std::string_view status;
  std::string_view invoice_id;  ///< without INV-
  Decimal amount_crypto;
  std::string_view currency;
  std::string_view order_id;  ///< empty: none
  std::string_view token;     ///< without white space around it
};

enum class Format : std::uint8_t { kJson, kForm };

/// The result of reading a body. `document` is empty if the body is unreadable; `fields` counts only up to the reason.
struct Postback {
  Reason reason = Reason::kEmptyBody;
  Format format = Format::kJson;
  Document document;
  const Node* invoice_info = nullptr;  ///< the member's value; in a form the first value that is JSON, else the first value
  Fields fields;
};

/// The memory that reading and verifying a body of `size` bytes needs.
constexpr std::size_t TextCapacity(std::size_t size) noexcept { return size + kTextPadding; }
constexpr std::size_t NodeCapacity(std::size_t size) noexcept {
  return JsonNodeCapacity(size) > FormNodeCapacity(size) ? JsonNodeCapacity(size) : FormNodeCapacity(size);
}

/// Reads a body and checks everything up to kMissingToken, which needs no secret. Here kVerified means "well formed".
Postback ReadPostback(const Request& request, const Workspace& workspace) noexcept;

/// The time at which a postback is judged, in microseconds (since 1970-01-01 UTC; not negative).
struct Clock {
  Microseconds at = 0;
  Microseconds leeway = 0;
};

/// Checks the token of a well-formed postback: its signature, claims and time, and that it names no other invoice.
TokenVerdict VerifyToken(const Postback& postback, std::span<const std::string_view> secrets, const Clock& clock,
                         HmacSha256& hmac, const Workspace& workspace) noexcept;

}  // namespace cc
