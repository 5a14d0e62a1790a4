// The Content-Type header (RFC 9110 section 8.3).
#pragma once

#include <cstdint>
#include <string_view>

namespace cc {

enum class MediaType : std::uint8_t { kNone, kJson, kForm, kUnsupported };

/// Returns kJson for application/json, text/json and application/*+json, and kForm for application/x-www-form-urlencoded. Case
/// and parameters do not matter, but a charset other than utf-8, utf8 or us-ascii gives kUnsupported. An empty or blank header
/// gives kNone.
MediaType ReadContentType(std::string_view header) noexcept;

}  // namespace cc
