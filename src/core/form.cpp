#include "core/form.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/utf8.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

// Decodes a name or a value in place: decoded text is never longer. Returns false if malformed.
bool Decode(char* text, std::size_t& size) noexcept {
  char* out = text;
  for (std::size_t i = 0; i < size; ++i) {
    if (text[i] == '+') {
      *out++ = ' ';
    } else if (text[i] != '%') {
      *out++ = text[i];
    } else {
      unsigned byte = 0;
      const char* const digits = text + i + 1;
      if (size - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) return false;
      *out++ = static_cast<char>(byte);
      i += 2;
    }
  }
  size = static_cast<std::size_t>(out - text);
  return true;
}

bool IsText(std::string_view bytes) noexcept { return bytes.find('\0') == std::string_view::npos && IsUtf8(bytes); }

// Finds the next escape from a place on. The places only rise, so that all searches together read the form once.
class EscapeFinder {
 public:
  explicit EscapeFinder(std::string_view form) noexcept : form_(form), percent_(form.find('%')), plus_(form.find('+')) {}

  bool HasEscape(std::size_t begin, std::size_t end) noexcept {
    if (percent_ < begin) percent_ = form_.find('%', begin);
    if (plus_ < begin) plus_ = form_.find('+', begin);
    return percent_ < end || plus_ < end;
  }

 private:
  std::string_view form_;
  std::size_t percent_;  // npos: there is none
  std::size_t plus_;
};

}  // namespace

bool ParseForm(std::string_view form, const Workspace& workspace, Document& document) noexcept {
  char* const text = workspace.text;
  Node* const nodes = workspace.nodes;
  std::size_t count = 1;  // node 0 is the object
  std::uint32_t pairs = 0;
  std::memmove(text, form.data(), form.size());
  const bool is_text = IsText(form);  // then so is each part of it that has no escape
  EscapeFinder escapes(form);

  const auto add = [&](std::size_t begin, std::size_t end) {
    std::size_t size = end - begin;
    const bool is_escaped = escapes.HasEscape(begin, end);
    if (is_escaped && !Decode(text + begin, size)) return false;
    if ((is_escaped || !is_text) && !IsText({text + begin, size})) return false;
    nodes[count++] = Node{Kind::kString, static_cast<std::uint32_t>(size) & 0xFFFFFF, static_cast<std::uint32_t>(begin)};
    return true;
  };

  for (std::size_t begin = 0, end = 0; begin < form.size(); begin = end + 1) {
    end = std::min(form.find('&', begin), form.size());
    if (begin == end) continue;
    if (++pairs > kMaxFormPairs || count + 2 > workspace.node_capacity) return false;
    const std::size_t equals = begin + std::min(form.substr(begin, end - begin).find('='), end - begin);
    if (!add(begin, equals) || !add(std::min(equals + 1, end), end)) return false;
  }
  nodes[0] = Node{Kind::kObject, pairs & 0xFFFFFF, static_cast<std::uint32_t>(count)};
  document = Document{text, nodes, count};
  return true;
}

}  // namespace cc
