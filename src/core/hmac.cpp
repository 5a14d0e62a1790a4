#include "core/hmac.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstring>

#include "core/no_postgres.hpp"

namespace cc {
namespace {

const unsigned char* Bytes(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

// OpenSSL queues errors for each thread. PostgreSQL's own TLS code uses the same queue, so no error of ours stays there.
bool Succeeded(int result) noexcept {
  if (result != 1) ERR_clear_error();
  return result == 1;
}

// Returns false if memory ran out while OpenSSL initialized itself. Fetching an algorithm after that crashes (OpenSSL 3.0).
bool IsOpenSslReady() noexcept { return OSSL_LIB_CTX_get0_global_default() != nullptr; }

EVP_MAC_CTX* NewContext() noexcept {
  EVP_MAC* const hmac = IsOpenSslReady() ? EVP_MAC_fetch(nullptr, "HMAC", nullptr) : nullptr;
  EVP_MAC_CTX* const context = hmac == nullptr ? nullptr : EVP_MAC_CTX_new(hmac);
  EVP_MAC_free(hmac);  // the context holds its own reference
  if (context == nullptr) ERR_clear_error();
  return context;
}

}  // namespace

HmacSha256::~HmacSha256() { DropContext(); }

void HmacSha256::DropContext() noexcept {
  ForgetKey();
  EVP_MAC_CTX_free(context_);
  context_ = nullptr;
}

void HmacSha256::ForgetKey() noexcept {
  OPENSSL_cleanse(key_.data(), key_.size());
  key_size_ = 0;
}

bool HmacSha256::HasKey(std::string_view key) const noexcept {
  return key_size_ != 0 && EqualInConstantTime({key_.data(), key_size_}, key);
}

bool HmacSha256::SetKey(std::string_view key) noexcept {
  ForgetKey();
  if (context_ == nullptr) context_ = NewContext();
  if (context_ == nullptr) return false;
  char digest_name[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
                                   OSSL_PARAM_construct_end()};
  if (!Succeeded(EVP_MAC_init(context_, Bytes(key), key.size(), parameters))) return false;
  if (key.size() <= key_.size()) {
    std::memcpy(key_.data(), key.data(), key.size());
    key_size_ = key.size();
  }
  return true;
}

bool HmacSha256::Compute(std::string_view key, std::string_view message, Sha256& digest) noexcept {
  std::size_t size = 0;
  // Without a key, EVP_MAC_init starts again with the previous key.
  const bool ready = HasKey(key) ? Succeeded(EVP_MAC_init(context_, nullptr, 0, nullptr)) : SetKey(key);
  if (ready && Succeeded(EVP_MAC_update(context_, Bytes(message), message.size())) &&
      Succeeded(EVP_MAC_final(context_, digest.data(), &size, digest.size())) && size == digest.size())
    return true;
  DropContext();  // OpenSSL 3.5 crashes on a context whose initialization failed: the next call makes a new one
  return false;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool ComputeSha256(std::string_view bytes, Sha256& digest) noexcept {
  // EVP_sha256() is looked up at each call. Fetching it once halves the time of a short digest.
  static EVP_MD* sha256 = nullptr;
  if (sha256 == nullptr && IsOpenSslReady()) sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return Succeeded(sha256 != nullptr && EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, sha256, nullptr) == 1);
}

}  // namespace cc
