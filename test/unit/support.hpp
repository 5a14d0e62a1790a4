// Shared by the unit tests and the fuzz targets: workspaces without a spare byte, signed tokens, and a printer of Documents.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base64url.hpp"
#include "core/document.hpp"
#include "core/postback.hpp"

namespace cc::test {

inline constexpr std::string_view kSecret = "the SECRET KEY of the project";
inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kForm = "application/x-www-form-urlencoded";

/// The moment of every test: 2026-01-27 10:23:20 UTC. Tokens expire five minutes later, as the service's do.
inline constexpr std::int64_t kNow = 1'769'509'400;
inline constexpr std::int64_t kExpires = kNow + 300;
inline constexpr std::int64_t kMicroseconds = 1'000'000;
inline constexpr Clock kClock{.at = kNow * kMicroseconds, .leeway = 0};

/// Memory of exactly the size asked for, so that AddressSanitizer sees a step beyond it.
class ExactWorkspace {
 public:
  ExactWorkspace(std::size_t text_size, std::size_t nodes)
      : text_(new char[text_size]), nodes_(new Node[nodes]), node_capacity_(nodes) {}

  static ExactWorkspace ForBody(std::size_t size) { return {TextCapacity(size), NodeCapacity(size)}; }
  static ExactWorkspace ForJson(std::size_t size) { return {TextCapacity(size), JsonNodeCapacity(size)}; }
  static ExactWorkspace ForForm(std::size_t size) { return {TextCapacity(size), FormNodeCapacity(size)}; }

  Workspace get() const noexcept { return {text_.get(), nodes_.get(), node_capacity_}; }

 private:
  std::unique_ptr<char[]> text_;
  std::unique_ptr<Node[]> nodes_;
  std::size_t node_capacity_;
};

/// A copy on the heap without a terminating NUL or anything else behind it: a read beyond the input is seen too.
class ExactText {
 public:
  explicit ExactText(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    text.copy(bytes_.get(), size_);
  }
  std::string_view view() const noexcept { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

inline std::string Base64Url(std::string_view bytes) {
  std::string text(Base64UrlEncodedSize(bytes.size()), '\0');
  Base64UrlEncode(bytes, text.data());
  return text;
}

/// By OpenSSL's one-shot function, not by the code under test.
inline std::string Hmac(std::string_view message, std::string_view secret, const EVP_MD* digest = EVP_sha256()) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(digest, secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(message.data()),
       message.size(), bytes, &size);
  return {reinterpret_cast<const char*>(bytes), size};
}

/// A token over these two parts, which may be anything.
inline std::string SignParts(std::string_view header_part, std::string_view claims_part, std::string_view secret = kSecret) {
  std::string token{header_part};
  token.append(".").append(claims_part);
  return token + "." + Base64Url(Hmac(token, secret));
}

inline constexpr std::string_view kHeader = R"({"typ":"JWT","alg":"HS256"})";

/// A token with this header and these claims, which may be any text.
inline std::string Sign(std::string_view header, std::string_view claims, std::string_view secret = kSecret) {
  return SignParts(Base64Url(header), Base64Url(claims), secret);
}

/// The claims of an honest token, as the service makes it.
inline constexpr std::string_view kClaims = R"({"id":"ILRAJE1Q","exp":1769509700})";
inline std::string HonestToken() { return Sign(kHeader, kClaims); }

/// True if every offset and count in the document is in range and the nodes are a tree: what everything that walks it takes
/// for granted. `text_size` bounds the text.
inline bool IsTree(const Document& document, std::size_t text_size);

/// The document as compact JSON with members in the order sent; strings stand raw, without escapes.
inline std::string Show(const Document& document, const Node& node) {
  const std::string text{node.kind == Kind::kString || node.kind == Kind::kNumber ? document.TextOf(node) : std::string_view{}};
  switch (node.kind) {
    case Kind::kNull: return "null";
    case Kind::kFalse: return "false";
    case Kind::kTrue: return "true";
    case Kind::kNumber: return text;
    case Kind::kString: return '"' + text + '"';
    case Kind::kArray:
    case Kind::kObject: break;
  }
  const bool is_object = node.kind == Kind::kObject;
  std::string shown;
  for (const Node* child = &node + 1; child < document.After(&node); child = document.After(child)) {
    if (!shown.empty()) shown += ',';
    if (is_object) shown += Show(document, *child++) + ':';
    shown += Show(document, *child);
  }
  return is_object ? '{' + shown + '}' : '[' + shown + ']';
}
inline std::string Show(const Document& document) { return Show(document, document.root()); }

/// Checks the subtree at `index` and returns the index after it, or 0 if it is none.
inline std::size_t TreeEnd(const Document& document, std::size_t index, std::size_t text_size, int depth = 1) {
  if (index >= document.count || depth > kMaxJsonDepth + 1) return 0;
  const Node& node = document.nodes[index];
  if (node.kind > Kind::kObject) return 0;
  if (node.kind == Kind::kNumber || node.kind == Kind::kString)
    return std::size_t{node.at} + node.size <= text_size ? index + 1 : 0;
  if (node.kind < Kind::kArray) return index + 1;
  std::size_t next = index + 1;
  const std::size_t children = node.kind == Kind::kObject ? 2 * std::size_t{node.size} : node.size;
  for (std::size_t i = 0; i < children; ++i) {
    const bool is_name = node.kind == Kind::kObject && i % 2 == 0;
    if (is_name && (next >= document.count || document.nodes[next].kind != Kind::kString)) return 0;
    next = TreeEnd(document, next, text_size, depth + 1);
    if (next == 0) return 0;
  }
  return node.at == next ? next : 0;
}

inline bool IsTree(const Document& document, std::size_t text_size) {
  return document.count > 0 && TreeEnd(document, 0, text_size) == document.count;
}

}  // namespace cc::test
