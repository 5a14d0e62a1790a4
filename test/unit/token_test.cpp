// The attacks on the token, one by one. The fuzz target test/fuzz/token.cpp looks for unknown ones.
#include "core/token.hpp"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "support.hpp"

namespace cc::test {
namespace {

struct Verdict {
  Reason reason;
  std::int64_t expires_at;
  std::string claims;
  bool names_invoice;
};

Verdict Verify(std::string_view token, std::span<const std::string_view> secrets, Clock clock = kClock,
               std::string_view invoice_id = "ILRAJE1Q") {
  const ExactText text(token);
  Postback postback;
  postback.fields.token = text.view();
  postback.fields.invoice_id = invoice_id;
  HmacSha256 hmac;
  const ExactWorkspace workspace = ExactWorkspace::ForJson(token.size());
  const TokenVerdict verdict = VerifyToken(postback, secrets, clock, hmac, workspace.get());
  EXPECT_FALSE(verdict.crypto_failed);
  return {verdict.reason, static_cast<std::int64_t>(verdict.times.expires_at),
          verdict.claims.count == 0 ? "" : Show(verdict.claims), verdict.names_invoice};
}

Reason Check(std::string_view token, std::string_view secret = kSecret) { return Verify(token, {&secret, 1}).reason; }
Reason CheckClaims(std::string_view claims) { return Check(Sign(kHeader, claims)); }

std::string Name(Reason reason) { return reason == Reason::kVerified ? "verified" : ReasonWord(reason); }

// A header, signed with the secret whatever its content, and the expected result.
void ExpectHeaders(Reason expected, const std::vector<std::string>& headers) {
  for (const std::string& header : headers) EXPECT_EQ(Name(Check(Sign(header, kClaims))), Name(expected)) << header;
}

void ExpectClaims(Reason expected, const std::vector<std::string>& claims) {
  for (const std::string& text : claims) EXPECT_EQ(Name(CheckClaims(text)), Name(expected)) << text;
}

void ExpectTokens(Reason expected, const std::vector<std::string>& tokens) {
  for (const std::string& token : tokens) EXPECT_EQ(Name(Check(token)), Name(expected)) << token;
}

// Claims with this `exp`, and one more member.
std::string WithExp(std::string_view exp, std::string_view more = "") {
  return R"({"id":"ILRAJE1Q","exp":)" + std::string(exp) + std::string(more) + "}";
}
std::string With(std::string_view more) { return WithExp(std::to_string(kExpires), "," + std::string(more)); }

// --- What verifies ---

TEST(Token, AnHonestOneVerifies) {
  const std::string_view secret = kSecret;
  const Verdict verdict = Verify(HonestToken(), {&secret, 1});
  EXPECT_EQ(Name(verdict.reason), "verified");
  EXPECT_EQ(verdict.expires_at, kExpires * kMicroseconds);
  EXPECT_EQ(verdict.claims, kClaims);
}

TEST(Token, OrderAndSpacingOfTheHeaderAreTheSendersAffair) {
  ExpectHeaders(Reason::kVerified, {R"({"alg":"HS256","typ":"JWT"})", R"({"alg":"HS256"})", "{\r\n \"alg\" :\t\"HS256\" }\n",
                                    R"({"alg":"HS\u003256"})", R"({"\u0061lg":"HS256"})"});
}

TEST(Token, AnySecretOfTheListVerifies) {
  const std::array<std::string_view, 2> secrets{"the new secret", kSecret};
  EXPECT_EQ(Name(Verify(HonestToken(), secrets).reason), "verified");
  EXPECT_EQ(Name(Verify(Sign(kHeader, kClaims, "the new secret"), secrets).reason), "verified");
  EXPECT_EQ(Name(Verify(Sign(kHeader, kClaims, "a third"), secrets).reason), "bad_signature");
  EXPECT_EQ(Name(Verify(HonestToken(), {}).reason), "bad_signature") << "without a secret nothing verifies";
}

TEST(Token, ASecretIsTextToTheLetter) {
  for (const std::string_view secret :
       {"the SECRET KEY of the projec", "the SECRET KEY of the project ", " the SECRET KEY of the project",
        "The SECRET KEY of the project", "dGhlIFNFQ1JFVCBLRVkgb2YgdGhlIHByb2plY3Q", "x"})
    EXPECT_EQ(Name(Check(HonestToken(), secret)), "bad_signature") << secret;
}

// --- The three parts ---

TEST(Token, ThreePartsAreNeededAndNoMore) {
  const std::string h = Base64Url(kHeader), c = Base64Url(kClaims), s = Base64Url(Hmac(h + "." + c, kSecret));
  ExpectTokens(Reason::kMalformedToken,
               {h, h + "." + c, h + "." + c + ".", "." + c + "." + s, h + ".." + s, "..", ".", "", "...",
                h + "." + c + "." + s + ".", "." + h + "." + c + "." + s, h + "." + c + "." + s + "." + s,
                h + "." + h + "." + c + "." + s, h + "." + c + ".." + s, h + "," + c + "," + s});
}

TEST(Token, WhiteSpaceAndPaddingInsideAreRefused) {
  const std::string h = Base64Url(kHeader), c = Base64Url(kClaims), s = Base64Url(Hmac(h + "." + c, kSecret));
  ExpectTokens(Reason::kMalformedToken,
               {h + " ." + c + "." + s, h + ". " + c + "." + s, h + "." + c + ".\n" + s, h + "." + c + "." + s + "=",
                h + "." + c + "." + s + " ", " " + h + "." + c + "." + s, h + "=." + c + "." + s, SignParts(h + "=", c),
                SignParts(h, c + "=="), SignParts(h + "\n", c), SignParts(h, " " + c)});
}

TEST(Token, NonCanonicalBase64UrlIsRefusedInEveryPart) {
  // Lengths that leave unused bits: another last letter would decode to the same bytes.
  const std::string h = Base64Url(R"({"typ":"JWT","alg":"HS256"} )"), c = Base64Url(R"({"id":"ILRAJE1Q","exp":1769509700} )");
  ASSERT_NE(h.size() % 4, 0U);
  ASSERT_NE(c.size() % 4, 0U);
  const std::string honest = SignParts(h, c);
  ASSERT_EQ(Check(honest), Reason::kVerified);
  const auto bump = [](std::string part) {
    ++part.back();  // the next letter of the alphabet: its lowest bit is not 0
    return part;
  };
  ExpectTokens(Reason::kMalformedToken, {SignParts(bump(h), c), SignParts(h, bump(c)), bump(honest)});
}

TEST(Token, TheOtherBase64AlphabetIsRefused) {
  std::string claims{R"({"id":"ILRAJE1Q","exp":1769509700,"x":"?>?>?>~~~"})"};
  std::string part = Base64Url(claims);
  ASSERT_NE(part.find_first_of("-_"), std::string::npos);
  EXPECT_EQ(Check(SignParts(Base64Url(kHeader), part)), Reason::kVerified);
  for (char& c : part) c = c == '-' ? '+' : c == '_' ? '/' : c;
  EXPECT_EQ(Check(SignParts(Base64Url(kHeader), part)), Reason::kMalformedToken);
}

TEST(Token, HeaderAndClaimsMustBeJsonObjects) {
  for (const std::string text : {"", "foo", "[]", "null", "\"x\"", "1", "{", "{}}", "{}x", "{'alg':'HS256'}", "\xEF\xBB\xBF{}",
                                 "{\"a\":\"\xFF\"}", R"({"a":"\u0000"})", R"({"a":"\ud800"})", "{\"alg\":\"HS256\",}"}) {
    EXPECT_EQ(Name(Check(Sign(text, kClaims))), "malformed_token") << text;
    EXPECT_EQ(Name(CheckClaims(text)), "malformed_token") << text;
  }
}

TEST(Token, NestingInHeaderAndClaimsEndsAt64) {
  for (const std::size_t depth : {63U, 64U, 65U}) {
    const std::string deep = R"(,"x":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
    const Reason expected = depth <= 64 ? Reason::kVerified : Reason::kMalformedToken;
    EXPECT_EQ(Name(Check(Sign(R"({"alg":"HS256")" + deep, kClaims))), Name(expected)) << depth;
    EXPECT_EQ(Name(CheckClaims(R"({"exp":1769509700)" + deep)), Name(expected)) << depth;
  }
}

TEST(Token, AMemberNamedTwiceIsRefusedAtTheTopLevelOnly) {
  ExpectHeaders(Reason::kMalformedToken, {R"({"alg":"HS256","alg":"HS256"})", R"({"alg":"none","alg":"HS256"})",
                                          R"({"alg":"HS256","alg":"none"})", R"({"alg":"HS256","\u0061lg":"HS256"})",
                                          R"({"alg":"HS256","x":1,"y":2,"x":3})", R"({"alg":"HS256","":1,"":2})"});
  ExpectClaims(Reason::kMalformedToken, {With(R"("exp":9999999999)"), With(R"("id":"ILRAJE1Q")"), With(R"("\u0069d":"OTHER")"),
                                         With(R"("x":1,"x":1)"), With(R"("x":[],"y":{},"x":{})")});
  ExpectHeaders(Reason::kVerified, {R"({"alg":"HS256","x":{"y":1,"y":2}})", R"({"alg":"HS256","Alg":"none","ALG":"none"})"});
  ExpectClaims(Reason::kVerified, {With(R"("x":{"exp":0,"exp":0,"y":1,"y":2})"), With(R"("Exp":1,"EXP":1,"exp ":1)")});
}

TEST(Token, AsManyMembersAsATokenCanHoldAreCompared) {
  // The shortest names first: 1, 62, 62 * 62 of them.
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string claims = "{\"\":0";
  for (const char a : kLetters) claims += std::string(",\"") + a + "\":0";
  const auto fill = [&](std::string_view end) {
    std::string full = claims;
    for (std::size_t i = 0; full.size() + 8 + end.size() < 2990; ++i)
      full += std::string(",\"") + kLetters[i / 62] + kLetters[i % 62] + "\":0";
    return full + std::string(end);
  };
  EXPECT_EQ(Name(CheckClaims(fill(R"(,"exp":1769509700})"))), "verified");
  EXPECT_EQ(Name(CheckClaims(fill(R"(,"exp":1769509700,"":0})"))), "malformed_token");
  EXPECT_EQ(Name(CheckClaims(fill(R"(,"exp":1769509700,"00":0})"))), "malformed_token");
}

TEST(Token, TheLongestOneVerifies) {
  for (const std::size_t size : {4095U, 4096U}) {
    // Header 36 characters, signature 43, two dots: the rest is the part of the claims.
    const std::size_t claims_part = size - 81;
    const std::size_t claims_size = claims_part * 3 / 4;
    std::string claims = R"({"exp":1769509700,"x":")";
    claims += std::string(claims_size - claims.size() - 2, 'x') + "\"}";
    const std::string token = Sign(kHeader, claims);
    ASSERT_EQ(token.size(), size);
    EXPECT_EQ(Name(Check(token)), "verified");
  }
}

// --- The algorithm ---

TEST(Token, NoneIsNoAlgorithmInAnySpelling) {
  ExpectHeaders(Reason::kUnsupportedAlgorithm,
                {R"({"alg":"none"})", R"({"alg":"None"})", R"({"alg":"NONE"})", R"({"alg":"nOnE"})", R"({"alg":"n\u006fne"})",
                 R"({"alg":" none"})", R"({"alg":"none "})", R"({"alg":""})", R"({"alg":null})", R"({})", R"({"typ":"JWT"})"});
  const std::string none = Base64Url(R"({"alg":"none","typ":"JWT"})") + "." + Base64Url(kClaims) + ".";
  EXPECT_EQ(Name(Check(none)), "malformed_token") << "the empty signature that none asks for";
  EXPECT_EQ(Name(Check(none + "AAAA")), "unsupported_algorithm");
}

TEST(Token, HS256IsTakenToTheLetter) {
  ExpectHeaders(Reason::kUnsupportedAlgorithm,
                {R"({"alg":"hs256"})", R"({"alg":"Hs256"})", R"({"alg":"HS256 "})", R"({"alg":" HS256"})", R"({"alg":"HS-256"})",
                 R"({"alg":"HS2560"})", R"({"alg":"HS25"})", R"({"alg":"HS256\u200b"})", R"({"alg":"\uff28S256"})",
                 R"({"alg":"HMACSHA256"})", R"({"alg":"HS256,none"})", R"({"Alg":"HS256"})", R"({"ALG":"HS256"})"});
}

TEST(Token, TheAlgorithmIsAString) {
  ExpectHeaders(Reason::kUnsupportedAlgorithm, {R"({"alg":["HS256"]})", R"({"alg":{"alg":"HS256"}})", R"({"alg":256})",
                                                R"({"alg":true})", R"({"alg":false})", R"({"x":{"alg":"HS256"}})"});
}

TEST(Token, NoOtherAlgorithmIsTakenNotEvenRightlySigned) {
  for (const char* const name : {"HS1", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384",
                                 "PS512", "EdDSA", "ES256K", "dir", "A128KW", "RSA-OAEP", "HS256/64"}) {
    const std::string header = std::string(R"({"alg":")") + name + R"("})";
    EXPECT_EQ(Name(Check(Sign(header, kClaims))), "unsupported_algorithm") << name;
  }
  const auto sign = [](std::string_view name, const EVP_MD* digest) {
    const std::string text = Base64Url(std::string(R"({"alg":")") + std::string(name) + R"("})") + "." + Base64Url(kClaims);
    return text + "." + Base64Url(Hmac(text, kSecret, digest));
  };
  EXPECT_EQ(Name(Check(sign("HS384", EVP_sha384()))), "unsupported_algorithm");
  EXPECT_EQ(Name(Check(sign("HS512", EVP_sha512()))), "unsupported_algorithm");
  EXPECT_EQ(Name(Check(sign("HS256", EVP_sha512()))), "bad_signature");
  EXPECT_EQ(Name(Check(sign("HS256", EVP_sha1()))), "bad_signature");
}

TEST(Token, AnyCritIsRefused) {
  for (const char* const crit : {"[]", R"(["exp"])", R"(["b64"])", R"(["x"])", "null", "true", R"("exp")", "{}", "0"})
    EXPECT_EQ(Name(Check(Sign(std::string(R"({"alg":"HS256","crit":)") + crit + "}", kClaims))), "unsupported_algorithm") << crit;
  ExpectHeaders(Reason::kUnsupportedAlgorithm, {R"({"alg":"HS256","cr\u0069t":[]})", R"({"alg":"HS256","x":1,"crit":["x"]})"});
  ExpectHeaders(Reason::kVerified, {R"({"alg":"HS256","Crit":["x"]})", R"({"alg":"HS256","x":{"crit":["x"]}})"});
}

TEST(Token, B64OtherThanTrueIsRefused) {
  for (const char* const b64 : {"false", "null", "1", "0", R"("true")", R"("false")", "[]", "[true]", "{}"})
    EXPECT_EQ(Name(Check(Sign(std::string(R"({"alg":"HS256","b64":)") + b64 + "}", kClaims))), "unsupported_algorithm") << b64;
  ExpectHeaders(Reason::kVerified, {R"({"alg":"HS256","b64":true})"});
}

TEST(Token, AnUnencodedPayloadIsRefused) {  // RFC 7797
  const std::string text = Base64Url(R"({"alg":"HS256","b64":false,"crit":["b64"]})") + "." + std::string(kClaims);
  EXPECT_EQ(Name(Check(text + "." + Base64Url(Hmac(text, kSecret)))), "malformed_token");
}

TEST(Token, AKeyThatItBringsAlongIsIgnored) {
  ExpectHeaders(
      Reason::kVerified,
      {R"({"alg":"HS256","kid":"../../dev/null"})", R"({"alg":"HS256","kid":"x' UNION SELECT 'key"})",
       R"({"alg":"HS256","jku":"https://attacker.example/keys"})", R"({"alg":"HS256","jwk":{"kty":"oct","k":"YXR0YWNrZXI"}})",
       R"({"alg":"HS256","x5u":"https://attacker.example/cert","x5c":["MIIB"]})",
       R"({"alg":"HS256","typ":17,"cty":"JWT","zip":"DEF"})"});
  // Signed with a key from the header, or with a file or address that its kid could name.
  const std::string header = R"({"alg":"HS256","jwk":{"kty":"oct","k":"YXR0YWNrZXI"},"kid":"/dev/null"})";
  for (const char* const key : {"attacker", "YXR0YWNrZXI", "/dev/null", "", "null", "0"})
    EXPECT_EQ(Name(Check(Sign(header, kClaims, key))), "bad_signature") << key;
}

// --- The signature ---

TEST(Token, EverySingleBitOfTheSignatureCounts) {
  const std::string h = Base64Url(kHeader), c = Base64Url(kClaims);
  const std::string signature = Hmac(h + "." + c, kSecret);
  ASSERT_EQ(signature.size(), 32U);
  for (std::size_t bit = 0; bit < 256; ++bit) {
    std::string other = signature;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_EQ(Name(Check(h + "." + c + "." + Base64Url(other))), "bad_signature") << bit;
  }
}

TEST(Token, EveryChangeOfASingleByteIsRefused) {
  const std::string honest = HonestToken();
  for (std::size_t at = 0; at < honest.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string other = honest;
      other[at] = static_cast<char>(byte);
      ASSERT_EQ(Check(other) == Reason::kVerified, other == honest) << at << ", " << byte;
    }
}

TEST(Token, EveryByteLeftOutOrDoubledIsRefused) {
  const std::string honest = HonestToken();
  for (std::size_t at = 0; at < honest.size(); ++at) {
    std::string shorter = honest, longer = honest;
    shorter.erase(at, 1);
    longer.insert(at, 1, honest[at]);
    EXPECT_NE(Check(shorter), Reason::kVerified) << at;
    EXPECT_NE(Check(longer), Reason::kVerified) << at;
  }
}

TEST(Token, ATruncatedOrExtendedSignatureIsRefused) {
  const std::string h = Base64Url(kHeader), c = Base64Url(kClaims);
  const std::string signature = Hmac(h + "." + c, kSecret);
  for (std::size_t size = 1; size < 32; ++size)
    EXPECT_EQ(Name(Check(h + "." + c + "." + Base64Url(signature.substr(0, size)))), "bad_signature") << size;
  for (const std::string& more :
       {std::string("\0", 1), std::string("x"), std::string(32, '\0'), signature, std::string(2000, 'x')})
    EXPECT_EQ(Name(Check(h + "." + c + "." + Base64Url(signature + more))), "bad_signature");
  EXPECT_EQ(Name(Check(h + "." + c + "." + Base64Url(std::string(32, '\0')))), "bad_signature");
  EXPECT_EQ(Name(Check(h + "." + c + "." + Base64Url(std::string(1, '\0') + signature))), "bad_signature");
}

TEST(Token, ASignatureOfAnythingElseIsRefused) {
  const std::string h = Base64Url(kHeader), c = Base64Url(kClaims);
  for (const std::string& text :
       {h, c, h + c, h + "." + c + ".", c + "." + h, std::string(kHeader) + "." + std::string(kClaims), std::string(kClaims),
        h + "." + Base64Url(R"({"id":"ILRAJE1Q","exp":9999999999})"), std::string()})
    EXPECT_EQ(Name(Check(h + "." + c + "." + Base64Url(Hmac(text, kSecret)))), "bad_signature");
  // Hexadecimal instead of base64url.
  EXPECT_EQ(Name(Check(h + "." + c + ".0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")), "bad_signature");
}

TEST(Token, PartsOfTwoHonestTokensDoNotMix) {
  const std::string other_claims = Base64Url(R"({"id":"OTHER","exp":1769509700})"), h = Base64Url(kHeader),
                    c = Base64Url(kClaims);
  EXPECT_EQ(Name(Check(h + "." + c + "." + Base64Url(Hmac(h + "." + other_claims, kSecret)))), "bad_signature");
  EXPECT_EQ(Name(Check(h + "." + other_claims + "." + Base64Url(Hmac(h + "." + c, kSecret)))), "bad_signature");
}

TEST(Token, ANestedOneIsRefused) {  // RFC 7519, section 5.2: the payload is a token again
  EXPECT_EQ(Name(Check(Sign(R"({"alg":"HS256","cty":"JWT"})", HonestToken()))), "malformed_token");
  EXPECT_EQ(Name(Check(Sign(kHeader, "\"" + HonestToken() + "\""))), "malformed_token");
  EXPECT_EQ(Name(CheckClaims(R"({"token":")" + HonestToken() + "\"}")), "invalid_claims");
}

TEST(Token, AJsonSerialisationIsRefused) {  // RFC 7515, section 7.2
  const std::string h = Base64Url(kHeader), c = Base64Url(kClaims), s = Base64Url(Hmac(h + "." + c, kSecret));
  ExpectTokens(Reason::kMalformedToken,
               {R"({"payload":")" + c + R"(","protected":")" + h + R"(","signature":")" + s + "\"}",
                R"({"payload":")" + c + R"(","signatures":[{"protected":")" + h + R"(","signature":")" + s + "\"}]}",
                R"({"a":".","b":".","payload":")" + c + "\"}"});
}

TEST(Token, ABearerWordOrQuotesAroundAreRefused) {
  ExpectTokens(Reason::kMalformedToken, {"Bearer " + HonestToken(), "\"" + HonestToken() + "\"", "token=" + HonestToken(),
                                         HonestToken() + ";", "JWT " + HonestToken()});
}

// --- Claims ---

TEST(Token, ExpIsANumberFromZeroToTheEndOfTheYear9999) {
  ExpectClaims(Reason::kInvalidClaims, {R"({"id":"ILRAJE1Q"})",
                                        "{}",
                                        WithExp("null"),
                                        WithExp("true"),
                                        WithExp("false"),
                                        WithExp(R"("1769509700")"),
                                        WithExp("[1769509700]"),
                                        WithExp("{}"),
                                        WithExp("-1"),
                                        WithExp("-0.0000001"),
                                        WithExp("-1e-400"),
                                        WithExp("-1e400"),
                                        WithExp("253402300800"),
                                        WithExp("253402300800.000001"),
                                        WithExp("1e12"),
                                        WithExp("1e13"),
                                        WithExp("1e308"),
                                        WithExp("1e400"),
                                        WithExp("9223372036854775807"),
                                        WithExp("9223372036854775808"),
                                        WithExp("18446744073709551616"),
                                        WithExp("1e99999999999999999999"),
                                        WithExp(std::string(500, '9')),
                                        R"({"Exp":1769509700})",
                                        R"({"x":{"exp":1769509700}})"});
  ExpectClaims(Reason::kTokenExpired,
               {WithExp("0"), WithExp("-0"), WithExp("-0.0"), WithExp("0e400"), WithExp("0.1"), WithExp("1e-400"),
                WithExp("1e-99999999999999999999"), WithExp("1"), WithExp("2147483647e-1")});
  ExpectClaims(Reason::kVerified,
               {WithExp("253402300799"), WithExp("253402300799.999999"), WithExp("2147483648"), WithExp("1769509700.5"),
                WithExp("1.7695097e9"), WithExp("17695097E+2"), WithExp("1769509700" + std::string(400, '0') + "e-400")});
}

TEST(Token, NbfAndIatAreNumbersIfTheyAreThere) {
  for (const std::string name : {"nbf", "iat"}) {
    for (const char* const value : {"null", "true", R"("1769509400")", "[]", "{}", "[1]"})
      EXPECT_EQ(Name(CheckClaims(With("\"" + name + "\":" + value))), "invalid_claims") << name << value;
    for (const char* const value :
         {"1769509400", "0", "-1", "-1e400", "1.5", "-0", "1e-400", "-9223372036854775809", "-1e99999999999999999999"})
      EXPECT_EQ(Name(CheckClaims(With("\"" + name + "\":" + value))), "verified") << name << value;
  }
}

TEST(Token, IatDecidesNothing) {
  ExpectClaims(Reason::kVerified, {With(R"("iat":1e400)"), With(R"("iat":9999999999)"), With(R"("iat":-1)")});
}

TEST(Token, NbfInTheFutureIsNotYetValid) {
  ExpectClaims(Reason::kVerified,
               {With(R"("nbf":1769509400)"), With(R"("nbf":1769509399.999999)"), With(R"("nbf":1769509400.0000000)")});
  ExpectClaims(Reason::kTokenNotYetValid,
               {With(R"("nbf":1769509400.000001)"), With(R"("nbf":1769509400.0000000001)"), With(R"("nbf":1769509401)"),
                With(R"("nbf":1e400)"), With(R"("nbf":1e12)"), With(R"("nbf":9223372036854775808)")});
}

struct Moment {
  std::int64_t at, leeway;
  Reason expected;
};

TEST(Token, ExpiresAtTheMicrosecond) {
  const std::string_view secret = kSecret;
  const std::string token = HonestToken();
  constexpr std::int64_t kEnd = kExpires * kMicroseconds;
  for (const Moment& m :
       {Moment{0, 0, Reason::kVerified}, Moment{kEnd - 1, 0, Reason::kVerified}, Moment{kEnd, 0, Reason::kTokenExpired},
        Moment{kEnd + 1, 0, Reason::kTokenExpired}, Moment{kEnd, 1, Reason::kVerified}, Moment{kEnd + 9, 10, Reason::kVerified},
        Moment{kEnd + 10, 10, Reason::kTokenExpired}, Moment{kEnd + 11, 10, Reason::kTokenExpired},
        Moment{INT64_MAX, 0, Reason::kTokenExpired}, Moment{INT64_MAX - 1, INT64_MAX, Reason::kVerified}})
    EXPECT_EQ(Name(Verify(token, {&secret, 1}, {m.at, m.leeway}).reason), Name(m.expected)) << m.at << " + " << m.leeway;
}

TEST(Token, BecomesValidAtTheMicrosecond) {
  const std::string_view secret = kSecret;
  const std::string token = Sign(kHeader, With(R"("nbf":1769509400)"));
  constexpr std::int64_t kBegin = kNow * kMicroseconds;
  for (const Moment& m : {Moment{kBegin - 1, 0, Reason::kTokenNotYetValid}, Moment{kBegin, 0, Reason::kVerified},
                          Moment{kBegin + 1, 0, Reason::kVerified}, Moment{kBegin - 1, 1, Reason::kVerified},
                          Moment{kBegin - 11, 10, Reason::kTokenNotYetValid}, Moment{kBegin - 10, 10, Reason::kVerified},
                          Moment{0, INT64_MAX, Reason::kVerified}, Moment{kBegin, INT64_MAX, Reason::kVerified}})
    EXPECT_EQ(Name(Verify(token, {&secret, 1}, {m.at, m.leeway}).reason), Name(m.expected)) << m.at << " + " << m.leeway;
}

TEST(Token, AFractionOfAMicrosecondLengthensItsLife) {
  const std::string_view secret = kSecret;
  struct Case {
    const char* exp;
    std::int64_t microseconds;
  };
  for (const Case& c :
       {Case{"1769509700.0000001", kExpires * kMicroseconds + 1}, Case{"1769509700.0000000", kExpires * kMicroseconds},
        Case{"1769509700.9999999", kExpires * kMicroseconds + kMicroseconds},
        Case{"17695097000000001e-7", kExpires * kMicroseconds + 1}, Case{"0.17695097e10", kExpires * kMicroseconds},
        Case{"17695097e2", kExpires * kMicroseconds}})
    EXPECT_EQ(Verify(Sign(kHeader, WithExp(c.exp)), {&secret, 1}).expires_at, c.microseconds) << c.exp;
}

TEST(Token, NotYetValidComesBeforeExpired) {
  EXPECT_EQ(Name(CheckClaims(WithExp("1", R"(,"nbf":9999999999)"))), "token_not_yet_valid");
}

TEST(Token, AStringIdOrUuidNamesThisInvoice) {
  ExpectClaims(Reason::kVerified,
               {R"({"exp":1769509700,"id":"ILRAJE1Q"})", R"({"exp":1769509700,"id":"INV-ILRAJE1Q"})",
                R"({"exp":1769509700,"uuid":"INV-ILRAJE1Q"})", R"({"exp":1769509700,"id":"ILRAJE1Q","uuid":"ILRAJE1Q"})",
                R"({"exp":1769509700,"id":"\u0049LRAJE1Q"})"});
  ExpectClaims(Reason::kInvoiceMismatch,
               {R"({"exp":1769509700,"id":"OTHER"})", R"({"exp":1769509700,"id":""})", R"({"exp":1769509700,"id":"INV-"})",
                R"({"exp":1769509700,"id":"ilraje1q"})", R"({"exp":1769509700,"id":"ILRAJE1Q "})",
                R"({"exp":1769509700,"id":"inv-ILRAJE1Q"})", R"({"exp":1769509700,"id":"INV-INV-ILRAJE1Q"})",
                R"({"exp":1769509700,"id":"ILRAJE1"})", R"({"exp":1769509700,"id":"ILRAJE1Q","uuid":"OTHER"})",
                R"({"exp":1769509700,"id":"OTHER","uuid":"ILRAJE1Q"})", R"({"exp":1769509700,"id":13,"uuid":"OTHER"})",
                R"({"exp":1769509700,"id":"ILRAJE1Q\u200b"})"});
}

TEST(Token, AnIdOfAnotherTypeOrNoneBindsNothing) {
  ExpectClaims(Reason::kVerified,
               {R"({"exp":1769509700})", R"({"exp":1769509700,"id":13})", R"({"exp":1769509700,"id":null})",
                R"({"exp":1769509700,"id":true})", R"({"exp":1769509700,"id":["OTHER"]})",
                R"({"exp":1769509700,"id":{"id":"OTHER"}})", R"({"exp":1769509700,"ID":"OTHER","Uuid":"OTHER"})"});
}

TEST(Token, ItsPrefixIsTakenOffOnceOnBothSides) {
  const std::string_view secret = kSecret;
  const auto verify = [&](std::string_view claim, std::string_view invoice_id) {
    return Name(
        Verify(Sign(kHeader, R"({"exp":1769509700,"id":")" + std::string(claim) + "\"}"), {&secret, 1}, kClock, invoice_id)
            .reason);
  };
  EXPECT_EQ(verify("INV-INV-X", "INV-X"), "verified");
  EXPECT_EQ(verify("INV-X", "INV-X"), "invoice_mismatch");
}

TEST(Token, NamesItsInvoiceOnlyByAStringAndOnlyWhenItIsVerified) {
  const std::string_view secret = kSecret;
  const auto names = [&](std::string_view claims) {
    return Verify(Sign(kHeader, claims), {&secret, 1}, kClock, "ILRAJE1Q").names_invoice;
  };
  EXPECT_TRUE(names(R"({"exp":1769509700,"id":"ILRAJE1Q"})"));
  EXPECT_TRUE(names(R"({"exp":1769509700,"id":13,"uuid":"INV-ILRAJE1Q"})"));
  EXPECT_FALSE(names(R"({"exp":1769509700})"));
  EXPECT_FALSE(names(R"({"exp":1769509700,"id":13})"));
  EXPECT_FALSE(names(R"({"exp":1769509700,"id":"OTHER"})"));
  EXPECT_FALSE(names(R"({"exp":1769509700,"id":"ILRAJE1Q","uuid":"OTHER"})"));
  EXPECT_FALSE(names(R"({"exp":1,"id":"ILRAJE1Q"})")) << "expired";
  const std::string_view another = "another";
  EXPECT_FALSE(Verify(Sign(kHeader, R"({"exp":1769509700,"id":"ILRAJE1Q"})"), {&another, 1}, kClock, "ILRAJE1Q").names_invoice);
}

// --- Precedence ---

TEST(Token, TheFirstFaultOfTheTableCounts) {
  const std::string none = R"({"alg":"none"})", expired = R"({"exp":1,"nbf":9999999999,"id":"OTHER"})";
  EXPECT_EQ(Name(Check(Sign(none, "[]", "wrong"))), "malformed_token");
  EXPECT_EQ(Name(Check(Sign(none, expired, "wrong"))), "unsupported_algorithm");
  EXPECT_EQ(Name(Check(Sign(kHeader, R"({"exp":-1,"id":"OTHER"})", "wrong"))), "bad_signature");
  EXPECT_EQ(Name(CheckClaims(R"({"exp":-1,"nbf":9999999999,"id":"OTHER"})")), "invalid_claims");
  EXPECT_EQ(Name(CheckClaims(expired)), "token_not_yet_valid");
  EXPECT_EQ(Name(CheckClaims(R"({"exp":1,"id":"OTHER"})")), "token_expired");
  EXPECT_EQ(Name(CheckClaims(R"({"exp":1769509700,"id":"OTHER"})")), "invoice_mismatch");
}

}  // namespace
}  // namespace cc::test
