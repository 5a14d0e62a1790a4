// A correctly signed token with any header and claims: its verdict depends on its header and claims only. A changed token never
// verifies.
//
// Input: place and kind of the change (4 bytes), leeway (1 byte, seconds), the header up to the first line feed, the claims.
#include "fuzz.hpp"

namespace {

// The token with a byte replaced, removed or inserted, or cut short. Never the same token.
std::string Change(std::string token, const std::uint8_t* how) {
  const std::size_t at = (how[0] | how[1] << 8) % token.size();
  switch (how[2] % 4) {
    case 0: token[at] = static_cast<char>(token[at] ^ (how[3] == 0 ? 1 : how[3])); break;
    case 1: token.erase(at, 1); break;
    case 2: token.insert(at, 1, static_cast<char>(how[3])); break;
    default: token.resize(at); break;
  }
  return token;
}

cc::Reason Check(const std::string& text, cc::Clock clock) {
  const cc::test::ExactText token(text);
  cc::Postback postback;
  postback.fields.token = token.view();
  postback.fields.invoice_id = "ILRAJE1Q";
  return cc::fuzz::CheckToken(postback, cc::fuzz::kSecret, clock);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  const std::string_view parts{reinterpret_cast<const char*>(data) + 5, size - 5};
  const std::size_t line = std::min(parts.find('\n'), parts.size());
  const std::string_view header = parts.substr(0, line), claims = parts.substr(std::min(line + 1, parts.size()));
  const cc::Clock clock{.at = cc::fuzz::kClock.at, .leeway = data[4] * cc::test::kMicroseconds};

  const std::string token = cc::test::Sign(header, claims, cc::fuzz::kSecret);
  if (token.size() >= cc::kMaxTokenLength) return 0;
  const cc::Reason reason = Check(token, clock);
  REQUIRE(reason != cc::Reason::kBadSignature);
  // With the header of a genuine token, the claims alone decide.
  Check(cc::test::Sign(cc::test::kHeader, claims, cc::fuzz::kSecret), clock);

  const std::string changed = Change(token, data);
  REQUIRE(changed == token || Check(changed, clock) != cc::Reason::kVerified);
  REQUIRE(Check(cc::test::Sign(header, claims, "another secret"), clock) != cc::Reason::kVerified);
  return 0;
}
