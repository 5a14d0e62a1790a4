#include "core/postback.hpp"

#include <array>

#include "core/content_type.hpp"
#include "core/trim.hpp"
#include "core/utf8.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

// invoice_info comes first, since a form repeats it.
enum Name : std::size_t { kInvoiceInfo, kStatus, kInvoiceId, kAmountCrypto, kCurrency, kOrderId, kToken, kNames };
constexpr std::array<std::string_view, kNames> kFieldNames{"invoice_info", "status",   "invoice_id", "amount_crypto",
                                                           "currency",     "order_id", "token"};

// The values of the known members, and whether a member came twice.
struct Members {
  std::array<const Node*, kNames> values{};  // nullptr: absent
  bool duplicate = false;
};

bool IsJsonObject(std::string_view text) noexcept {
  const bool may_be = !text.empty() && (text.front() == '{' || static_cast<unsigned char>(text.front()) <= ' ');
  return may_be && Trim(text).starts_with('{');
}

Members FindMembers(const Document& document, Format format) noexcept {
  Members members;
  const Node* const end = document.nodes + document.root().at;
  for (const Node* name = document.nodes + 1; name < end; name = document.After(name + 1)) {
    const std::string_view text = document.TextOf(*name);
    for (std::size_t i = 0; i < kNames; ++i) {
      if (text != kFieldNames[i]) continue;
      if (members.values[i] == nullptr) {
        members.values[i] = name + 1;
      } else if (i == kInvoiceInfo && format == Format::kForm) {
        // A form repeats invoice_info for each key of the flattened object. A value that is JSON has more information.
        if (IsJsonObject(document.TextOf(name[1])) && !IsJsonObject(document.TextOf(*members.values[i])))
          members.values[i] = name + 1;
      } else {
        members.duplicate = true;
      }
      break;
    }
  }
  return members;
}

// Reads the fields. The first fault by order of precedence is the reason.
class FieldReader {
 public:
  FieldReader(const Document& document, const Members& members) noexcept : document_(document), members_(members) {}

  Reason Read(Fields& fields) const noexcept {
    if (IsInvoiceIdMissing()) return Reason::kMissingInvoiceId;
    if (!AreFieldsValid()) return Reason::kInvalidField;
    fields.status = Text(kStatus);
    fields.invoice_id = WithoutPrefix(Text(kInvoiceId));
    fields.currency = Text(kCurrency);
    fields.order_id = Text(kOrderId);
    fields.token = Trim(Text(kToken));
    if (!ReadAmount(Text(kAmountCrypto), fields.amount_crypto)) return Reason::kInvalidAmount;
    return fields.token.empty() ? Reason::kMissingToken : Reason::kVerified;
  }

 private:
  // Returns an empty text for an absent or null member, and for one that is neither text nor number.
  std::string_view Text(Name name) const noexcept {
    const Node* const node = members_.values[name];
    return node != nullptr && (node->kind == Kind::kString || node->kind == Kind::kNumber) ? document_.TextOf(*node)
                                                                                           : std::string_view{};
  }

  bool IsInvoiceIdMissing() const noexcept {
    const Node* const node = members_.values[kInvoiceId];
    return IsAbsent(node) || (node->kind == Kind::kString && Trim(WithoutPrefix(document_.TextOf(*node))).empty());
  }

  bool AreFieldsValid() const noexcept {
    for (const Name name : {kStatus, kInvoiceId, kAmountCrypto, kCurrency, kOrderId, kToken})
      if (!IsAbsent(members_.values[name]) && !IsValid(name)) return false;
    return !Text(kStatus).empty() && !Text(kCurrency).empty();
  }

  bool IsValid(Name name) const noexcept {
    const Kind kind = members_.values[name]->kind;
    const std::string_view text = name == kToken ? Trim(Text(name)) : Text(name);
    const bool may_be_number = name == kAmountCrypto || ((name == kInvoiceId || name == kOrderId) && IsInteger(text));
    if (kind != Kind::kString && !(kind == Kind::kNumber && may_be_number)) return false;
    return IsFieldText(text, name == kToken ? kMaxTokenLength : kMaxFieldLength);
  }

  const Document& document_;
  const Members& members_;
};

Reason ReadBody(const Request& request, const Workspace& workspace, Postback& postback) noexcept {
  const std::string_view body = Trim(request.body);
  if (body.empty()) return Reason::kEmptyBody;
  if (request.body.size() > kMaxBodySize) return Reason::kBodyTooLarge;

  switch (ReadContentType(request.content_type)) {
    case MediaType::kUnsupported: return Reason::kUnsupportedContentType;
    case MediaType::kJson: postback.format = Format::kJson; break;
    case MediaType::kForm: postback.format = Format::kForm; break;
    case MediaType::kNone: postback.format = body.front() == '{' ? Format::kJson : Format::kForm; break;
  }
  if (postback.format == Format::kForm)
    return ParseForm(body, workspace, postback.document) ? Reason::kVerified : Reason::kInvalidForm;
  return (request.is_utf8 || IsUtf8(body)) && ParseJson(body, workspace, postback.document) ? Reason::kVerified
                                                                                            : Reason::kInvalidJson;
}

// A string `id` or `uuid` binds the token to that invoice. Any other value binds it to none.
enum class Binding : std::uint8_t { kNone, kThisInvoice, kAnotherInvoice };

Binding BindingOf(const Document& claims, std::string_view invoice_id) noexcept {
  Binding binding = Binding::kNone;
  for (const std::string_view name : {"id", "uuid"}) {
    const Node* const claim = claims.FindMember(claims.root(), name);
    if (claim == nullptr || claim->kind != Kind::kString) continue;
    if (WithoutPrefix(claims.TextOf(*claim)) != invoice_id) return Binding::kAnotherInvoice;
    binding = Binding::kThisInvoice;
  }
  return binding;
}

}  // namespace

Postback ReadPostback(const Request& request, const Workspace& workspace) noexcept {
  Postback postback;
  postback.reason = ReadBody(request, workspace, postback);
  if (postback.reason != Reason::kVerified) return postback;
  const Members members = FindMembers(postback.document, postback.format);
  postback.invoice_info = members.values[kInvoiceInfo];
  postback.reason = members.duplicate ? Reason::kDuplicateField : FieldReader(postback.document, members).Read(postback.fields);
  return postback;
}

TokenVerdict VerifyToken(const Postback& postback, std::span<const std::string_view> secrets, const Clock& clock,
                         HmacSha256& hmac, const Workspace& workspace) noexcept {
  TokenVerdict verdict = CheckToken(postback.fields.token, secrets, hmac, workspace);
  if (verdict.crypto_failed || verdict.reason != Reason::kVerified) return verdict;
  const Binding binding = BindingOf(verdict.claims, postback.fields.invoice_id);
  if (verdict.times.not_before > clock.at + clock.leeway)
    verdict.reason = Reason::kTokenNotYetValid;
  else if (clock.at >= verdict.times.expires_at + clock.leeway)
    verdict.reason = Reason::kTokenExpired;
  else if (binding == Binding::kAnotherInvoice)
    verdict.reason = Reason::kInvoiceMismatch;
  else
    verdict.names_invoice = binding == Binding::kThisInvoice;
  return verdict;
}

}  // namespace cc
