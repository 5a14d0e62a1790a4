// The whole verification of a JSON body.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cc::fuzz::CheckBody({reinterpret_cast<const char*>(data), size}, true);
  return 0;
}
