#include "core/http_answer.hpp"

#include "core/no_postgres.hpp"

namespace cc {
namespace {

struct Listed {
  std::string_view reason;
  HttpAnswer answer;
};

constexpr Listed kListed[] = {
    {"empty_body", {400, "Empty body"}},
    {"body_too_large", {413, "Body too large"}},
    {"unsupported_content_type", {415, "Unsupported content type"}},
    {"invalid_json", {400, "Invalid JSON"}},
    {"invalid_form", {400, "Invalid form"}},
    {"duplicate_field", {400, "Duplicate field"}},
    {"missing_invoice_id", {400, "Missing invoice_id or order_id"}},
    {"missing_order_id", {400, "Missing invoice_id or order_id"}},
    {"invalid_field", {400, "Invalid field"}},
    {"invalid_amount", {400, "Invalid amount"}},
    {"token_reused", {409, "Token already used"}},
    {"unknown_project", {404, "Unknown project"}},
};

}  // namespace

HttpAnswer HttpAnswerFor(std::string_view state, std::string_view reason) noexcept {
  if (state != "rejected") return {200, "Postback received"};
  for (const Listed& listed : kListed)
    if (listed.reason == reason) return listed.answer;
  return {401, "Invalid token"};
}

}  // namespace cc
