// When an invoice counts as paid.
#pragma once

#include <string_view>

namespace cc {

/// What sets cc_invoice.paid_at: the field status says success and, where it is known, invoice_info.invoice_status as well; a
/// test payment only counts for a project that accepts those. An empty invoice_status is an unknown one.
constexpr bool IsPaid(std::string_view status, std::string_view invoice_status, bool is_test, bool accept_test_payments) noexcept {
  return status == "success" && (invoice_status.empty() || invoice_status == "success") && (accept_test_payments || !is_test);
}

}  // namespace cc
