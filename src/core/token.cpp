#include "core/token.hpp"

#include <algorithm>
#include <array>

#include "core/base64url.hpp"
#include "core/decimal.hpp"
#include "core/json.hpp"
#include "core/utf8.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

constexpr std::int64_t kMicrosecondsPerSecond = 1'000'000;
constexpr std::int64_t kYear10000 = 253'402'300'800;  // seconds: the first moment after the year 9999

// The shortest member is `"":0,`: five bytes, except for the last member.
constexpr std::size_t kMaxMembers = Base64UrlDecodedSize(kMaxTokenLength) / 5 + 1;

bool HasDuplicateMember(const Document& object) noexcept {
  std::array<std::uint32_t, kMaxMembers> names;  // indices of nodes; left uninitialized, as most tokens have two members
  std::size_t count = 0;
  const Node* const end = object.nodes + object.root().at;
  for (const Node* name = object.nodes + 1; name < end; name = object.After(name + 1)) {
    if (count == names.size()) return true;  // cannot happen: kMaxMembers bounds it
    names[count++] = static_cast<std::uint32_t>(name - object.nodes);
  }
  const auto text = [&](std::uint32_t index) { return object.TextOf(object.nodes[index]); };
  const auto last = names.begin() + static_cast<std::ptrdiff_t>(count);
  std::sort(names.begin(), last, [&](std::uint32_t a, std::uint32_t b) { return text(a) < text(b); });
  return std::adjacent_find(names.begin(), last, [&](std::uint32_t a, std::uint32_t b) { return text(a) == text(b); }) != last;
}

// Decodes a part of the token and reads it as an object without duplicate members.
bool ParsePart(std::string_view part, const Workspace& workspace, Document& document) noexcept {
  std::array<char, Base64UrlDecodedSize(kMaxTokenLength)> decoded;
  if (part.size() > kMaxTokenLength || !Base64UrlDecode(part, decoded.data())) return false;
  const std::string_view json{decoded.data(), Base64UrlDecodedSize(part.size())};
  return IsUtf8(json) && ParseJson(json, workspace, document) && !HasDuplicateMember(document);
}

bool IsSupported(const Document& header) noexcept {
  const Node* const algorithm = header.FindMember(header.root(), "alg");
  const Node* const b64 = header.FindMember(header.root(), "b64");
  return algorithm != nullptr && algorithm->kind == Kind::kString && header.TextOf(*algorithm) == "HS256" &&
         header.FindMember(header.root(), "crit") == nullptr && (b64 == nullptr || b64->kind == Kind::kTrue);
}

// Reads a NumericDate (RFC 7519 section 2), possibly with a fraction, in microseconds, rounded up and capped at both ends.
bool ReadNumericDate(const Document& claims, const Node& node, Microseconds& microseconds) noexcept {
  Decimal decimal;
  if (node.kind != Kind::kNumber || !ParseDecimal(claims.TextOf(node), decimal)) return false;
  microseconds = 0;
  if (decimal.IsZero()) return true;
  if (decimal.integer_digits > 18) {  // beyond every time of PostgreSQL, with any leeway; the distance does not matter
    microseconds = decimal.negative ? -kEndOfTime : kEndOfTime;
    return true;
  }
  // Reads the digits down to the sixth decimal. For the rest it only matters whether a digit is nonzero.
  auto place = static_cast<std::int64_t>(decimal.integer_text.size() + decimal.fraction_text.size()) - 1 + decimal.exponent;
  bool has_more = false;
  for (const std::string_view part : {decimal.integer_text, decimal.fraction_text})
    for (const char c : part) {
      if (place >= -6)
        microseconds = microseconds * 10 + (c - '0');
      else
        has_more |= c != '0';
      --place;
    }
  if (microseconds != 0)
    for (; place >= -6; --place) microseconds *= 10;
  if (decimal.negative)
    microseconds = -microseconds;  // rounding up is towards zero
  else if (has_more)
    ++microseconds;
  return true;
}

bool ReadTimes(const Document& claims, TokenTimes& times) noexcept {
  const Node* const expires = claims.FindMember(claims.root(), "exp");
  if (expires == nullptr || !ReadNumericDate(claims, *expires, times.expires_at)) return false;
  Decimal decimal;
  ParseDecimal(claims.TextOf(*expires), decimal);
  if (decimal.negative || times.expires_at >= kYear10000 * kMicrosecondsPerSecond) return false;

  if (const Node* const not_before = claims.FindMember(claims.root(), "nbf"))
    if (!ReadNumericDate(claims, *not_before, times.not_before)) return false;
  const Node* const issued = claims.FindMember(claims.root(), "iat");
  return issued == nullptr || issued->kind == Kind::kNumber;
}

}  // namespace

TokenVerdict CheckToken(std::string_view token, std::span<const std::string_view> secrets, HmacSha256& hmac,
                        const Workspace& workspace) noexcept {
  TokenVerdict verdict;
  const std::size_t first_dot = token.find('.');
  const std::size_t second_dot = token.rfind('.');
  if (first_dot == std::string_view::npos || first_dot == second_dot) return verdict;
  const std::string_view header_part = token.substr(0, first_dot);
  const std::string_view claims_part = token.substr(first_dot + 1, second_dot - first_dot - 1);
  const std::string_view signature_part = token.substr(second_dot + 1);
  // A dot within claims_part (four parts or more) fails in Base64UrlDecode.
  if (header_part.empty() || claims_part.empty() || signature_part.empty()) return verdict;

  std::array<char, Base64UrlDecodedSize(kMaxTokenLength)> signature;
  if (signature_part.size() > kMaxTokenLength || !Base64UrlDecode(signature_part, signature.data())) return verdict;

  Document header;
  if (!ParsePart(header_part, workspace, header)) return verdict;
  const bool supported = IsSupported(header);  // before the claims overwrite the header in the workspace
  if (!ParsePart(claims_part, workspace, verdict.claims)) return verdict;
  if (!supported) {
    verdict.reason = Reason::kUnsupportedAlgorithm;
    return verdict;
  }

  // RFC 7515 section 5.2, step 8: the signature covers the text as received, up to the second dot.
  const std::string_view signed_text = token.substr(0, second_dot);
  const std::string_view given{signature.data(), Base64UrlDecodedSize(signature_part.size())};
  verdict.reason = Reason::kBadSignature;
  for (const std::string_view secret : secrets) {
    Sha256 expected;
    if (!hmac.Compute(secret, signed_text, expected)) {
      verdict.crypto_failed = true;
      return verdict;
    }
    if (EqualInConstantTime({reinterpret_cast<const char*>(expected.data()), expected.size()}, given)) {
      verdict.reason = ReadTimes(verdict.claims, verdict.times) ? Reason::kVerified : Reason::kInvalidClaims;
      return verdict;
    }
  }
  return verdict;
}

}  // namespace cc
