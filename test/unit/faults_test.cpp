// OpenSSL and malloc fail at each call in turn: never a wrong result, and the next call works.
//
// A separate program: the linker puts the functions below between the core and what it calls (--wrap, see Makefile).
#include <gtest/gtest.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include <cstdlib>
#include <new>

#include "core/hmac.hpp"
#include "core/postback.hpp"
#include "support.hpp"

extern "C" void* __real_malloc(std::size_t size);
extern "C" void* __real_realloc(void* old, std::size_t size);

namespace {

// The call that fails, counted from 1; 0: none.
int fail_openssl_at = 0, openssl_calls = 0;
bool IsToFail() { return ++openssl_calls == fail_openssl_at; }

// Allocations of the core itself.
int core_allocations = 0;

// Allocations within OpenSSL.
int fail_allocation_at = 0, allocations = 0;
bool IsAllocationToFail() { return ++allocations == fail_allocation_at; }

void* Allocate(std::size_t size, const char*, int) { return IsAllocationToFail() ? nullptr : __real_malloc(size); }
void* Reallocate(void* old, std::size_t size, const char*, int) {
  return IsAllocationToFail() ? nullptr : __real_realloc(old, size);
}
void Free(void* pointer, const char*, int) { std::free(pointer); }

// Before OpenSSL allocates anything; afterwards it refuses.
const int allocator_is_ours = CRYPTO_set_mem_functions(Allocate, Reallocate, Free);

}  // namespace

extern "C" {

#define WRAP(result, name, parameters, arguments, failure) \
  result __real_##name parameters;                         \
  result __wrap_##name parameters { return IsToFail() ? failure : __real_##name arguments; }

WRAP(EVP_MAC*, EVP_MAC_fetch, (OSSL_LIB_CTX * library, const char* name, const char* properties), (library, name, properties),
     nullptr)
WRAP(EVP_MAC_CTX*, EVP_MAC_CTX_new, (EVP_MAC * mac), (mac), nullptr)
WRAP(int, EVP_MAC_init, (EVP_MAC_CTX * context, const unsigned char* key, std::size_t size, const OSSL_PARAM* parameters),
     (context, key, size, parameters), 0)
WRAP(int, EVP_MAC_update, (EVP_MAC_CTX * context, const unsigned char* data, std::size_t size), (context, data, size), 0)
WRAP(int, EVP_MAC_final, (EVP_MAC_CTX * context, unsigned char* out, std::size_t* written, std::size_t size),
     (context, out, written, size), 0)
WRAP(EVP_MD*, EVP_MD_fetch, (OSSL_LIB_CTX * library, const char* name, const char* properties), (library, name, properties),
     nullptr)
WRAP(int, EVP_Digest,
     (const void* data, std::size_t size, unsigned char* out, unsigned* written, const EVP_MD* type, ENGINE* engine),
     (data, size, out, written, type, engine), 0)

// The test's own allocations come through here too; only those between two readings of the counter count.
#define COUNT(result, name, parameters, arguments) \
  result __real_##name parameters;                 \
  result __wrap_##name parameters {                \
    ++core_allocations;                            \
    return __real_##name arguments;                \
  }

COUNT(void*, malloc, (std::size_t size), (size))
COUNT(void*, calloc, (std::size_t count, std::size_t size), (count, size))
COUNT(void*, realloc, (void* old, std::size_t size), (old, size))
COUNT(void*, _Znwm, (std::size_t size), (size))
COUNT(void*, _Znam, (std::size_t size), (size))
COUNT(void*, _ZnwmRKSt9nothrow_t, (std::size_t size, const std::nothrow_t& tag), (size, tag))
COUNT(void*, _ZnamRKSt9nothrow_t, (std::size_t size, const std::nothrow_t& tag), (size, tag))

}  // extern "C"

namespace cc::test {
namespace {

enum class Outcome { kVerified, kRejected, kCryptoFailed };

Outcome Verify(HmacSha256& hmac, std::string_view token, std::string_view secret = kSecret) {
  Postback postback;
  postback.fields.token = token;
  postback.fields.invoice_id = "ILRAJE1Q";
  const ExactWorkspace workspace = ExactWorkspace::ForJson(token.size());
  const TokenVerdict verdict = VerifyToken(postback, {&secret, 1}, kClock, hmac, workspace.get());
  if (verdict.crypto_failed) return Outcome::kCryptoFailed;
  return verdict.reason == Reason::kVerified ? Outcome::kVerified : Outcome::kRejected;
}

class Faults : public testing::Test {
 protected:
  void TearDown() override {
    fail_openssl_at = fail_allocation_at = 0;
    EXPECT_EQ(ERR_peek_error(), 0U) << "PostgreSQL's TLS code shares OpenSSL's queue of errors";
  }
};

// Calls `compute` with the first, second, ... call into OpenSSL failing, until no call is left.
template <typename Compute>
int FailEachCall(Compute compute) {
  for (int call = 1;; ++call) {
    openssl_calls = 0;
    fail_openssl_at = call;
    compute(call);
    fail_openssl_at = 0;
    if (openssl_calls < call) return call - 1;
  }
}

TEST_F(Faults, EachCallOfTheFirstVerification) {
  const std::string honest = HonestToken(), forged = Sign(kHeader, kClaims, "another");
  const int calls = FailEachCall([&](int call) {
    HmacSha256 hmac;
    const Outcome outcome = Verify(hmac, honest);
    EXPECT_EQ(outcome, openssl_calls < call ? Outcome::kVerified : Outcome::kCryptoFailed) << call;
    fail_openssl_at = 0;
    EXPECT_EQ(Verify(hmac, honest), Outcome::kVerified) << "the next call works";
    EXPECT_EQ(Verify(hmac, forged), Outcome::kRejected);
    openssl_calls = outcome == Outcome::kVerified ? 0 : call;
  });
  EXPECT_EQ(calls, 5) << "fetch, new, init, update, final";
}

TEST_F(Faults, EachCallWithTheKeyThatIsKept) {
  const std::string honest = HonestToken(), forged = Sign(kHeader, kClaims, "another");
  for (const bool is_honest : {true, false}) {
    const int calls = FailEachCall([&](int call) {
      fail_openssl_at = 0;
      HmacSha256 hmac;
      ASSERT_EQ(Verify(hmac, honest), Outcome::kVerified);
      openssl_calls = 0;
      fail_openssl_at = call;
      const Outcome outcome = Verify(hmac, is_honest ? honest : forged);
      const int needed = openssl_calls;
      if (needed >= call) {
        EXPECT_EQ(outcome, Outcome::kCryptoFailed) << call;
      } else {
        EXPECT_EQ(outcome, is_honest ? Outcome::kVerified : Outcome::kRejected);
      }
      fail_openssl_at = 0;
      EXPECT_EQ(Verify(hmac, honest), Outcome::kVerified);
      EXPECT_EQ(Verify(hmac, forged), Outcome::kRejected);
      openssl_calls = needed;
    });
    EXPECT_EQ(calls, 3) << "init, update, final";
  }
}

TEST_F(Faults, EachCallWhenTheKeyChanges) {
  const std::string honest = HonestToken(), other = Sign(kHeader, kClaims, "another");
  const int calls = FailEachCall([&](int call) {
    fail_openssl_at = 0;
    HmacSha256 hmac;
    ASSERT_EQ(Verify(hmac, honest), Outcome::kVerified);
    openssl_calls = 0;
    fail_openssl_at = call;
    const Outcome outcome = Verify(hmac, other, "another");
    const int needed = openssl_calls;
    EXPECT_EQ(outcome, needed >= call ? Outcome::kCryptoFailed : Outcome::kVerified) << call;
    fail_openssl_at = 0;
    // Neither key may be mistaken for the other after a failure in between.
    EXPECT_EQ(Verify(hmac, honest), Outcome::kVerified);
    EXPECT_EQ(Verify(hmac, other), Outcome::kRejected);
    EXPECT_EQ(Verify(hmac, other, "another"), Outcome::kVerified);
    EXPECT_EQ(Verify(hmac, honest, "another"), Outcome::kRejected);
    openssl_calls = needed;
  });
  EXPECT_EQ(calls, 3) << "init, update, final";
}

TEST_F(Faults, WithTwoSecretsAFailureOfTheFirstIsNotTakenForAWrongSecret) {
  const std::string honest = HonestToken();
  const std::string_view secrets[] = {kSecret, "the one before"};
  Postback postback;
  postback.fields.token = honest;
  postback.fields.invoice_id = "ILRAJE1Q";
  HmacSha256 hmac;
  const ExactWorkspace workspace = ExactWorkspace::ForJson(honest.size());
  openssl_calls = 0;
  fail_openssl_at = 1;
  EXPECT_TRUE(VerifyToken(postback, secrets, kClock, hmac, workspace.get()).crypto_failed);
}

TEST_F(Faults, NothingIsAskedOfOpenSslBeforeTheTokenIsReadable) {
  HmacSha256 hmac;
  openssl_calls = 0;
  for (const std::string& token : {std::string("x"), Sign(R"({"alg":"none"})", kClaims), Sign(kHeader, "[]")})
    EXPECT_EQ(Verify(hmac, token), Outcome::kRejected);
  EXPECT_EQ(openssl_calls, 0);
}

TEST_F(Faults, EachCallOfADigest) {
  Sha256 digest;
  FailEachCall([&](int call) {
    const bool computed = ComputeSha256("abc", digest);
    EXPECT_EQ(computed, openssl_calls < call);
  });
  EXPECT_TRUE(ComputeSha256("abc", digest));
}

// The digest's method is fetched once per process: a failure then must not be permanent. Runs in a process of its own.
using FaultsDeathTest = Faults;
TEST_F(FaultsDeathTest, AFirstDigestThatFailsDoesNotSpoilTheNext) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Sha256 digest;
        fail_openssl_at = openssl_calls + 1;
        const bool first = ComputeSha256("abc", digest);
        const bool second = ComputeSha256("abc", digest);
        std::_Exit(!first && second && ERR_peek_error() == 0 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

// Each allocation within OpenSSL in turn, from the very first.
TEST_F(Faults, EachAllocationOfOpenSsl) {
  ASSERT_EQ(allocator_is_ours, 1);
  const std::string honest = HonestToken(), forged = Sign(kHeader, kClaims, "another");
  int failures = 0;
  for (int at = 1;; ++at) {
    HmacSha256 hmac;
    allocations = 0;
    fail_allocation_at = at;
    const Outcome outcome = Verify(hmac, honest);
    const bool was_reached = allocations >= at;
    fail_allocation_at = 0;
    EXPECT_NE(outcome, Outcome::kRejected) << at;
    failures += outcome == Outcome::kCryptoFailed;
    EXPECT_EQ(Verify(hmac, honest), Outcome::kVerified) << at;
    EXPECT_EQ(Verify(hmac, forged), Outcome::kRejected) << at;
    if (!was_reached) break;
  }
  EXPECT_GT(failures, 0);
}

TEST_F(FaultsDeathTest, EachAllocationOfOpenSslWhenItStarts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // A failure while OpenSSL initializes itself may leave it unusable in this process, so no later verification works. But none
  // gives a wrong result.
  for (const int at : {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987})
    EXPECT_EXIT(
        {
          // Made beforehand, because support.hpp would use OpenSSL.
          constexpr std::string_view kForged =
              "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpZCI6IklMUkFKRTFRIiwiZXhwIjoxNzY5NTA5NzAwfQ."
              "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
          HmacSha256 hmac;
          fail_allocation_at = at;
          const Outcome first = Verify(hmac, kForged);
          fail_allocation_at = 0;
          const Outcome second = Verify(hmac, kForged);
          std::_Exit(first != Outcome::kVerified && second != Outcome::kVerified ? 0 : 1);
        },
        testing::ExitedWithCode(0), "")
        << at;
}

// All memory is the caller's, so no allocation can fail. RapidJSON would allocate without FixedAllocator.
TEST_F(Faults, TheCoreAllocatesNothing) {
  std::string deep = R"({"status":"success","invoice_id":"ILRAJE1Q","amount_crypto":1e30,"currency":"BNB",)"
                     R"("order_id":"x\u00e9","x":[1e400,"\ud83d\ude00"],"y":)";
  deep += std::string(63, '[') + std::string(63, ']') + R"(,"token":")" + HonestToken() + "\"}";
  const std::string form = "status=success&invoice_id=ILRAJE1Q&amount_crypto=1&currency=B%4EB&token=" + HonestToken();
  HmacSha256 hmac;
  ASSERT_EQ(Verify(hmac, HonestToken()), Outcome::kVerified);
  for (const std::string_view body :
       {std::string_view(deep), std::string_view(form), std::string_view("{\"x\":"), std::string_view("%")}) {
    const ExactWorkspace room = ExactWorkspace::ForBody(body.size()), token_room = ExactWorkspace::ForJson(kMaxTokenLength);
    const std::string_view secrets[] = {kSecret};
    const int before = core_allocations;
    const Postback postback = ReadPostback({.body = body, .is_utf8 = false, .content_type = {}}, room.get());
    if (postback.reason == Reason::kVerified) {
      EXPECT_EQ(VerifyToken(postback, secrets, kClock, hmac, token_room.get()).reason, Reason::kVerified);
    }
    EXPECT_EQ(core_allocations, before);
  }
}

}  // namespace
}  // namespace cc::test
