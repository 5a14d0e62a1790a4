// UTF-8 (RFC 3629).
#pragma once

#include <cstddef>
#include <string_view>

namespace cc {

/// Returns true if `bytes` is valid UTF-8: no overlong form, no surrogate, nothing beyond U+10FFFF. A NUL is valid here.
bool IsUtf8(std::string_view bytes) noexcept;

/// Returns the number of characters (code points) in valid UTF-8.
std::size_t CharacterCount(std::string_view text) noexcept;

/// Returns true if valid UTF-8 holds a control character: U+0000 to U+001F or U+007F to U+009F.
bool HasControlCharacter(std::string_view text) noexcept;

}  // namespace cc
