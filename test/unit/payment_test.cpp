// When an invoice counts as paid.
#include "core/payment.hpp"

#include <gtest/gtest.h>

namespace {

using cc::IsPaid;

TEST(IsPaid, NeedsSuccessInBothFieldsThatSayIt) {
  EXPECT_TRUE(IsPaid("success", "success", false, false));
  EXPECT_FALSE(IsPaid("fail", "success", false, false));
  EXPECT_FALSE(IsPaid("success", "created", false, false));
  EXPECT_FALSE(IsPaid("Success", "success", false, false)) << "words are taken to the letter";
}

TEST(IsPaid, TakesAnUnknownInvoiceStatusForNoObjection) { EXPECT_TRUE(IsPaid("success", "", false, false)); }

TEST(IsPaid, CountsATestPaymentOnlyWhereTheProjectAcceptsIt) {
  EXPECT_FALSE(IsPaid("success", "success", true, false));
  EXPECT_TRUE(IsPaid("success", "success", true, true));
  EXPECT_FALSE(IsPaid("fail", "success", true, true));
}

}  // namespace
