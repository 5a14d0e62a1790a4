// A parsed body (or a token's header or claims) as a flat list of nodes over one text buffer.
//
// Both parsers (json.hpp, form.hpp) write this form, everything else reads it: the six fields, the lenient invoice_info and
// the jsonb that src/pg builds. It is plain data in memory that the caller gave, so nothing here allocates, and nothing has
// a destructor that an ereport could jump over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace cc {

enum class Kind : std::uint8_t { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject };

/// One value or one member's name. An object's members follow it as name, value, name, value; an array's elements as values.
struct Node {
  Kind kind : 8;
  std::uint32_t size : 24;  ///< kNumber, kString: bytes of text; kArray: elements; kObject: members
  std::uint32_t at;         ///< kNumber, kString: offset of the text; kArray, kObject: index of the node after the last inside
};
static_assert(sizeof(Node) == 8);

/// Where a parser writes. `text` has room for the input and kTextPadding bytes more, `nodes` for `node_capacity` nodes.
struct Workspace {
  char* text;
  Node* nodes;
  std::size_t node_capacity;
};

/// Bytes beyond the input: a terminating NUL, and what RapidJSON's SIMD loops read ahead.
inline constexpr std::size_t kTextPadding = 32;

/// What was parsed. Node 0 is the root. Strings are unescaped, numbers stand as they were sent.
struct Document {
  const char* text = nullptr;
  const Node* nodes = nullptr;
  std::size_t count = 0;  ///< 0: nothing was parsed

  const Node& root() const noexcept { return nodes[0]; }
  std::string_view TextOf(const Node& node) const noexcept { return {text + node.at, node.size}; }
  /// The node after `node` and all that is inside it.
  const Node* After(const Node* node) const noexcept { return node->kind >= Kind::kArray ? nodes + node->at : node + 1; }
  /// The value of the member `name` of `object`, the last one as in jsonb; nullptr if there is none, or it is no object.
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
