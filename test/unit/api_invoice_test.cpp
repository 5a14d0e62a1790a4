#include "core/api_invoice.hpp"

#include <gtest/gtest.h>

#include <string>

#include "core/json.hpp"
#include "support.hpp"

namespace cc::test {
namespace {

// Exact digits, such as "-1234e-2".
std::string Digits(const Decimal& decimal) {
  std::string buffer(decimal.integer_text.size() + decimal.fraction_text.size() + 24, '\0');
  WriteDecimal(decimal, buffer.data());
  return buffer.c_str();
}

// "id status order currency amount", or the fault. An absent text is -.
std::string Read(std::string_view json) {
  const ExactWorkspace workspace = ExactWorkspace::ForJson(json.size());
  Document document;
  if (!ParseJson(json, workspace.get(), document)) document = {};
  const ApiInvoice invoice = ReadApiInvoice(document);
  if (invoice.fault != ApiFault::kNone) return FaultMessage(invoice.fault);
  const auto text = [](std::string_view view) { return view.empty() ? std::string("-") : std::string(view); };
  return text(invoice.invoice_id) + ' ' + text(invoice.status) + ' ' + text(invoice.order_id) + ' ' + text(invoice.currency) +
         ' ' + Digits(invoice.amount_crypto);
}

// A paid invoice with these members changed. If a member comes twice, the last one counts.
std::string ReadWith(std::string_view members) {
  return Read(R"({"uuid":"INV-A1","status":"paid","invoice_status":"success","order_id":"O1",)"
              R"("currency":{"code":"USDT","fullcode":"USDT_TRC20"},)"
              R"("amount":7,"amount_to_pay":8,"amount_paid":8.50,"type":"up",)" +
              std::string(members) + R"("unknown":{"a":[1]}})");
}

TEST(ApiInvoice, IsReadAsAPostbackWouldSayIt) { EXPECT_EQ(ReadWith(""), "A1 success O1 USDT_TRC20 850e-2"); }

TEST(ApiInvoice, IsAnObject) {
  for (const char* const json : {"", "{", R"({"uuid":"A","status":"created"}x)"})
    EXPECT_EQ(Read(json), FaultMessage(ApiFault::kNoObject)) << json;
}

TEST(ApiInvoice, HasAnIdWithOrWithoutPrefix) {
  EXPECT_EQ(ReadWith(R"("uuid":"A1",)").substr(0, 3), "A1 ");
  EXPECT_EQ(ReadWith(R"("uuid":"inv-A1",)").substr(0, 7), "inv-A1 ");
  EXPECT_EQ(ReadWith(R"("uuid":null,"invoice_id":"B2",)").substr(0, 3), "B2 ");
  EXPECT_EQ(ReadWith(R"("uuid":null,"invoice_id":13,)").substr(0, 3), "13 ");
  EXPECT_EQ(ReadWith(R"("invoice_id":"B2",)").substr(0, 3), "A1 ") << "uuid is the one";
}

TEST(ApiInvoice, WithoutAReadableIdIsNone) {
  const std::string long_id = "\"uuid\":\"" + std::string(256, 'A') + "\",";
  for (const std::string& members :
       {std::string(R"("uuid":null,)"), std::string(R"("uuid":"",)"), std::string(R"("uuid":"INV- ",)"),
        std::string(R"("uuid":["A1"],)"), std::string(R"("uuid":1.5,)"), std::string(R"("uuid":"A\u0007",)"), long_id})
    EXPECT_EQ(ReadWith(members), FaultMessage(ApiFault::kNoUuid)) << members;
}

TEST(ApiInvoice, IsNoWithdrawal) {
  for (const char* const type : {R"("down")", R"("withdrawal")", R"("UP")", R"("")", "1", "{}"})
    EXPECT_EQ(ReadWith("\"type\":" + std::string(type) + ","), FaultMessage(ApiFault::kWithdrawal)) << type;
  EXPECT_EQ(ReadWith(R"("type":null,)").substr(0, 3), "A1 ");
}

TEST(ApiInvoice, HasAStatusThatIsKnown) {
  for (const char* const status : {R"("success")", R"("Paid")", R"("")", "null", "1", "[]"})
    EXPECT_EQ(ReadWith("\"status\":" + std::string(status) + ","), FaultMessage(ApiFault::kUnknownStatus)) << status;
  EXPECT_EQ(Read(R"({"uuid":"A1"})"), FaultMessage(ApiFault::kUnknownStatus));
  EXPECT_EQ(ReadWith(R"("status":"canceled","invoice_status":"canceled",)"), "A1 canceled O1 USDT_TRC20 850e-2");
}

TEST(ApiInvoice, MayHaveNoOrder) {
  EXPECT_EQ(ReadWith(R"("order_id":null,)"), "A1 success - USDT_TRC20 850e-2");
  EXPECT_EQ(ReadWith(R"("order_id":"",)"), "A1 success - USDT_TRC20 850e-2");
  EXPECT_EQ(ReadWith(R"("order_id":77,)"), "A1 success 77 USDT_TRC20 850e-2");
  for (const char* const order : {R"({"id":1})", "1.0", "true", R"("a\nb")"})
    EXPECT_EQ(ReadWith("\"order_id\":" + std::string(order) + ","), FaultMessage(ApiFault::kOrderId)) << order;
}

TEST(ApiInvoice, HasACurrencyOncePaid) {
  EXPECT_EQ(ReadWith(R"("currency":{"code":"BNB"},)"), "A1 success O1 BNB 850e-2");
  EXPECT_EQ(ReadWith(R"("currency":"BNB",)"), "A1 success O1 BNB 850e-2");
  for (const char* const currency : {"null", "{}", R"({"fullcode":""})", R"({"fullcode":5})", R"("")", "5", R"(["BNB"])"})
    EXPECT_EQ(ReadWith("\"currency\":" + std::string(currency) + ","), FaultMessage(ApiFault::kCurrency)) << currency;
  EXPECT_EQ(ReadWith(R"("status":"created","amount_paid":0,"currency":null,)"), "A1 created O1 - 8e0") << "not chosen yet";
}

TEST(ApiInvoice, HasAnAmountPaidOncePaid) {
  for (const char* const amount : {"null", R"("")", R"("much")", "-1", "1e39", "1e-37", "[8]", "true"})
    EXPECT_EQ(ReadWith("\"amount_paid\":" + std::string(amount) + ","), FaultMessage(ApiFault::kAmountPaid)) << amount;
  EXPECT_EQ(ReadWith(R"("amount_paid":" 1e-06 ",)"), "A1 success O1 USDT_TRC20 1e-6");
  EXPECT_EQ(ReadWith(R"("invoice_status":"created","amount_paid":null,)"), FaultMessage(ApiFault::kAmountPaid))
      << "paid, not confirmed";
}

TEST(ApiInvoice, ThatIsOpenHasTheAmountToPay) {
  EXPECT_EQ(ReadWith(R"("status":"created","amount_paid":0,)"), "A1 created O1 USDT_TRC20 8e0");
  EXPECT_EQ(ReadWith(R"("status":"created","amount_paid":null,"amount_to_pay":null,)"), "A1 created O1 USDT_TRC20 7e0");
  EXPECT_EQ(ReadWith(R"("status":"created","amount_paid":{},"amount_to_pay":0,"amount":"x",)"), "A1 created O1 USDT_TRC20 0e0");
  EXPECT_EQ(ReadWith(R"("status":"partial","invoice_status":"created","amount_paid":2,)"), "A1 partial O1 USDT_TRC20 2e0");
}

TEST(Outcome, HasAWord) {
  EXPECT_STREQ(OutcomeWord(ImportOutcome::kCreated), "created");
  EXPECT_STREQ(OutcomeWord(ImportOutcome::kInvalid), "invalid");
}

}  // namespace
}  // namespace cc::test
