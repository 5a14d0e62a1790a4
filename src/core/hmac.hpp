// HMAC-SHA256 (RFC 2104, RFC 6234) and SHA-256 by OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

struct evp_mac_ctx_st;  // OpenSSL's EVP_MAC_CTX

namespace cc {

using Sha256 = std::array<unsigned char, 32>;

/// Computes HMACs. It keeps OpenSSL's context with the last key, so that the next call with the same key is cheap. A new key and
/// the destructor overwrite the kept key. Not thread-safe: use one in each backend.
class HmacSha256 {
 public:
  HmacSha256() noexcept = default;
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;

  /// Computes an HMAC. Returns false only if OpenSSL fails (out of memory, or a FIPS provider that refuses), never with a wrong
  /// digest.
  [[nodiscard]] bool Compute(std::string_view key, std::string_view message, Sha256& digest) noexcept;

 private:
  bool SetKey(std::string_view key) noexcept;
  bool HasKey(std::string_view key) const noexcept;
  void ForgetKey() noexcept;
  void DropContext() noexcept;

  static constexpr std::size_t kLongestKeptKey = 256;  // a longer key is set again at each call
  evp_mac_ctx_st* context_ = nullptr;
  std::array<char, kLongestKeptKey> key_{};
  std::size_t key_size_ = 0;  // 0: no key is kept
};

/// Compares in time that does not depend on where `a` and `b` differ.
bool EqualInConstantTime(std::string_view a, std::string_view b) noexcept;

/// Computes SHA-256. Returns false only if OpenSSL fails.
[[nodiscard]] bool ComputeSha256(std::string_view bytes, Sha256& digest) noexcept;

}  // namespace cc
