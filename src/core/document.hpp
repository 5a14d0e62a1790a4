// A parsed body (or a token's header or claims) as a flat list of nodes over one text buffer.
//
// Both parsers (json.hpp, form.hpp) write this form. Its readers are the six fields, the lenient invoice_info, and the jsonb that
// src/pg builds. It is plain data in memory of the caller. So nothing here allocates or has a destructor that an ereport could
// skip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cc {

enum class Kind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

/// A value, or the name of a member. After an object come its members as name, value, name, value; after an array its elements.
struct Node {
  Kind kind : 8;
  std::uint32_t size : 24;  ///< kNumber, kString: bytes of text; kArray: elements; kObject: members
  std::uint32_t at;         ///< kNumber, kString: offset of the text; kArray, kObject: index of the node after the last inside
};
static_assert(sizeof(Node) == 8);

/// Returns true for a member that is missing or null: both say nothing.
constexpr bool IsAbsent(const Node* value) noexcept { return value == nullptr || value->kind == Kind::kNull; }

/// The memory that a parser writes to. `text` has room for the input and kTextPadding more bytes, `nodes` for `node_capacity`
/// nodes.
struct Workspace {
  char* text;
  Node* nodes;
  std::size_t node_capacity;
};

/// Bytes after the input: a terminating NUL, and the bytes that RapidJSON's SIMD loops read ahead.
inline constexpr std::size_t kTextPadding = 32;

/// The result of a parser. Node 0 is the root. Strings are unescaped, numbers are spelled as they were sent.
struct Document {
  const char* text = nullptr;
  const Node* nodes = nullptr;
  std::size_t count = 0;  ///< 0: nothing was parsed

  const Node& root() const noexcept { return nodes[0]; }
  std::string_view TextOf(const Node& node) const noexcept { return {text + node.at, node.size}; }
  /// Returns the node after `node` and everything inside it.
  const Node* After(const Node* node) const noexcept { return node->kind >= Kind::kArray ? nodes + node->at : node + 1; }
  /// Returns the value of a member of `object`, the last one of that name as in jsonb. Returns nullptr if there is none, or if
  /// `object` is not an object.
  const Node* FindMember(const Node& object, std::string_view name) const noexcept {
    const Node* found = nullptr;
    if (object.kind != Kind::kObject) return found;
    const Node* const end = nodes + object.at;
    for (const Node* member = &object + 1; member < end; member = After(member + 1))
      if (TextOf(*member) == name) found = member + 1;
    return found;
  }
};

}  // namespace cc
