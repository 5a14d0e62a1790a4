// White space as the contract defines it.
#pragma once

#include <string_view>

namespace cc {

/// Removes space, tab, CR and LF from both ends.
constexpr std::string_view Trim(std::string_view text) noexcept {
  constexpr std::string_view kWhiteSpace = " \t\r\n";
  const auto begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

}  // namespace cc
