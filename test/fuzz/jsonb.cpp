// The jsonb that src/pg writes, without PostgreSQL. Its buffers are exactly as large as it requests, so AddressSanitizer notices
// each byte written beyond. Its output is read as utils/jsonb.h describes it.
//
// Input: one byte (bit 0: JSON or form, bit 1: whole or without the token), the body.
#include "fuzz.hpp"

#include <csignal>

#include "core/utf8.hpp"
#include "pg/jsonb.hpp"
#include "pg/numeric.hpp"

// --- The functions of PostgreSQL that jsonb.cpp calls ---

extern "C" {
volatile sig_atomic_t InterruptPending = false;
void ProcessInterrupts() {}
void* palloc(Size size) { return std::malloc(size); }
void pfree(void* pointer) { std::free(pointer); }
}

// As large as PostgreSQL's numeric of this value (see its numeric.c): groups of four digits, and a header of two bytes, or of
// four if the weight or the scale is large. Only this file reads its content.
namespace cc::pg {

Numeric MakeNumeric(const Decimal& decimal) {
  REQUIRE(decimal.IsExact() && decimal.exponent >= -kMaxDigits && decimal.exponent <= kMaxDigits);  // the range of numeric_in
  std::string digits = std::string(decimal.integer_text) + std::string(decimal.fraction_text);
  std::int64_t exponent = decimal.exponent;
  for (; exponent % 4 != 0; --exponent) digits += '0';
  digits.insert(0, (4 - digits.size() % 4) % 4, '0');
  while (digits.starts_with("0000")) digits.erase(0, 4);
  for (; digits.ends_with("0000"); exponent += 4) digits.resize(digits.size() - 4);
  const std::int64_t weight = static_cast<std::int64_t>(digits.size()) / 4 + exponent / 4 - 1;
  const bool is_short = decimal.scale <= 63 && (digits.empty() || (weight >= -64 && weight <= 63));

  const std::size_t size = VARHDRSZ + (is_short ? 2 : 4) + digits.size() / 4 * 2;
  char* const numeric = static_cast<char*>(palloc(size));
  std::memset(numeric, 0xEE, size);
  SET_VARSIZE(numeric, size);
  return reinterpret_cast<Numeric>(numeric);
}

}  // namespace cc::pg

namespace {

using reference::Value;

// --- Reading the stored form ---

std::uint32_t WordAt(const char* at) {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

std::size_t Aligned(std::size_t offset) { return (offset + 3) / 4 * 4; }

Value ReadContainer(const char* at, std::size_t size);

Value ReadEntry(std::uint32_t entry, const char* base, std::size_t begin, std::size_t end) {
  const std::uint32_t type = entry & JENTRY_TYPEMASK;
  if (type == JENTRY_ISSTRING) return {Value::kString, std::string(base + begin, end - begin), {}, {}};
  if (type == JENTRY_ISNUMERIC || type == JENTRY_ISCONTAINER) {
    for (; begin % 4 != 0; ++begin) REQUIRE(begin < end && base[begin] == 0);
    if (type == JENTRY_ISCONTAINER) return ReadContainer(base + begin, end - begin);
    REQUIRE(VARSIZE_ANY(base + begin) == end - begin);
    return {Value::kNumber, {}, {}, {}};
  }
  REQUIRE(begin == end);
  REQUIRE(type == JENTRY_ISNULL || type == JENTRY_ISBOOL_FALSE || type == JENTRY_ISBOOL_TRUE);
  return {type == JENTRY_ISNULL ? Value::kNull : type == JENTRY_ISBOOL_TRUE ? Value::kTrue : Value::kFalse, {}, {}, {}};
}

Value ReadContainer(const char* at, std::size_t size) {
  REQUIRE(size >= 4);
  const std::uint32_t header = WordAt(at), count = header & JB_CMASK;
  const bool is_object = (header & ~JB_CMASK) == JB_FOBJECT;
  REQUIRE(is_object || (header & ~JB_CMASK) == JB_FARRAY);
  const std::size_t children = is_object ? 2 * std::size_t{count} : count;
  REQUIRE(size >= 4 + 4 * children);
  const char* const base = at + 4 + 4 * children;
  const std::size_t room = size - 4 - 4 * children;

  std::vector<Value> values;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < children; ++i) {
    const std::uint32_t entry = WordAt(at + 4 + 4 * i);
    REQUIRE(((entry & JENTRY_HAS_OFF) != 0) == (i % JB_OFFSET_STRIDE == 0));
    const std::size_t field = entry & JENTRY_OFFLENMASK, end = i % JB_OFFSET_STRIDE == 0 ? field : begin + field;
    REQUIRE(begin <= end && end <= room);
    values.push_back(ReadEntry(entry, base, begin, end));
    begin = end;
  }
  REQUIRE(begin == room);
  if (!is_object) return {Value::kArray, {}, std::move(values), {}};
  Value object{Value::kObject, {}, {}, {}};
  for (std::size_t i = 0; i < count; ++i) {
    REQUIRE(values[i].kind == Value::kString);
    object.members.push_back({values[i].text, values[count + i]});
  }
  return object;
}

// --- The expected content ---

bool ComesBefore(const std::string& a, const std::string& b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

Value Expected(const Value& value, bool is_root, bool is_form, bool without_token) {
  Value expected{value.kind, value.kind == Value::kString ? value.text : "", {}, {}};
  if (value.kind == Value::kNumber) {
    const reference::Number number = *reference::ReadNumber(value.text);
    if (number.integer_digits() > 400 || number.scale > 400) expected = {Value::kString, value.text, {}, {}};
  }
  for (const Value& element : value.elements) expected.elements.push_back(Expected(element, false, is_form, without_token));
  std::map<std::string, std::vector<Value>> members;
  for (const auto& [name, member] : value.members)
    if (!(is_root && without_token && name == "token")) members[name].push_back(Expected(member, false, is_form, without_token));
  for (auto& [name, same] : members) {
    const bool as_array = is_root && is_form && without_token && same.size() > 1;
    expected.members.push_back({name, as_array ? Value{Value::kArray, {}, same, {}} : same.back()});
  }
  std::sort(expected.members.begin(), expected.members.end(),
            [](const auto& a, const auto& b) { return ComesBefore(a.name, b.name); });
  return expected;
}

void RequireSame(const Value& a, const Value& b) {
  REQUIRE(a.kind == b.kind && a.text == b.text && a.elements.size() == b.elements.size() && a.members.size() == b.members.size());
  for (std::size_t i = 0; i < a.elements.size(); ++i) RequireSame(a.elements[i], b.elements[i]);
  for (std::size_t i = 0; i < a.members.size(); ++i) {
    REQUIRE(a.members[i].name == b.members[i].name);
    RequireSame(a.members[i].value, b.members[i].value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cc;
  if (size == 0) return 0;
  const bool is_form = (data[0] & 1) != 0, without_token = (data[0] & 2) != 0;
  const std::string body = reference::Trim(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  const test::ExactWorkspace workspace = test::ExactWorkspace::ForBody(body.size());
  Document document;
  if (!IsUtf8(body) || !(is_form ? ParseForm(body, workspace.get(), document) : ParseJson(body, workspace.get(), document)))
    return 0;

  const pg::RootMembers members = !without_token ? pg::RootMembers::kAsIs
                                  : is_form      ? pg::RootMembers::kFormWithoutToken
                                                 : pg::RootMembers::kJsonWithoutToken;
  const std::unique_ptr<Jsonb, decltype(&std::free)> jsonb(pg::MakeJsonb(document, document.root(), members), &std::free);
  const Value written = ReadContainer(VARDATA(jsonb.get()), VARSIZE(jsonb.get()) - VARHDRSZ);
  Value sent;
  if (is_form ? reference::ReadForm(body, sent) : reference::ReadJson(body, sent) == reference::Parse::kValid)
    RequireSame(written, Expected(sent, true, is_form, without_token));
  return 0;
}
