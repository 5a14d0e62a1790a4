// An invoice as the service's API tells of it: the result of create, an element of the result of info and list.
//
// It has the shape of invoice_info, plus order_id. What decides money and identity is read as strictly as in a postback, the rest
// as leniently: see invoice_info.hpp. An answer that is not read completes nothing, and can be imported again.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/decimal.hpp"
#include "core/document.hpp"

namespace cc {

/// What keeps an element from being read as an invoice, in the order of precedence.
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

/// What is wrong with the element, in words.
constexpr const char* FaultMessage(ApiFault fault) noexcept {
  constexpr std::array<const char*, static_cast<std::size_t>(ApiFault::kCount)> kMessages{
      nullptr,
      "the element is no object of at most 1 MiB and 64 levels",
      "uuid is missing, longer than 255 characters, or has a control character",
      "type is another one than up: a withdrawal",
      "status is none of created, canceled, partial, paid, overpaid",
      "order_id is no text or integer of at most 255 characters without control characters",
      "currency is unreadable, or is missing in a paid invoice",
      "amount_paid of a paid invoice is missing or no amount"};
  return kMessages[static_cast<std::size_t>(fault)];
}

/// The fields that a postback would have. Views into the document's text, valid as long as that is.
struct ApiInvoice {
  ApiFault fault = ApiFault::kNone;
  std::string_view invoice_id;  ///< without INV-; empty if it could not be read. The others count only without a fault
  std::string_view status;      ///< success, or the API's own word
  std::string_view order_id;    ///< empty: none
  std::string_view currency;    ///< empty: not chosen yet
  Decimal amount_crypto;        ///< amount_paid, or, while nothing is paid, what is to be paid; 0 where even that is unknown
};

/// Reads an element.
ApiInvoice ReadApiInvoice(const Document& document) noexcept;

/// What became of an element.
enum class ImportOutcome : std::uint8_t { kCreated, kUpdated, kPaid, kUnchanged, kConflict, kFailed, kInvalid, kCount };

constexpr const char* OutcomeWord(ImportOutcome outcome) noexcept {
  constexpr std::array<const char*, static_cast<std::size_t>(ImportOutcome::kCount)> kWords{
      "created", "updated", "paid", "unchanged", "conflict", "failed", "invalid"};
  return kWords[static_cast<std::size_t>(outcome)];
}

}  // namespace cc
