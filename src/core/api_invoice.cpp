#include "core/api_invoice.hpp"

#include "core/field.hpp"
#include "core/invoice_info.hpp"
#include "core/rules.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

bool IsIdentifier(const Document& document, const Node& node) noexcept {
  return (node.kind == Kind::kString || (node.kind == Kind::kNumber && IsInteger(document.TextOf(node)))) &&
         IsFieldText(document.TextOf(node), kMaxFieldLength);
}

class ElementReader {
 public:
  explicit ElementReader(const Document& document) noexcept : document_(document) {}

  ApiFault Read(ApiInvoice& invoice) const noexcept {
    if (!ReadInvoiceId(invoice.invoice_id)) return ApiFault::kNoUuid;
    if (IsWithdrawal()) return ApiFault::kWithdrawal;
    if (!ReadStatus(invoice.status)) return ApiFault::kUnknownStatus;
    if (!ReadOrderId(invoice.order_id)) return ApiFault::kOrderId;
    const bool is_paid = invoice.status == "success" || invoice.status == "paid" || invoice.status == "overpaid";
    if (!ReadCurrency(invoice.currency) || (is_paid && invoice.currency.empty())) return ApiFault::kCurrency;
    const bool has_amount_paid = ReadAmountOf("amount_paid", invoice.amount_crypto);
    if (is_paid) return has_amount_paid ? ApiFault::kNone : ApiFault::kAmountPaid;
    if (!has_amount_paid || invoice.amount_crypto.IsZero()) ReadAmountToPay(invoice.amount_crypto);
    return ApiFault::kNone;
  }

 private:
  const Node* Find(std::string_view name) const noexcept { return document_.FindMember(document_.root(), name); }
  std::string_view TextOf(const Node& node) const noexcept { return document_.TextOf(node); }

  // In an answer to create, invoice_id is null and uuid has the id. Without a uuid, invoice_id is read.
  bool ReadInvoiceId(std::string_view& id) const noexcept {
    const Node* node = Find("uuid");
    if (IsAbsent(node)) node = Find("invoice_id");
    if (IsAbsent(node) || !IsIdentifier(document_, *node) || Trim(WithoutPrefix(TextOf(*node))).empty()) return false;
    id = WithoutPrefix(TextOf(*node));
    return true;
  }

  // A withdrawal has an INV- number too, and must not pay an order. An element without a type is an invoice.
  bool IsWithdrawal() const noexcept {
    const Node* const type = Find("type");
    return !IsAbsent(type) && !(type->kind == Kind::kString && TextOf(*type) == "up");
  }

  bool ReadStatus(std::string_view& status) const noexcept {
    const Node* const node = Find("status");
    if (node == nullptr || node->kind != Kind::kString) return false;
    for (const std::string_view word : {"created", "canceled", "partial", "paid", "overpaid"}) {
      if (TextOf(*node) != word) continue;
      const Node* const invoice_status = Find("invoice_status");
      status = StatusOfAnswer(word, ConfirmsSuccess(document_, invoice_status), !IsAbsent(invoice_status));
      return true;
    }
    return false;
  }

  bool ReadOrderId(std::string_view& order_id) const noexcept {
    const Node* const node = Find("order_id");
    if (IsAbsent(node)) return true;
    if (!IsIdentifier(document_, *node)) return false;
    order_id = TextOf(*node);
    return true;
  }

  // currency.fullcode is the code that postbacks use, such as USDT_TRC20. Before the customer chooses a coin, currency may be
  // null or have no code.
  bool ReadCurrency(std::string_view& currency) const noexcept {
    const Node* node = Find("currency");
    if (IsAbsent(node)) return true;
    if (node->kind == Kind::kObject) {
      const Node* const object = node;
      node = document_.FindMember(*object, "fullcode");
      if (IsAbsent(node)) node = document_.FindMember(*object, "code");
      if (IsAbsent(node)) return true;
    }
    if (node->kind != Kind::kString || !IsFieldText(TextOf(*node), kMaxFieldLength)) return false;
    currency = TextOf(*node);
    return true;
  }

  bool ReadAmountOf(std::string_view name, Decimal& amount) const noexcept {
    const Node* const node = Find(name);
    Decimal read;
    if (IsAbsent(node) || (node->kind != Kind::kNumber && node->kind != Kind::kString) || !ReadAmount(TextOf(*node), read))
      return false;
    amount = read;
    return true;
  }

  void ReadAmountToPay(Decimal& amount) const noexcept {
    for (const std::string_view name : {"amount_to_pay", "amount"})
      if (ReadAmountOf(name, amount) && !amount.IsZero()) return;
    ParseDecimal("0", amount);
  }

  const Document& document_;
};

}  // namespace

ApiInvoice ReadApiInvoice(const Document& document) noexcept {
  ApiInvoice invoice;
  invoice.fault =
      document.count > 0 && document.root().kind == Kind::kObject ? ElementReader(document).Read(invoice) : ApiFault::kNoObject;
  return invoice;
}

}  // namespace cc
