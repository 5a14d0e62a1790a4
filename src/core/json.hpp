// JSON (RFC 8259) to Document, by RapidJSON: one pass, in place, without recursion.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/document.hpp"

namespace cc {

/// The deepest nesting: the outermost object or array is 1.
inline constexpr int kMaxJsonDepth = 64;

/// The largest length that a Node can count.
inline constexpr std::size_t kMaxJsonLength = 0xFFFFFF;

/// Returns the number of nodes that a JSON text of `length` bytes needs at most. Each value takes a byte and a separator, except
/// for open brackets.
constexpr std::size_t JsonNodeCapacity(std::size_t length) noexcept { return length / 2 + kMaxJsonDepth + 2; }

/// Parses `json`, which must be valid UTF-8 (utf8.hpp). White space around it (space, tab, CR, LF) is ignored. Returns false if
/// it is not RFC 8259 JSON, is not an object, is nested deeper than kMaxJsonDepth, is longer than kMaxJsonLength, or holds a NUL
/// character or a lone surrogate. Numbers of any size pass. Time and memory are linear in the length, and it allocates nothing.
bool ParseJson(std::string_view json, const Workspace& workspace, Document& document) noexcept;

}  // namespace cc
