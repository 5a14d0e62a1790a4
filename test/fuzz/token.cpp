// Any text as a token.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The body's reader refuses a longer token.
  const cc::test::ExactText token({reinterpret_cast<const char*>(data), std::min(size, cc::kMaxTokenLength)});
  cc::Postback postback;
  postback.fields.token = token.view();
  postback.fields.invoice_id = "ILRAJE1Q";
  cc::fuzz::CheckToken(postback);
  return 0;
}
