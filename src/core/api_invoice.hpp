// An invoice as the service's API describes it: the result of create, or an element of the result of info or list.
//
// It has the shape of invoice_info, plus order_id. Fields that decide money and identity are read as strictly as in a postback,
// all others leniently: see invoice_info.hpp. An unreadable answer changes nothing and can be imported again.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/decimal.hpp"
#include "core/document.hpp"

namespace cc {

/// Why an element cannot be read as an invoice, in order of precedence.
enum class ApiFault : std::uint8_t {
  kNone,
  kNoObject,
  kNoUuid,
  kWithdrawal,
  kUnknownStatus,
  kOrderId,
  kCurrency,
  kAmountPaid,
  kCount
};

/// Returns the fault as text; nullptr for kNone.
constexpr const char* FaultMessage(ApiFault fault) noexcept {
  constexpr std::array<const char*, static_cast<std::size_t>(ApiFault::kCount)> kMessages{
      nullptr,
      "the element is not an object of at most 1 MiB and 64 levels",
      "uuid is missing, longer than 255 characters, or has a control character",
      "type is not up: a withdrawal",
      "status is not created, canceled, partial, paid or overpaid",
      "order_id is not a text or an integer of at most 255 characters without control characters",
      "currency is unreadable, or is missing in a paid invoice",
      "amount_paid of a paid invoice is missing or not an amount"};
  return kMessages[static_cast<std::size_t>(fault)];
}

/// The fields that a postback would have: views into the document's text, valid as long as the document is.
struct ApiInvoice {
  ApiFault fault = ApiFault::kNone;
  std::string_view invoice_id;  ///< without INV-; empty if unreadable. The other fields count only without a fault
  std::string_view status;      ///< success, or the API's own word
  std::string_view order_id;    ///< empty: none
  std::string_view currency;    ///< empty: not chosen yet
  Decimal amount_crypto;        ///< amount_paid; while nothing is paid, the amount to pay; 0 if both are unknown
};

/// Reads an element.
ApiInvoice ReadApiInvoice(const Document& document) noexcept;

/// The outcome of an element.
enum class ImportOutcome : std::uint8_t { kCreated, kUpdated, kPaid, kUnchanged, kConflict, kFailed, kInvalid, kCount };

constexpr const char* OutcomeWord(ImportOutcome outcome) noexcept {
  constexpr std::array<const char*, static_cast<std::size_t>(ImportOutcome::kCount)> kWords{
      "created", "updated", "paid", "unchanged", "conflict", "failed", "invalid"};
  return kWords[static_cast<std::size_t>(outcome)];
}

}  // namespace cc
