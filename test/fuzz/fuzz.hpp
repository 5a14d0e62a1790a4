// Shared by the fuzz targets: comparison of the verdicts of the core and the reference.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "../unit/support.hpp"
#include "core/invoice_info.hpp"
#include "core/reason.hpp"
#include "reference.hpp"

namespace cc::fuzz {

/// The secret and the time of test/vectors, so that the tokens in the seed corpus verify.
inline const std::string kSecret = "kX3vPq8ZtR1mWc5YbN7dLs2Hf9Jg4TuE";
inline constexpr Clock kClock = test::kClock;

[[noreturn]] inline void Fail(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, condition);
  std::abort();
}

/// Ends the program, so that the fuzzer keeps the input.
#define REQUIRE(condition)                                            \
  do {                                                                \
    if (!(condition)) cc::fuzz::Fail(__FILE__, __LINE__, #condition); \
  } while (false)

inline std::string Word(Reason reason) { return reason == Reason::kVerified ? "" : ReasonWord(reason); }

inline void RequireSameReason(Reason ours, const std::string& reference) {
  if (Word(ours) == reference) return;
  std::fprintf(stderr, "the core says \"%s\", the reference \"%s\"\n", Word(ours).c_str(), reference.c_str());
  std::abort();
}

inline void RequireSameTree(const Document& document, const Node& node, const reference::Value& value) {
  REQUIRE(static_cast<int>(node.kind) == static_cast<int>(value.kind));
  if (node.kind == Kind::kNumber || node.kind == Kind::kString) REQUIRE(document.TextOf(node) == value.text);
  const Node* child = &node + 1;
  for (const reference::Value& element : value.elements) {
    RequireSameTree(document, *child, element);
    child = document.After(child);
  }
  for (const auto& [name, member] : value.members) {
    REQUIRE(document.TextOf(*child) == name);
    RequireSameTree(document, child[1], member);
    child = document.After(child + 1);
  }
  REQUIRE(child == document.After(&node));
}

/// Calls every lenient reader on every node: none may read a byte outside the document.
inline void ReadEverything(const Document& document) {
  for (std::size_t i = 0; i < document.count; ++i) {
    const Node& node = document.nodes[i];
    std::string_view text;
    Decimal number;
    bool boolean;
    std::int64_t time;
    ReadInvoiceInfo(document, node);
    ReadText(document, node, text);
    if (ReadNumber(document, node, number)) {
      const auto buffer = std::make_unique<char[]>(number.integer_text.size() + number.fraction_text.size() + 24);
      WriteDecimal(number, buffer.get());
    }
    ReadTestMode(document, node, boolean);
    if (ReadTime(document, node, time)) REQUIRE(time >= -62'135'596'800'000'000 && time < 253'402'300'800'000'000);
    if (IsTextList(document, node))
      for (std::uint32_t k = 1; k <= node.size; ++k) REQUIRE((&node)[k].kind == Kind::kString);
  }
}

/// Compares the verdicts of the core and the reference on the token. Returns the core's reason.
inline Reason CheckToken(const Postback& postback, const std::string& secret = kSecret, Clock clock = kClock) {
  // Kept over many inputs, as it is in a backend.
  static HmacSha256 hmac;
  const std::string token{postback.fields.token}, invoice_id{postback.fields.invoice_id};
  const test::ExactWorkspace workspace = test::ExactWorkspace::ForJson(token.size());
  const std::string_view secrets[] = {secret};
  const TokenVerdict verdict = VerifyToken(postback, secrets, clock, hmac, workspace.get());
  REQUIRE(!verdict.crypto_failed);
  if (verdict.claims.count > 0) {
    REQUIRE(test::IsTree(verdict.claims, TextCapacity(token.size())));
    ReadEverything(verdict.claims);
  }
  if (const auto expected = reference::CheckToken(token, secret, clock.at, clock.leeway, invoice_id)) {
    RequireSameReason(verdict.reason, expected->reason);
    if (verdict.reason == Reason::kVerified) {
      RequireSameTree(verdict.claims, verdict.claims.root(), expected->claims);
      REQUIRE(verdict.times.expires_at == expected->expires_at);
    }
  }
  return verdict.reason;
}

/// Compares the verdicts of the core and the reference on the body.
inline void CheckBody(std::string_view body, bool is_json) {
  const test::ExactText text(body);
  const test::ExactWorkspace workspace = test::ExactWorkspace::ForBody(body.size() > kMaxBodySize ? 0 : body.size());
  const Postback postback =
      ReadPostback({.body = text.view(), .is_utf8 = false, .content_type = is_json ? test::kJson : test::kForm}, workspace.get());
  if (postback.document.count > 0) {
    REQUIRE(test::IsTree(postback.document, TextCapacity(body.size())));
    ReadEverything(postback.document);
  }
  if (const auto expected = reference::ReadBody(std::string(body), is_json)) {
    RequireSameReason(postback.reason, expected->reason);
    REQUIRE((postback.document.count > 0) == expected->is_read);
    if (expected->is_read) RequireSameTree(postback.document, postback.document.root(), expected->root);
    if (postback.reason == Reason::kVerified) {
      const Fields& fields = postback.fields;
      REQUIRE(fields.status == expected->status && fields.invoice_id == expected->invoice_id &&
              fields.currency == expected->currency && fields.order_id == expected->order_id && fields.token == expected->token);
      const reference::Number amount = *reference::ReadNumber(expected->amount);
      REQUIRE(fields.amount_crypto.integer_digits == amount.integer_digits() &&
              fields.amount_crypto.decimals == amount.decimals());
    }
  }
  if (postback.reason == Reason::kVerified) CheckToken(postback);
}

}  // namespace cc::fuzz
