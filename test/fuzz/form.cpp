// The whole verification of a form, and of any other type that its bytes could be sniffed as.
#include "fuzz.hpp"

#include "core/content_type.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  cc::fuzz::CheckBody(body, false);
  cc::ReadContentType(cc::test::ExactText(body).view());
  return 0;
}
