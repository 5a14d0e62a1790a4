#include "core/json.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <new>

#include "core/decimal.hpp"
#include "core/rapidjson.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

// RapidJSON's reader keeps a small frame for each open bracket on its own stack. The depth limit keeps that stack within one
// small block, so it never needs the heap.
constexpr std::size_t kReaderStack = 2048;

class FixedAllocator {
 public:
  [[maybe_unused]] static constexpr bool kNeedFree = false;
  void* Realloc(void* old, std::size_t, std::size_t size) {  // the reader's stack asks for its first block here too
    if (old != nullptr || size > sizeof(block_)) throw std::bad_alloc();
    return block_;
  }
  static void Free(void*) {}

 private:
  alignas(std::max_align_t) char block_[kReaderStack];
};

// Turns RapidJSON's events into nodes. Returning false ends the parse.
class NodeWriter {
 public:
  NodeWriter(const Workspace& workspace, std::string_view original, bool check_strings) noexcept
      : text_(workspace.text), nodes_(workspace.nodes), capacity_(workspace.node_capacity), original_(original),
        check_strings_(check_strings) {}

  bool Null() noexcept { return Add(Kind::kNull, 0, 0); }
  bool Bool(bool value) noexcept { return Add(value ? Kind::kTrue : Kind::kFalse, 0, 0); }
  bool RawNumber(const char* number, rapidjson::SizeType length, bool) noexcept {
    const auto at = static_cast<std::uint32_t>(number - text_);
    // In a masked text (see ParseJson) the original has the length of the number.
    if (!original_.empty()) length = static_cast<rapidjson::SizeType>(NumberLength(original_.substr(at)));
    return Add(Kind::kNumber, length, at);
  }
  bool String(const char* string, rapidjson::SizeType length, bool) noexcept {
    return (!check_strings_ || IsPlainText(string, length)) &&
           Add(Kind::kString, length, static_cast<std::uint32_t>(string - text_));
  }
  bool Key(const char* string, rapidjson::SizeType length, bool copy) noexcept { return String(string, length, copy); }
  bool StartObject() noexcept { return Open(Kind::kObject); }
  bool EndObject(rapidjson::SizeType members) noexcept { return Close(members); }
  bool StartArray() noexcept { return Open(Kind::kArray); }
  bool EndArray(rapidjson::SizeType elements) noexcept { return Close(elements); }
  // Numbers come as text, so these are never called.
  bool Int(int) noexcept { return false; }
  bool Uint(unsigned) noexcept { return false; }
  bool Int64(std::int64_t) noexcept { return false; }
  bool Uint64(std::uint64_t) noexcept { return false; }
  bool Double(double) noexcept { return false; }

  std::size_t count() const noexcept { return count_; }

 private:
  // Returns false for characters that only an escape can give: a NUL, or the bytes ED A0..BF xx that RapidJSON makes of a lone
  // low surrogate.
  static bool IsPlainText(const char* string, std::size_t length) noexcept {
    if (std::memchr(string, '\0', length) != nullptr) return false;
    const char* const end = string + length;
    for (const char* p = string; (p = static_cast<const char*>(std::memchr(p, 0xED, static_cast<std::size_t>(end - p)))); ++p)
      if (p + 1 < end && static_cast<unsigned char>(p[1]) >= 0xA0) return false;
    return true;
  }
  bool Add(Kind kind, std::uint32_t size, std::uint32_t at) noexcept {
    if (count_ == capacity_) return false;  // cannot happen: JsonNodeCapacity bounds it
    nodes_[count_++] = Node{kind, size & 0xFFFFFF, at};
    return true;
  }
  bool Open(Kind kind) noexcept {
    if (depth_ == kMaxJsonDepth) return false;
    open_[static_cast<std::size_t>(depth_++)] = static_cast<std::uint32_t>(count_);
    return Add(kind, 0, 0);
  }
  bool Close(std::uint32_t inside) noexcept {
    Node& node = nodes_[open_[static_cast<std::size_t>(--depth_)]];
    node.size = inside & 0xFFFFFF;
    node.at = static_cast<std::uint32_t>(count_);
    return true;
  }

  char* text_;
  Node* nodes_;
  std::size_t capacity_;
  std::string_view original_;
  bool check_strings_;
  std::size_t count_ = 0;
  int depth_ = 0;
  std::array<std::uint32_t, kMaxJsonDepth> open_;
};

constexpr unsigned kFlags = rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseIterativeFlag;

rapidjson::ParseErrorCode Read(char* text, NodeWriter& writer) {
  FixedAllocator allocator;
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, FixedAllocator> reader(&allocator, kReaderStack);
  rapidjson::InsituStringStream stream(text);
  return reader.Parse<kFlags>(stream, writer).Code();
}

void Copy(std::string_view json, char* text) noexcept {
  std::memcpy(text, json.data(), json.size());
  std::memset(text + json.size(), 0, kTextPadding);
}

// RapidJSON's SIMD loops accept U+001A to U+001F in strings: they compare with 0x19 instead of 0x1F. JSON allows these characters
// nowhere in raw form.
bool HasControlCharacterThatRapidJsonMisses(const char* text, std::size_t size) noexcept {
  using Block = unsigned char __attribute__((vector_size(16)));
  static_assert(kTextPadding >= sizeof(Block), "the last block reaches into the padding, which is zeros");
  Block found{};
  for (std::size_t i = 0; i < size; i += sizeof(Block)) {
    Block block;
    std::memcpy(&block, text + i, sizeof(block));
    found |= static_cast<Block>(block - 0x1A < 6);
  }
  const Block none{};
  return std::memcmp(&found, &none, sizeof(found)) != 0;
}

// Overwrites every number with a 0 and blanks of the same length. Returns false for a sign or a point outside a number: beside a
// masked number it could make another number, as in 1.-1 or --1.
bool MaskNumbers(char* text, std::size_t size) noexcept {
  const char* const end = text + size;
  for (char* p = text; p < end;) {
    if (*p == '"') {
      for (++p; p < end && *p != '"'; ++p)
        if (*p == '\\') ++p;
      ++p;
    } else if (const std::size_t length = NumberLength({p, static_cast<std::size_t>(end - p)}); length > 0) {
      std::memset(p, ' ', length);
      *p = '0';
      p += length;
    } else if (*p == '-' || *p == '+' || *p == '.') {
      return false;
    } else {
      ++p;
    }
  }
  return true;
}

}  // namespace

bool ParseJson(std::string_view json, const Workspace& workspace, Document& document) noexcept try {
  if (json.empty() || json.size() > kMaxJsonLength) return false;
  // RapidJSON ends its input at a NUL; nothing may be hidden after one.
  if (std::memchr(json.data(), '\0', json.size()) != nullptr) return false;
  // Without an escape, strings are the bytes that were sent, which are valid already.
  const bool has_escapes = std::memchr(json.data(), '\\', json.size()) != nullptr;
  char* const text = workspace.text;
  Copy(json, text);
  if (HasControlCharacterThatRapidJsonMisses(text, json.size())) return false;
  NodeWriter writer(workspace, {}, has_escapes);
  rapidjson::ParseErrorCode error = Read(text, writer);
  std::size_t count = writer.count();

  if (error == rapidjson::kParseErrorNumberTooBig) {
    // RapidJSON refuses numbers that no double holds (1e400), even where it keeps them as text, but RFC 8259 allows them. So all
    // numbers are masked, and restored afterwards. No honest body needs this. For a hostile one it doubles the cost at most.
    Copy(json, text);
    if (!MaskNumbers(text, json.size())) return false;
    NodeWriter masked(workspace, json, has_escapes);
    error = Read(text, masked);
    count = masked.count();
    if (error == rapidjson::kParseErrorNone)
      for (std::size_t i = 0; i < count; ++i)
        if (workspace.nodes[i].kind == Kind::kNumber)
          std::memcpy(text + workspace.nodes[i].at, json.data() + workspace.nodes[i].at, workspace.nodes[i].size);
  }
  if (error != rapidjson::kParseErrorNone || workspace.nodes[0].kind != Kind::kObject) return false;
  document = Document{text, workspace.nodes, count};
  return true;
} catch (...) {
  return false;  // RAPIDJSON_ASSERT or FixedAllocator: no input is known to reach them, and the body stays unverified
}

}  // namespace cc
