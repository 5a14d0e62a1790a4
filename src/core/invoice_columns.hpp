// The columns of cc_invoice. Everything else is made from this list: the table, its comments and its migration (sql/setup.sql),
// the reading of invoice_info, and INSERT, merge and UPDATE (src/pg/invoice.cpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/rules.hpp"

namespace cc {

/// How a member of invoice_info is read, and the SQL type of the column. An unreadable member gives NULL: see invoice_info.hpp.
enum class ColumnKind : std::uint8_t { kText, kNumber, kTime, kTestMode, kTextList, kJson };

struct InvoiceColumn {
  std::string_view name;
  ColumnKind kind;
  ColumnGroup group;
  bool not_null;
  std::string_view member;  ///< of invoice_info, such as "currency.network.code"; empty: not from invoice_info
  std::string_view comment;
};

/// In the order of the table. A later release adds columns at the end.
inline constexpr auto kInvoiceColumns = std::to_array<InvoiceColumn>({
    {"project", ColumnKind::kText, ColumnGroup::kKey, true, "", "the name of a cc_project"},
    {"invoice_id", ColumnKind::kText, ColumnGroup::kKey, true, "", "without INV-; unique in its project"},
    {"order_id", ColumnKind::kText, ColumnGroup::kOrder, false, "", "the merchant's own number; several invoices may share one"},
    {"status", ColumnKind::kText, ColumnGroup::kStatus, true, "", "the field status"},
    {"amount_crypto", ColumnKind::kNumber, ColumnGroup::kMoney, true, "",
     "paid amount in the cryptocurrency, the field amount_crypto; in an unpaid answer the amount to pay"},
    {"currency", ColumnKind::kText, ColumnGroup::kMoney, true, "", "the field currency, such as USDT_TRC20"},
    {"paid_at", ColumnKind::kTime, ColumnGroup::kOwn, false, "",
     "time of receipt of the first postback or answer that says paid; set once"},
    {"is_test", ColumnKind::kTestMode, ColumnGroup::kDetail, false, "test_mode",
     "invoice_info.test_mode: no money moved; NULL where unknown, as in a form"},
    {"payment", ColumnKind::kText, ColumnGroup::kOwn, false, "",
     "amount_paid compared with amount_to_pay: exact, under or over; NULL where unknown"},
    {"invoice_status", ColumnKind::kText, ColumnGroup::kStatus, false, "invoice_status",
     "invoice_info.invoice_status: success once confirmed"},
    {"payment_status", ColumnKind::kText, ColumnGroup::kStatus, false, "status",
     "invoice_info.status: created, paid, partial, overpaid or canceled"},
    {"network", ColumnKind::kText, ColumnGroup::kDetail, false, "currency.network.code", "invoice_info.currency.network.code"},
    {"address", ColumnKind::kText, ColumnGroup::kPersonal, false, "address", "invoice_info.address"},
    {"tx_list", ColumnKind::kTextList, ColumnGroup::kPersonal, false, "tx_list", "invoice_info.tx_list: the transactions"},
    {"amount", ColumnKind::kNumber, ColumnGroup::kMoney, false, "amount", "invoice_info.amount"},
    {"amount_in_crypto", ColumnKind::kNumber, ColumnGroup::kMoney, false, "amount_in_crypto", "invoice_info.amount_in_crypto"},
    {"amount_in_fiat", ColumnKind::kNumber, ColumnGroup::kMoney, false, "amount_in_fiat", "invoice_info.amount_in_fiat"},
    {"amount_usd", ColumnKind::kNumber, ColumnGroup::kMoney, false, "amount_usd", "invoice_info.amount_usd"},
    {"amount_to_pay", ColumnKind::kNumber, ColumnGroup::kExpected, false, "amount_to_pay",
     "invoice_info.amount_to_pay, in the cryptocurrency"},
    {"amount_to_pay_usd", ColumnKind::kNumber, ColumnGroup::kExpectedUsd, false, "amount_to_pay_usd",
     "invoice_info.amount_to_pay_usd"},
    {"amount_paid", ColumnKind::kNumber, ColumnGroup::kMoney, false, "amount_paid",
     "invoice_info.amount_paid, in the cryptocurrency"},
    {"amount_paid_usd", ColumnKind::kNumber, ColumnGroup::kMoney, false, "amount_paid_usd", "invoice_info.amount_paid_usd"},
    {"fee", ColumnKind::kNumber, ColumnGroup::kMoney, false, "fee", "invoice_info.fee"},
    {"fee_usd", ColumnKind::kNumber, ColumnGroup::kMoney, false, "fee_usd", "invoice_info.fee_usd"},
    {"service_fee", ColumnKind::kNumber, ColumnGroup::kMoney, false, "service_fee", "invoice_info.service_fee"},
    {"service_fee_usd", ColumnKind::kNumber, ColumnGroup::kMoney, false, "service_fee_usd", "invoice_info.service_fee_usd"},
    {"received", ColumnKind::kNumber, ColumnGroup::kMoney, false, "received", "invoice_info.received, what reaches the merchant"},
    {"received_usd", ColumnKind::kNumber, ColumnGroup::kMoney, false, "received_usd", "invoice_info.received_usd"},
    {"to_surcharge", ColumnKind::kNumber, ColumnGroup::kMoney, false, "to_surcharge", "invoice_info.to_surcharge"},
    {"to_surcharge_usd", ColumnKind::kNumber, ColumnGroup::kMoney, false, "to_surcharge_usd", "invoice_info.to_surcharge_usd"},
    {"side_commission", ColumnKind::kText, ColumnGroup::kDetail, false, "side_commission",
     "invoice_info.side_commission: who pays the fee"},
    {"type_payments", ColumnKind::kText, ColumnGroup::kDetail, false, "type_payments", "invoice_info.type_payments"},
    {"created_at", ColumnKind::kTime, ColumnGroup::kDetail, false, "created", "invoice_info.created"},
    {"expires_at", ColumnKind::kTime, ColumnGroup::kDetail, false, "expiry_date", "invoice_info.expiry_date"},
    {"finished_at", ColumnKind::kTime, ColumnGroup::kDetail, false, "date_finished",
     "invoice_info.date_finished: when the service regarded it as paid"},
    {"info", ColumnKind::kJson, ColumnGroup::kPersonal, false, "", "invoice_info as it came"},
    {"token_expires_at", ColumnKind::kTime, ColumnGroup::kOwn, true, "",
     "exp of the newest postback; -infinity before the first"},
    {"received_at", ColumnKind::kTime, ColumnGroup::kOwn, true, "", "time of receipt of the first postback or answer"},
    {"updated_at", ColumnKind::kTime, ColumnGroup::kOwn, true, "",
     "time of receipt of the last postback or answer that was applied"},
    {"amounts_expire_at", ColumnKind::kTime, ColumnGroup::kOwn, false, "",
     "exp of the postback that gave the amounts; -infinity: an answer gave them"},
    {"invoice_type", ColumnKind::kText, ColumnGroup::kDetail, false, "type", "invoice_info.type"},
    {"expected_at", ColumnKind::kTime, ColumnGroup::kOwn, false, "",
     "time of the first cc_import(); since then no postback changes amount_to_pay*"},
    {"imported_at", ColumnKind::kTime, ColumnGroup::kOwn, false, "",
     "time of the last cc_import() whose status was not just created; it is newer than all earlier postbacks"},
    {"erased_at", ColumnKind::kTime, ColumnGroup::kOwn, false, "",
     "when cc_erase() erased address, tx_list and info, which stay NULL"},
});
inline constexpr std::size_t kInvoiceColumnCount = kInvoiceColumns.size();

/// Returns the index of a column. A name that is not in the list does not compile.
consteval std::size_t InvoiceColumnIndex(std::string_view name) {
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    if (kInvoiceColumns[i].name == name) return i;
  throw "no such column";
}

/// Returns the SQL type of a column.
constexpr const char* SqlTypeOf(ColumnKind kind) noexcept {
  switch (kind) {
    case ColumnKind::kText: return "text";
    case ColumnKind::kNumber: return "numeric";
    case ColumnKind::kTime: return "timestamp with time zone";
    case ColumnKind::kTestMode: return "boolean";
    case ColumnKind::kTextList: return "text[]";
    case ColumnKind::kJson: return "jsonb";
  }
  return nullptr;
}

}  // namespace cc
