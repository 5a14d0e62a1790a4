#include "core/content_type.hpp"

#include <algorithm>

#include "core/trim.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

bool EqualsIgnoringCase(std::string_view text, std::string_view lower) noexcept {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
}

// RFC 9110 section 5.6.2: the characters of a type or of a parameter's name.
bool IsToken(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
  });
}

MediaType TypeOf(std::string_view type) noexcept {
  constexpr std::string_view kPrefix = "application/", kSuffix = "+json";
  if (EqualsIgnoringCase(type, "application/json") || EqualsIgnoringCase(type, "text/json")) return MediaType::kJson;
  if (EqualsIgnoringCase(type, "application/x-www-form-urlencoded")) return MediaType::kForm;
  if (type.size() > kPrefix.size() + kSuffix.size() && EqualsIgnoringCase(type.substr(0, kPrefix.size()), kPrefix) &&
      EqualsIgnoringCase(type.substr(type.size() - kSuffix.size()), kSuffix) && IsToken(type.substr(kPrefix.size())))
    return MediaType::kJson;
  return MediaType::kUnsupported;
}

// Returns the end of the first parameter: the next semicolon outside a quoted string.
std::size_t ParameterEnd(std::string_view parameters) noexcept {
  bool quoted = false;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (quoted && parameters[i] == '\\')
      ++i;
    else if (parameters[i] == '"')
      quoted = !quoted;
    else if (!quoted && parameters[i] == ';')
      return i;
  }
  return parameters.size();
}

bool IsAllowedParameter(std::string_view parameter) noexcept {
  const std::size_t equals = parameter.find('=');
  if (equals == std::string_view::npos || !EqualsIgnoringCase(Trim(parameter.substr(0, equals)), "charset")) return true;
  std::string_view value = Trim(parameter.substr(equals + 1));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  return EqualsIgnoringCase(value, "utf-8") || EqualsIgnoringCase(value, "utf8") || EqualsIgnoringCase(value, "us-ascii");
}

}  // namespace

MediaType ReadContentType(std::string_view header) noexcept {
  header = Trim(header);
  if (header.empty()) return MediaType::kNone;
  std::size_t end = std::min(header.find(';'), header.size());
  const MediaType type = TypeOf(Trim(header.substr(0, end)));
  while (end < header.size()) {
    header.remove_prefix(end + 1);
    end = ParameterEnd(header);
    if (!IsAllowedParameter(header.substr(0, end))) return MediaType::kUnsupported;
  }
  return type;
}

}  // namespace cc
