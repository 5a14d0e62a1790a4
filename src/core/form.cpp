#include "core/form.hpp"

#include <charconv>
#include <cstring>

#include "core/utf8.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

// Decodes a name or a value to `out`, which may be the place of `encoded`: decoded text is never longer. Returns false if
// malformed.
bool Decode(std::string_view encoded, char* out, std::size_t& size) noexcept {
  char* const begin = out;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '+') {
      *out++ = ' ';
    } else if (encoded[i] != '%') {
      *out++ = encoded[i];
    } else {
      unsigned byte = 0;
      const char* const digits = encoded.data() + i + 1;
      if (encoded.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return false;
      *out++ = static_cast<char>(byte);
      i += 2;
    }
  }
  size = static_cast<std::size_t>(out - begin);
  const std::string_view decoded{begin, size};
  return decoded.find('\0') == std::string_view::npos && IsUtf8(decoded);
}

}  // namespace

bool ParseForm(std::string_view form, const Workspace& workspace, Document& document) noexcept {
  char* const text = workspace.text;
  Node* const nodes = workspace.nodes;
  std::size_t count = 1;  // node 0 is the object
  std::uint32_t pairs = 0;

  const auto add = [&](std::string_view encoded) {
    const auto at = static_cast<std::size_t>(encoded.data() - form.data());
    std::size_t size = 0;
    if (!Decode(encoded, text + at, size)) return false;
    nodes[count++] = Node{Kind::kString, static_cast<std::uint32_t>(size) & 0xFFFFFF, static_cast<std::uint32_t>(at)};
    return true;
  };

  for (std::size_t begin = 0; begin < form.size();) {
    const std::size_t end = std::min(form.find('&', begin), form.size());
    const std::string_view pair = form.substr(begin, end - begin);
    begin = end + 1;
    if (pair.empty()) continue;
    if (++pairs > kMaxFormPairs || count + 2 > workspace.node_capacity) return false;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (!add(pair.substr(0, equals)) || !add(pair.substr(std::min(equals + 1, pair.size())))) return false;
  }
  nodes[0] = Node{Kind::kObject, pairs & 0xFFFFFF, static_cast<std::uint32_t>(count)};
  document = Document{text, nodes, count};
  return true;
}

}  // namespace cc
