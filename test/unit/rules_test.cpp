// The rules of the contract, in its order.
#include "core/rules.hpp"

#include <gtest/gtest.h>

namespace cc {
namespace {

constexpr State kAllStates[] = {State::kRejected,  State::kPending,  State::kApplied,
                                State::kDuplicate, State::kConflict, State::kFailed};

// --- What counts once ---

TEST(Token, OtherContentUnderASpentTokenIsTokenReused) {
  for (const State state : kAllStates)
    EXPECT_EQ(DecideByToken({state, Reason::kVerified, false}), (Decision{State::kRejected, Reason::kTokenReused}))
        << StateWord(state);
}

TEST(Token, TheSameMessageAgainIsADuplicateWhateverBecameOfTheFirst) {
  for (const State state : {State::kPending, State::kApplied, State::kDuplicate, State::kConflict, State::kFailed})
    EXPECT_EQ(DecideByToken({state, Reason::kVerified, true}), (Decision{State::kDuplicate})) << StateWord(state);
}

TEST(Token, TheSameMessageIsRejectedAgainForTheSameReason) {
  EXPECT_EQ(DecideByToken({State::kRejected, Reason::kMissingOrderId, true}),
            (Decision{State::kRejected, Reason::kMissingOrderId}));
}

TEST(Token, AFailedRowIsForAPersonIfAnotherSpentItsToken) {
  EXPECT_EQ(AfterFailure({State::kRejected, Reason::kTokenReused}), (Decision{State::kConflict}));
  for (const Decision decision : {kNewContent, Decision{State::kDuplicate}, Decision{State::kRejected, Reason::kMissingOrderId}})
    EXPECT_EQ(AfterFailure(decision), decision);
}

TEST(Content, MakesADuplicateUnlessItFailedOrChangedNothing) {
  for (const State state : {State::kApplied, State::kPending, State::kConflict})
    EXPECT_TRUE(MakesDuplicates(state)) << StateWord(state);
  for (const State state : {State::kFailed, State::kRejected, State::kDuplicate})
    EXPECT_FALSE(MakesDuplicates(state)) << StateWord(state);
}

TEST(OrderId, IsMissingOnlyWhereTheProjectRequiresOne) {
  EXPECT_TRUE(IsOrderIdMissing(true, false, false));
  EXPECT_FALSE(IsOrderIdMissing(true, true, false));
  EXPECT_FALSE(IsOrderIdMissing(false, false, false));
}

TEST(OrderId, OfATestPaymentMayBeMissing) { EXPECT_FALSE(IsOrderIdMissing(true, false, true)); }

TEST(Error, ThatPassesByItselfLeavesTheRowWaiting) {
  for (const char* const sqlstate : {"57014", "55P03", "40P01"})
    EXPECT_EQ(StateAfterError(sqlstate), State::kPending) << sqlstate;
}

TEST(Error, OfTheMerchantsCodeLeavesTheRowFailed) {
  for (const char* const sqlstate : {"P0001", "23505", "40001", "53100", "XX000", ""})
    EXPECT_EQ(StateAfterError(sqlstate), State::kFailed) << sqlstate;
}

// --- When an invoice is paid ---

TEST(Paid, NeedsTheWordSuccess) {
  EXPECT_TRUE(IsPaid("success", true, false, false));
  for (const char* const status : {"fail", "Success", "success ", ""}) EXPECT_FALSE(IsPaid(status, true, false, false)) << status;
}

TEST(Paid, IsNotWhatInvoiceStatusDoesNotConfirm) { EXPECT_FALSE(IsPaid("success", false, false, true)); }

TEST(Paid, CountsATestPaymentOnlyWhereTheProjectAcceptsIt) {
  EXPECT_FALSE(IsPaid("success", true, true, false));
  EXPECT_TRUE(IsPaid("success", true, true, true));
  EXPECT_FALSE(IsPaid("fail", true, true, true));
}

TEST(Newer, IsTheLaterEndOfTheToken) {
  EXPECT_TRUE(IsNewer(2, 0, 1, 4));
  EXPECT_FALSE(IsNewer(1, 4, 2, 0));
}

TEST(Newer, IsTheFurtherStateWhereTheEndsAreEqual) {
  EXPECT_TRUE(IsNewer(1, 4, 1, 3));
  EXPECT_TRUE(IsNewer(1, 4, 1, 4));
  EXPECT_FALSE(IsNewer(1, 3, 1, 4));
}

TEST(Rank, GoesFromUnknownToSuccess) {
  const PaymentStatus statuses[] = {{"pending", "created", "created"},
                                    {"pending", "created", "partial"},
                                    {"fail", "", "canceled"},
                                    {"pending", "created", "paid"},
                                    {"success", "success", "paid"}};
  for (int rank = 0; rank < 5; ++rank) EXPECT_EQ(RankOf(statuses[rank]), rank);
  EXPECT_EQ(RankOf({"fail", "canceled", ""}), 2);
  EXPECT_EQ(RankOf({"success", "", ""}), 4) << "a form does not have the other two";
  EXPECT_EQ(RankOf({"success", "created", "overpaid"}), 3);
}

TEST(Answer, HasTheWordOfAPostback) {
  for (const char* const status : {"paid", "overpaid"}) {
    EXPECT_EQ(StatusOfAnswer(status, true, true), "success");
    EXPECT_EQ(StatusOfAnswer(status, true, false), "success") << "invoice_status may be absent, as in a postback";
    EXPECT_EQ(StatusOfAnswer(status, false, true), status) << "not confirmed";
  }
  for (const char* const status : {"created", "canceled"}) EXPECT_EQ(StatusOfAnswer(status, true, true), status);
}

TEST(Answer, OfAPartialPaymentCountsOnlyWhereItIsConfirmed) {
  EXPECT_EQ(StatusOfAnswer("partial", true, true), "success");
  EXPECT_EQ(StatusOfAnswer("partial", true, false), "partial");
  EXPECT_EQ(StatusOfAnswer("partial", false, true), "partial");
}

TEST(Answer, IsNewerThanAllBeforeUnlessItSaysCreated) {
  for (int known_rank = 0; known_rank < 5; ++known_rank)
    for (int rank = 1; rank < 5; ++rank) EXPECT_TRUE(IsAnswerNewer(rank, known_rank));
  EXPECT_TRUE(IsAnswerNewer(0, 0));
  for (int known_rank = 1; known_rank < 5; ++known_rank) EXPECT_FALSE(IsAnswerNewer(0, known_rank)) << "created undoes nothing";
}

TEST(Answer, IsOlderThanWhatIsReceivedLater) {
  EXPECT_TRUE(IsNewerThanAnswer(2, 1));
  EXPECT_TRUE(IsNewerThanAnswer(1, 1));
  EXPECT_FALSE(IsNewerThanAnswer(1, 2));
}

TEST(Payment, ComparesWhatIsPaidWithWhatIsToPay) {
  EXPECT_STREQ(PaymentWord(-1), "under");
  EXPECT_STREQ(PaymentWord(0), "exact");
  EXPECT_STREQ(PaymentWord(1), "over");
}

// --- What contradicts the invoice ---

TEST(Contradiction, IsAnotherOrderAtAnyTime) {
  EXPECT_EQ(FindContradiction(false, true, false, false), Contradiction::kOrderId);
  EXPECT_EQ(FindContradiction(true, true, true, true), Contradiction::kOrderId);
}

TEST(Contradiction, IsAnotherCurrencyOrLessMoneyOncePaid) {
  EXPECT_EQ(FindContradiction(true, false, true, false), Contradiction::kCurrency);
  EXPECT_EQ(FindContradiction(true, false, false, true), Contradiction::kAmount);
  EXPECT_EQ(FindContradiction(false, false, true, true), Contradiction::kNone);
}

TEST(Contradiction, IsAnotherPrice) {
  using enum Agreement;
  EXPECT_EQ(FindOtherPrice(false, kOther, kSame), Contradiction::kAmountToPay);
  EXPECT_EQ(FindOtherPrice(false, kOther, kOther), Contradiction::kAmountToPay);
  EXPECT_EQ(FindOtherPrice(false, kSame, kOther), Contradiction::kAmountToPayUsd);
  EXPECT_EQ(FindOtherPrice(false, kUnknown, kOther), Contradiction::kAmountToPayUsd);
  for (const Agreement to_pay : {kUnknown, kSame})
    for (const Agreement usd : {kUnknown, kSame}) EXPECT_EQ(FindOtherPrice(false, to_pay, usd), Contradiction::kNone);
}

TEST(Contradiction, IsNoOtherCoinOfTheSameWorth) {
  using enum Agreement;
  EXPECT_EQ(FindOtherPrice(true, kOther, kSame), Contradiction::kNone);
  EXPECT_EQ(FindOtherPrice(true, kOther, kUnknown), Contradiction::kAmountToPay);
  EXPECT_EQ(FindOtherPrice(true, kOther, kOther), Contradiction::kAmountToPay);
  EXPECT_EQ(FindOtherPrice(true, kUnknown, kOther), Contradiction::kAmountToPayUsd);
}

// --- What is erased ---

TEST(Erased, ABodyIsKeptUntilItIsSettled) {
  for (std::size_t i = 0; i < kStateWords.size(); ++i) {
    const auto state = static_cast<State>(i);
    EXPECT_TRUE(KeepsBody(state, false));
    EXPECT_EQ(KeepsBody(state, true), state != State::kApplied && state != State::kDuplicate) << kStateWords[i];
  }
}

// --- How a postback changes a known invoice ---

constexpr Update kNewer{
    .is_newer = true, .is_newer_amount = true, .is_paid = false, .says_paid = false, .same_amount = false, .is_accepted = false};
constexpr Update kOlder{.is_newer = false,
                        .is_newer_amount = false,
                        .is_paid = false,
                        .says_paid = false,
                        .same_amount = false,
                        .is_accepted = false};

constexpr Update Paid(Update update) {
  update.is_paid = true;
  return update;
}
constexpr Update SaysPaid(Update update) {
  update.says_paid = true;
  return update;
}
constexpr Update SameAmount(Update update) {
  update.same_amount = true;
  return update;
}

TEST(Merge, KeysAndWhatThePipelineKeepsAreNeverMerged) {
  for (const ColumnGroup group : {ColumnGroup::kKey, ColumnGroup::kOwn})
    for (const Update& update : {kNewer, kOlder, SaysPaid(kNewer), Paid(kOlder)}) EXPECT_EQ(MergeOf(group, update), Merge::kKeep);
}

TEST(Merge, AnOrderIsTakenOnce) { EXPECT_EQ(MergeOf(ColumnGroup::kOrder, kNewer), Merge::kFill); }

TEST(Merge, ANewerOneReplacesAndAnOlderOneFills) {
  for (const ColumnGroup group : {ColumnGroup::kStatus, ColumnGroup::kMoney, ColumnGroup::kDetail}) {
    EXPECT_EQ(MergeOf(group, kNewer), Merge::kReplace);
    EXPECT_EQ(MergeOf(group, kOlder), Merge::kFill);
  }
}

TEST(Merge, WhatSetsPaidAtSaysEveryAmount) {
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, SaysPaid(kNewer)), Merge::kTake);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, SaysPaid(kOlder)), Merge::kTake) << "also an older one, behind a canceled one";
}

TEST(Merge, ANewerCanceledChangesTheStatusAlone) {
  EXPECT_EQ(MergeOf(ColumnGroup::kStatus, Paid(kNewer)), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, Paid(kNewer)), Merge::kKeep);
  EXPECT_EQ(MergeOf(ColumnGroup::kDetail, Paid(kNewer)), Merge::kKeep);
}

TEST(Merge, ATopUpReplacesTheAmounts) {
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, Paid(SaysPaid(kNewer))), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kDetail, Paid(SaysPaid(kNewer))), Merge::kReplace);
}

TEST(Merge, ATopUpBehindANewerCanceledReplacesTheAmountsAlone) {
  Update update = Paid(SaysPaid(kOlder));
  update.is_newer_amount = true;
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, update), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kStatus, update), Merge::kFill);
}

constexpr Update Accepted(Update update) {
  update.is_accepted = true;
  return update;
}

TEST(Merge, AnAcceptedOneIsFollowedWhateverItContradicts) {
  const Update update = Accepted(Paid(SaysPaid(kOlder)));
  EXPECT_EQ(MergeOf(ColumnGroup::kOrder, update), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kStatus, update), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, update), Merge::kTake);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, SameAmount(update)), Merge::kReplace);
  for (const ColumnGroup group : {ColumnGroup::kDetail, ColumnGroup::kPersonal})
    EXPECT_EQ(MergeOf(group, update), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, Accepted(kOlder)), Merge::kTake) << "while nothing is paid";
}

TEST(Merge, AnAcceptedOneThatDoesNotSayPaidChangesNoAmountOfAPaidInvoice) {
  const Update update = Accepted(Paid(kNewer));
  EXPECT_EQ(MergeOf(ColumnGroup::kOrder, update), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kStatus, update), Merge::kReplace);
  for (const ColumnGroup group : {ColumnGroup::kMoney, ColumnGroup::kDetail, ColumnGroup::kExpected, ColumnGroup::kExpectedUsd})
    EXPECT_EQ(MergeOf(group, update), Merge::kKeep);
}

TEST(Acceptable, IsAConflictOrATokenThatAnotherOneSpent) {
  EXPECT_TRUE(IsAcceptable(State::kConflict, Reason::kVerified));
  EXPECT_TRUE(IsAcceptable(State::kRejected, Reason::kTokenReused));
  EXPECT_FALSE(IsAcceptable(State::kRejected, Reason::kBadSignature));
  EXPECT_FALSE(IsAcceptable(State::kFailed, Reason::kVerified));
}

TEST(JudgedAgain, IsWhatSecretsSettingsAndClocksCanOvercome) {
  for (const Reason reason : {Reason::kBadSignature, Reason::kTokenExpired, Reason::kTokenNotYetValid, Reason::kUnknownProject,
                              Reason::kMissingOrderId})
    EXPECT_TRUE(IsJudgedAgain(reason)) << ReasonWord(reason);
  for (const Reason reason : {Reason::kInvalidJson, Reason::kTokenReused, Reason::kInvoiceMismatch, Reason::kMalformedToken})
    EXPECT_FALSE(IsJudgedAgain(reason)) << ReasonWord(reason);
}

constexpr Update Expected(Update update) {
  update.is_expected = true;
  return update;
}
constexpr Update FromApi(Update update) {
  update.from_api = true;
  return update;
}
constexpr Update InAnotherCoin(Update update) {
  update.same_currency = false;
  return update;
}

TEST(Merge, WithoutAnAnswerOfTheApiWhatIsToPayGoesWithTheMoney) {
  for (const ColumnGroup group : {ColumnGroup::kExpected, ColumnGroup::kExpectedUsd})
    for (const Update& update :
         {kNewer, kOlder, SaysPaid(kNewer), Paid(kOlder), Paid(SaysPaid(kNewer)), InAnotherCoin(SaysPaid(kNewer))})
      EXPECT_EQ(MergeOf(group, update), MergeOf(ColumnGroup::kMoney, update));
}

TEST(Merge, APostbackChangesNoAmountToPayOfTheApi) {
  for (const ColumnGroup group : {ColumnGroup::kExpected, ColumnGroup::kExpectedUsd})
    for (const Update& update : {kNewer, kOlder, SaysPaid(kNewer), Paid(kOlder), Paid(SaysPaid(kNewer))})
      EXPECT_EQ(MergeOf(group, Expected(update)), Merge::kFill);
}

TEST(Merge, AnAnswerOfTheApiChangesWhatIsToPayAtAnyTime) {
  for (const ColumnGroup group : {ColumnGroup::kExpected, ColumnGroup::kExpectedUsd})
    for (const Update& update : {kNewer, kOlder, SaysPaid(kNewer), Paid(kOlder), Expected(Paid(kOlder))})
      EXPECT_EQ(MergeOf(group, FromApi(update)), Merge::kReplace);
}

TEST(Merge, WhatIsToPayFollowsAnAcceptedPostbackButIsNeverBlanked) {
  const Update accepted = Accepted(Expected(Paid(SaysPaid(kOlder))));
  for (const ColumnGroup group : {ColumnGroup::kExpected, ColumnGroup::kExpectedUsd})
    EXPECT_EQ(MergeOf(group, accepted), Merge::kReplace);
  EXPECT_EQ(MergeOf(ColumnGroup::kExpected, InAnotherCoin(accepted)), Merge::kTake);
}

TEST(Merge, AnAmountToPayGoesWithItsCoin) {
  EXPECT_EQ(MergeOf(ColumnGroup::kExpected, InAnotherCoin(Expected(SaysPaid(kNewer)))), Merge::kTake);
  EXPECT_EQ(MergeOf(ColumnGroup::kExpectedUsd, InAnotherCoin(Expected(SaysPaid(kNewer)))), Merge::kFill);
  EXPECT_EQ(MergeOf(ColumnGroup::kExpected, InAnotherCoin(FromApi(Paid(kOlder)))), Merge::kKeep) << "created, imported late";
}

TEST(Merge, WhatIsPersonalIsADetailUntilItIsErased) {
  for (Update update : {kNewer, kOlder, Paid(kNewer), Paid(SaysPaid(kNewer)), SaysPaid(kNewer), SaysPaid(kOlder)}) {
    EXPECT_EQ(MergeOf(ColumnGroup::kPersonal, update), MergeOf(ColumnGroup::kDetail, update));
    const Merge money = MergeOf(ColumnGroup::kMoney, update);
    update.is_erased = true;
    EXPECT_EQ(MergeOf(ColumnGroup::kPersonal, update), Merge::kKeep);
    EXPECT_EQ(MergeOf(ColumnGroup::kMoney, update), money) << "amounts go on as before";
  }
}

TEST(Merge, AnOlderOneFillsAmountsOnlyWhereItSaysTheSamePayment) {
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, Paid(SaysPaid(SameAmount(kOlder)))), Merge::kFill);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, Paid(SaysPaid(kOlder))), Merge::kKeep);
  EXPECT_EQ(MergeOf(ColumnGroup::kMoney, Paid(kOlder)), Merge::kKeep);
  EXPECT_EQ(MergeOf(ColumnGroup::kDetail, Paid(kOlder)), Merge::kFill);
}

}  // namespace
}  // namespace cc
