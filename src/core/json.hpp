// JSON (RFC 8259) to Document, by RapidJSON: one pass, in place, without recursion.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/document.hpp"

namespace cc {

/// Deepest nesting: the outermost object or array is 1.
inline constexpr int kMaxJsonDepth = 64;

/// What a Node can count.
inline constexpr std::size_t kMaxJsonLength = 0xFFFFFF;

/// Nodes that any JSON text of `length` bytes needs at most: each value takes a byte and a separator, but for open brackets.
constexpr std::size_t JsonNodeCapacity(std::size_t length) noexcept { return length / 2 + kMaxJsonDepth + 2; }

/// Parses `json`, which must be valid UTF-8 (utf8.hpp). White space (space, tab, CR, LF) around it is ignored.
/// False when it is not RFC 8259 JSON, not an object, nested deeper than kMaxJsonDepth, or holds a NUL character or a lone
/// surrogate, or is longer than kMaxJsonLength. Numbers of any size pass. Time and memory are linear in the length; nothing is
/// allocated.
bool ParseJson(std::string_view json, const Workspace& workspace, Document& document) noexcept;

}  // namespace cc
