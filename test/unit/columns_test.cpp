// How the columns of cc_invoice change together: each group is complete, and has nothing else.
#include "core/invoice_columns.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace cc {
namespace {

std::set<std::string> ColumnsOf(ColumnGroup group) {
  std::set<std::string> names;
  for (const InvoiceColumn& column : kInvoiceColumns)
    if (column.group == group) names.emplace(column.name);
  return names;
}

std::set<std::string> ColumnsWhere(auto holds) {
  std::set<std::string> names;
  for (const InvoiceColumn& column : kInvoiceColumns)
    if (holds(column)) names.emplace(column.name);
  return names;
}

using Names = std::set<std::string>;

TEST(Columns, NameTheInvoice) { EXPECT_EQ(ColumnsOf(ColumnGroup::kKey), (Names{"project", "invoice_id"})); }

TEST(Columns, OfTheOrder) { EXPECT_EQ(ColumnsOf(ColumnGroup::kOrder), Names{"order_id"}); }

TEST(Columns, OfTheStatusAreThoseThatRankOfReads) {
  EXPECT_EQ(ColumnsOf(ColumnGroup::kStatus), (Names{"status", "invoice_status", "payment_status"}));
}

TEST(Columns, OfTheMoneyAreCurrencyAndAllNumbersButWhatIsToPay) {
  Names money = ColumnsWhere([](const InvoiceColumn& column) { return column.kind == ColumnKind::kNumber; });
  money.erase("amount_to_pay");
  money.erase("amount_to_pay_usd");
  money.insert("currency");
  EXPECT_EQ(ColumnsOf(ColumnGroup::kMoney), money);
}

TEST(Columns, OfWhatIsToPayInTheCoinAndInUsd) {
  EXPECT_EQ(ColumnsOf(ColumnGroup::kExpected), Names{"amount_to_pay"});
  EXPECT_EQ(ColumnsOf(ColumnGroup::kExpectedUsd), Names{"amount_to_pay_usd"});
}

TEST(Columns, ThatArePersonal) { EXPECT_EQ(ColumnsOf(ColumnGroup::kPersonal), (Names{"address", "tx_list", "info"})); }

TEST(Columns, ThatThePipelineKeepsComeFromNoMember) {
  EXPECT_EQ(ColumnsOf(ColumnGroup::kOwn), (Names{"paid_at", "payment", "token_expires_at", "received_at", "updated_at",
                                                 "amounts_expire_at", "expected_at", "imported_at", "erased_at"}));
  for (const InvoiceColumn& column : kInvoiceColumns)
    EXPECT_TRUE(column.group != ColumnGroup::kOwn || column.member.empty()) << column.name;
}

TEST(Columns, ThatAreKnownOfEachInvoice) {
  EXPECT_EQ(
      ColumnsWhere([](const InvoiceColumn& column) { return column.not_null; }),
      (Names{"project", "invoice_id", "status", "amount_crypto", "currency", "token_expires_at", "received_at", "updated_at"}));
}

}  // namespace
}  // namespace cc
