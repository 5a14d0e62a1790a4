// The Content-Type header (RFC 9110 section 8.3).
#pragma once

#include <cstdint>
#include <string_view>

namespace cc {

enum class MediaType : std::uint8_t { kNone, kJson, kForm, kUnsupported };

/// application/json, text/json and application/*+json are kJson, application/x-www-form-urlencoded is kForm, in any case and
/// with any parameters, but a charset other than utf-8, utf8 or us-ascii makes it kUnsupported. kNone if empty or blank.
MediaType ReadContentType(std::string_view header) noexcept;

}  // namespace cc
