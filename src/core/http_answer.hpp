// What a proxy sends back to the service.
#pragma once

#include <string_view>

namespace cc {

struct HttpAnswer {
  int status;
  std::string_view words;  ///< for outsiders: short, ASCII, without anything to escape
};

/// The answer for a row of cc_inbox with this state and reason. Whatever is not rejected is safe and ours to deal with: 200. Of a
/// rejected one, every reason that is not listed is the token's: 401, and no word on what is wrong with it.
HttpAnswer HttpAnswerFor(std::string_view state, std::string_view reason) noexcept;

}  // namespace cc
