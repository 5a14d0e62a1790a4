// The contract, implemented a second time: slowly, with std::string, nlohmann's JSON parser and OpenSSL's base64, and no line of
// src/core. The core must give the same verdict on any input.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reference {

// --- Text ---

inline std::string Trim(std::string text) {
  const char* const kWhite = " \t\r\n";
  text.erase(0, std::min(text.find_first_not_of(kWhite), text.size()));
  text.erase(text.find_last_not_of(kWhite) + 1);
  return text;
}

// The code points of valid UTF-8 (RFC 3629), by arithmetic.
inline std::optional<std::vector<std::uint32_t>> CodePoints(std::string_view bytes) {
  std::vector<std::uint32_t> points;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i++]);
    const int more = lead < 0x80                   ? 0
                     : lead >= 0xC0 && lead < 0xE0 ? 1
                     : lead >= 0xE0 && lead < 0xF0 ? 2
                     : lead >= 0xF0 && lead < 0xF8 ? 3
                                                   : -1;
    if (more < 0) return std::nullopt;
    std::uint32_t point = more == 0 ? lead : lead & (0x3FU >> more);
    for (int k = 0; k < more; ++k, ++i) {
      if (i == bytes.size() || (static_cast<unsigned char>(bytes[i]) & 0xC0) != 0x80) return std::nullopt;
      point = point << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3F);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return std::nullopt;
    points.push_back(point);
  }
  return points;
}

// --- Numbers ---

struct Number {
  bool negative = false;
  std::string digits;         // without zeros at either end; empty: 0
  std::int64_t exponent = 0;  // of the last digit; beyond 10^12 it is cut
  std::int64_t scale = 0;     // decimals as spelled, zeros at the end too
  std::int64_t integer_digits() const {
    return digits.empty() ? 0 : std::max<std::int64_t>(0, static_cast<std::int64_t>(digits.size()) + exponent);
  }
  std::int64_t decimals() const { return digits.empty() ? 0 : std::max<std::int64_t>(0, -exponent); }
};

inline std::optional<Number> ReadNumber(const std::string& text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return text.substr(from, at - from);
  };
  Number number;
  if (at < text.size() && text[at] == '-') number.negative = ++at > 0;
  const std::string whole = digits();
  if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return std::nullopt;
  std::string fraction, power = "0";
  bool down = false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if ((fraction = digits()).empty()) return std::nullopt;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) down = text[at++] == '-';
    if ((power = digits()).empty()) return std::nullopt;
  }
  if (at != text.size()) return std::nullopt;
  power.erase(0, std::min(power.find_first_not_of('0'), power.size() - 1));
  number.exponent =
      (power.size() > 12 ? 1'000'000'000'000 : std::stoll(power)) * (down ? -1 : 1) - static_cast<std::int64_t>(fraction.size());
  const std::int64_t scale = std::max<std::int64_t>(0, -number.exponent);
  number.digits = whole + fraction;
  number.digits.erase(0, std::min(number.digits.find_first_not_of('0'), number.digits.size()));
  for (; !number.digits.empty() && number.digits.back() == '0'; ++number.exponent) number.digits.pop_back();
  if (number.digits.empty()) number = Number{};
  number.scale = scale;
  return number;
}

// In microseconds, rounded up; larger values are cut to 10^24.
inline __int128 Microseconds(const Number& number) {
  if (number.digits.empty()) return 0;
  __int128 far = 1;
  for (int i = 0; i < 24; ++i) far *= 10;
  if (number.integer_digits() > 18) return number.negative ? -far : far;
  __int128 value = 0;
  const std::int64_t keep = static_cast<std::int64_t>(number.digits.size()) + number.exponent + 6;
  for (std::int64_t i = 0; i < keep; ++i)
    value =
        value * 10 + (i < static_cast<std::int64_t>(number.digits.size()) ? number.digits[static_cast<std::size_t>(i)] - '0' : 0);
  const bool has_more = keep < static_cast<std::int64_t>(number.digits.size());
  return number.negative ? -value : value + has_more;
}

// --- JSON ---

struct Member;

struct Value {
  enum Kind { kNull, kFalse, kTrue, kNumber, kString, kArray, kObject } kind = kNull;
  std::string text;             // of a number as spelled, of a string unescaped
  std::vector<Value> elements;  // of an array
  std::vector<Member> members;  // of an object, in the order sent, with all duplicates
  inline const Value* Find(const std::string& name) const;
};

struct Member {
  std::string name;
  Value value;
};

inline const Value* Value::Find(const std::string& name) const {
  const Value* found = nullptr;
  for (const Member& member : members)
    if (member.name == name) found = &member.value;
  return found;
}

// nlohmann's parser stops at a number beyond long double: then the result is unknown.
enum class Parse { kValid, kInvalid, kUnknown };

using Json = nlohmann::basic_json<std::map, std::vector, std::string, bool, std::int64_t, std::uint64_t, long double>;

class TreeBuilder final : public nlohmann::json_sax<Json> {
 public:
  Value root;
  bool too_deep = false, has_nul = false, number_too_big = false;

  bool null() override { return Add({Value::kNull, {}, {}, {}}); }
  bool boolean(bool value) override { return Add({value ? Value::kTrue : Value::kFalse, {}, {}, {}}); }
  // An integer has one spelling; only -0 arrives as the signed 0.
  bool number_integer(std::int64_t value) override {
    return Add({Value::kNumber, value == 0 ? "-0" : std::to_string(value), {}, {}});
  }
  bool number_unsigned(std::uint64_t value) override { return Add({Value::kNumber, std::to_string(value), {}, {}}); }
  bool number_float(long double, const std::string& text) override { return Add({Value::kNumber, text, {}, {}}); }
  bool string(std::string& text) override { return Add({Value::kString, Checked(text), {}, {}}); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Open(Value::kObject); }
  bool start_array(std::size_t) override { return Open(Value::kArray); }
  bool key(std::string& text) override {
    open_.back()->members.push_back({Checked(text), {}});
    return true;
  }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    number_too_big = error.id == 406;
    return false;
  }

 private:
  const std::string& Checked(const std::string& text) {
    has_nul |= text.find('\0') != std::string::npos;
    return text;
  }
  Value* Put(Value value) {
    if (open_.empty()) return &(root = std::move(value));
    Value& parent = *open_.back();
    if (parent.kind == Value::kObject) return &(parent.members.back().value = std::move(value));
    parent.elements.push_back(std::move(value));
    return &parent.elements.back();
  }
  bool Add(Value value) {
    Put(std::move(value));
    return true;
  }
  // Nothing is added to a parent while one of its children is open, so pointers stay valid.
  bool Open(Value::Kind kind) {
    open_.push_back(Put({kind, {}, {}, {}}));
    return !(too_deep |= open_.size() > 64);
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  std::vector<Value*> open_;
};

inline Parse ReadJson(const std::string& json, Value& root) {
  // nlohmann skips a BOM, and treats a NUL as the end.
  if (json.starts_with("\xEF\xBB\xBF") || json.find('\0') != std::string::npos || !CodePoints(json)) return Parse::kInvalid;
  TreeBuilder builder;
  const bool valid = Json::sax_parse(json, &builder);
  if (builder.number_too_big) return Parse::kUnknown;
  root = std::move(builder.root);
  return valid && !builder.has_nul && root.kind == Value::kObject ? Parse::kValid : Parse::kInvalid;
}

// --- Forms ---

inline int HexDigit(char c) {
  const std::string kDigits = "0123456789abcdef";
  const auto at = kDigits.find(static_cast<char>(c >= 'A' && c <= 'F' ? c + 32 : c));
  return at == std::string::npos ? -1 : static_cast<int>(at);
}

inline std::optional<std::string> DecodePart(const std::string& text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || HexDigit(text[i + 1]) < 0 || HexDigit(text[i + 2]) < 0) return std::nullopt;
      decoded += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i] == '+' ? ' ' : text[i];
    }
  }
  if (decoded.find('\0') != std::string::npos || !CodePoints(decoded)) return std::nullopt;
  return decoded;
}

inline bool ReadForm(const std::string& form, Value& root) {
  root = Value{Value::kObject, {}, {}, {}};
  std::string rest = form + "&";
  for (std::size_t end; (end = rest.find('&')) != std::string::npos; rest.erase(0, end + 1)) {
    const std::string pair = rest.substr(0, end);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const auto name = DecodePart(pair.substr(0, equals)),
               value = DecodePart(equals == std::string::npos ? "" : pair.substr(equals + 1));
    if (!name || !value || root.members.size() == 1000) return false;
    root.members.push_back({*name, {Value::kString, *value, {}, {}}});
  }
  return true;
}

// --- The body ---

struct Body {
  std::string reason;  // empty: well formed
  Value root;
  bool is_read = false;
  std::string status, invoice_id, amount, currency, order_id, token;
};

inline std::string WithoutPrefix(const std::string& id) { return id.starts_with("INV-") ? id.substr(4) : id; }

inline bool HasControlCharacter(const std::string& text) {
  const std::vector<std::uint32_t> points = *CodePoints(text);
  return std::any_of(points.begin(), points.end(),
                     [](std::uint32_t point) { return point <= 0x1F || (point >= 0x7F && point <= 0x9F); });
}

// The row of the contract's table for the fields of a well-formed body.
inline std::string CheckFields(Body& body, bool is_json) {
  const std::string kSix[] = {"status", "invoice_id", "amount_crypto", "currency", "order_id", "token"};
  std::map<std::string, int> seen;
  for (const auto& member : body.root.members) ++seen[member.name];
  for (const std::string& name : kSix)
    if (seen[name] > 1) return "duplicate_field";
  if (is_json && seen["invoice_info"] > 1) return "duplicate_field";

  const auto value = [&](const std::string& name) {
    const Value* const found = body.root.Find(name);
    return found == nullptr || found->kind == Value::kNull ? nullptr : found;
  };
  const auto text = [&](const std::string& name) { return value(name) == nullptr ? std::string() : value(name)->text; };
  const Value* const id = value("invoice_id");
  if (id == nullptr || (id->kind == Value::kString && Trim(WithoutPrefix(id->text)).empty())) return "missing_invoice_id";

  for (const std::string& name : kSix) {
    if (value(name) == nullptr) continue;
    const Value::Kind kind = value(name)->kind;
    const bool is_id = name == "invoice_id" || name == "order_id";
    const bool may_be_number = name == "amount_crypto" || (is_id && text(name).find_first_of(".eE") == std::string::npos);
    if (kind != Value::kString && !(kind == Value::kNumber && may_be_number)) return "invalid_field";
    const std::string checked = name == "token" ? Trim(text(name)) : text(name);
    if (CodePoints(checked)->size() > (name == "token" ? 4096 : 255) || HasControlCharacter(checked)) return "invalid_field";
  }
  if (text("status").empty() || text("currency").empty()) return "invalid_field";

  body.status = text("status");
  body.invoice_id = WithoutPrefix(id->text);
  body.amount = Trim(text("amount_crypto"));
  body.currency = text("currency");
  body.order_id = text("order_id");
  body.token = Trim(text("token"));
  const auto amount = ReadNumber(body.amount);
  if (!amount || amount->negative || amount->integer_digits() > 38 || amount->decimals() > 36) return "invalid_amount";
  return body.token.empty() ? "missing_token" : "";
}

// Nothing if the result is unknown (see Parse). The content type must be supported.
inline std::optional<Body> ReadBody(const std::string& raw, bool is_json) {
  Body body;
  const std::string trimmed = Trim(raw);
  if (trimmed.empty())
    body.reason = "empty_body";
  else if (raw.size() > 1048576)
    body.reason = "body_too_large";
  else if (is_json) {
    const Parse parse = ReadJson(trimmed, body.root);
    if (parse == Parse::kUnknown) return std::nullopt;
    if (parse == Parse::kInvalid) body.reason = "invalid_json";
  } else if (!ReadForm(trimmed, body.root)) {
    body.reason = "invalid_form";
  }
  body.is_read = body.reason.empty();
  if (body.is_read) body.reason = CheckFields(body, is_json);
  return body;
}

// --- The token ---

inline std::optional<std::string> DecodeBase64Url(const std::string& text) {
  std::string standard = text;
  for (char& c : standard) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') return std::nullopt;
    c = c == '-' ? '+' : c == '_' ? '/' : c;
  }
  const std::size_t padding = (4 - standard.size() % 4) % 4;
  if (padding == 3) return std::nullopt;
  standard.append(padding, '=');
  std::string bytes(standard.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(standard.data()),
                      static_cast<int>(standard.size())) < 0)
    return std::nullopt;
  bytes.resize(bytes.size() - padding);
  std::string again(standard.size() + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(again.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  again.pop_back();
  return again == standard ? std::optional(bytes) : std::nullopt;  // one byte string has one spelling
}

struct Token {
  std::string reason;  // empty: verified
  Value claims;
  __int128 expires_at = 0;
};

inline bool HasDuplicateMember(const Value& object) {
  std::set<std::string> names;
  for (const auto& member : object.members)
    if (!names.insert(member.name).second) return true;
  return false;
}

inline std::string CheckClaims(Token& token, __int128 at, __int128 leeway, const std::string& invoice_id) {
  const auto number = [&](const char* name) {
    const Value* const value = token.claims.Find(name);
    return value == nullptr || value->kind != Value::kNumber ? std::nullopt : ReadNumber(value->text);
  };
  const auto is_wrong = [&](const char* name) { return token.claims.Find(name) != nullptr && !number(name); };
  const auto exp = number("exp"), nbf = number("nbf");
  if (!exp || exp->negative || Microseconds(*exp) >= static_cast<__int128>(253402300800) * 1000000) return "invalid_claims";
  if (is_wrong("nbf") || is_wrong("iat")) return "invalid_claims";
  token.expires_at = Microseconds(*exp);
  if (nbf && Microseconds(*nbf) > at + leeway) return "token_not_yet_valid";
  if (at >= token.expires_at + leeway) return "token_expired";
  for (const char* const name : {"id", "uuid"}) {
    const Value* const claim = token.claims.Find(name);
    if (claim != nullptr && claim->kind == Value::kString && WithoutPrefix(claim->text) != invoice_id) return "invoice_mismatch";
  }
  return "";
}

// Nothing if the result is unknown.
inline std::optional<Token> CheckToken(const std::string& text, const std::string& secret, __int128 at, __int128 leeway,
                                       const std::string& invoice_id) {
  Token token;
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  token.reason = "malformed_token";
  if (parts.size() != 3) return token;
  std::vector<std::string> decoded;
  for (const std::string& part : parts) {
    const auto bytes = DecodeBase64Url(part);
    if (part.empty() || !bytes) return token;
    decoded.push_back(*bytes);
  }
  Value header;
  const Parse first = ReadJson(decoded[0], header), second = ReadJson(decoded[1], token.claims);
  if (first == Parse::kInvalid || second == Parse::kInvalid) return token;
  if (first == Parse::kUnknown || second == Parse::kUnknown) return std::nullopt;
  if (HasDuplicateMember(header) || HasDuplicateMember(token.claims)) return token;

  const Value* const alg = header.Find("alg");
  const Value* const b64 = header.Find("b64");
  token.reason = "unsupported_algorithm";
  if (alg == nullptr || alg->kind != Value::kString || alg->text != "HS256" || header.Find("crit") != nullptr ||
      (b64 != nullptr && b64->kind != Value::kTrue))
    return token;

  const std::string signed_text = parts[0] + "." + parts[1];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(signed_text.data()),
       signed_text.size(), digest, &size);
  token.reason = "bad_signature";
  if (decoded[2] != std::string(reinterpret_cast<const char*>(digest), size)) return token;
  token.reason = CheckClaims(token, at, leeway, invoice_id);
  return token;
}

}  // namespace reference
