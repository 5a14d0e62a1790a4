// base64url without padding (RFC 4648 section 5, RFC 7515 appendix C).
#pragma once

#include <cstddef>
#include <string_view>

namespace cc {

/// Returns the number of bytes that `length` characters decode to.
constexpr std::size_t Base64UrlDecodedSize(std::size_t length) noexcept { return length * 3 / 4; }

/// Decodes into `out`, which holds Base64UrlDecodedSize(text.size()) bytes. Returns false for a character outside the alphabet
/// (also padding and white space), an impossible length, or unused bits that are not 0. So each byte string has one spelling.
bool Base64UrlDecode(std::string_view text, char* out) noexcept;

/// Returns the number of characters that `length` bytes encode to.
constexpr std::size_t Base64UrlEncodedSize(std::size_t length) noexcept { return (length * 4 + 2) / 3; }

/// Encodes into `out`, which holds Base64UrlEncodedSize(bytes.size()) characters. No NUL is added.
void Base64UrlEncode(std::string_view bytes, char* out) noexcept;

}  // namespace cc
