// What an earlier delivery means for the one in hand.
#include "core/earlier.hpp"

#include <gtest/gtest.h>

namespace {

using cc::CompareByInvoice;
using cc::CompareByToken;
using cc::Finding;

TEST(Earlier, TheFirstUseOfATokenWins) {
  for (const char* state : {"pending", "applied", "conflict", "failed"}) {
    EXPECT_EQ(CompareByToken({state, true}), Finding::kDuplicate) << state;
    EXPECT_EQ(CompareByToken({state, false}), Finding::kTokenReused) << state;
  }
}

TEST(Earlier, SameContentIsADuplicateUnderAnyToken) {
  for (const char* state : {"pending", "applied", "conflict"}) EXPECT_EQ(CompareByInvoice({state, true}), Finding::kDuplicate) << state;
  EXPECT_EQ(CompareByInvoice({"applied", false}), Finding::kNew);
}

TEST(Earlier, AResendOfOneThatFailedIsAnotherAttempt) { EXPECT_EQ(CompareByInvoice({"failed", true}), Finding::kNew); }

TEST(Earlier, WhatChangedNothingDoesNotCount) {
  for (const char* state : {"rejected", "duplicate"})
    for (const bool same : {true, false}) {
      EXPECT_EQ(CompareByToken({state, same}), Finding::kNew) << state;
      EXPECT_EQ(CompareByInvoice({state, same}), Finding::kNew) << state;
    }
}

}  // namespace
