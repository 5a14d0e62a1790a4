#include "core/reason.hpp"

#include "core/no_postgres.hpp"

namespace cc {

const char* ReasonName(Reason reason) noexcept {
  switch (reason) {  // no default: the compiler names a reason that is forgotten here
    case Reason::kVerified: return nullptr;
    case Reason::kEmptyBody: return "empty_body";
    case Reason::kBodyTooLarge: return "body_too_large";
    case Reason::kUnsupportedContentType: return "unsupported_content_type";
    case Reason::kInvalidJson: return "invalid_json";
    case Reason::kInvalidForm: return "invalid_form";
    case Reason::kDuplicateField: return "duplicate_field";
    case Reason::kMissingInvoiceId: return "missing_invoice_id";
    case Reason::kInvalidField: return "invalid_field";
    case Reason::kInvalidAmount: return "invalid_amount";
    case Reason::kMissingToken: return "missing_token";
    case Reason::kMalformedToken: return "malformed_token";
    case Reason::kUnsupportedAlgorithm: return "unsupported_algorithm";
    case Reason::kBadSignature: return "bad_signature";
    case Reason::kInvalidClaims: return "invalid_claims";
    case Reason::kTokenNotYetValid: return "token_not_yet_valid";
    case Reason::kTokenExpired: return "token_expired";
    case Reason::kInvoiceMismatch: return "invoice_mismatch";
  }
  return "invalid_body";  // not reachable: every enumerator is above
}

}  // namespace cc
