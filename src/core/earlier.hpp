// What an earlier delivery means for the one in hand: the rules that make a postback count once.
#pragma once

#include <cstdint>
#include <string_view>

namespace cc {

/// A row of cc_inbox, compared with the delivery in hand.
struct Earlier {
  std::string_view state;
  bool same_content;  ///< but for the token

  /// The others changed nothing, and their token is still good.
  constexpr bool Counts() const noexcept { return state != "rejected" && state != "duplicate"; }
};

enum class Finding : std::uint8_t { kNew, kDuplicate, kTokenReused };

/// By a row with the same token. The first use of a token wins: with other content it is refused, and the very same message
/// again is a duplicate, also of one that failed.
constexpr Finding CompareByToken(const Earlier& earlier) noexcept {
  if (!earlier.Counts()) return Finding::kNew;
  return earlier.same_content ? Finding::kDuplicate : Finding::kTokenReused;
}

/// By a row of the same invoice. The same content is a duplicate under any token, but for one that failed: then this is another
/// attempt.
constexpr Finding CompareByInvoice(const Earlier& earlier) noexcept {
  return earlier.Counts() && earlier.same_content && earlier.state != "failed" ? Finding::kDuplicate : Finding::kNew;
}

}  // namespace cc
