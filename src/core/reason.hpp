// Why a postback is not verified: the reasons of the public contract, in order of precedence.
#pragma once

#include <cstdint>

namespace cc {

enum class Reason : std::uint8_t {
  kVerified,
  kEmptyBody,
  kBodyTooLarge,
  kUnsupportedContentType,
  kInvalidJson,
  kInvalidForm,
  kDuplicateField,
  kMissingInvoiceId,
  kInvalidField,
  kInvalidAmount,
  kMissingToken,
  kMalformedToken,
  kUnsupportedAlgorithm,
  kBadSignature,
  kInvalidClaims,
  kTokenNotYetValid,
  kTokenExpired,
  kInvoiceMismatch,
};

/// The reason's word in SQL, such as "bad_signature"; nullptr for kVerified.
const char* ReasonName(Reason reason) noexcept;

}  // namespace cc
