// Decoding against OpenSSL's decoder, and back again.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cc::test::ExactText text({reinterpret_cast<const char*>(data), size});
  const std::string_view input = text.view();
  const auto decoded = std::make_unique<char[]>(cc::Base64UrlDecodedSize(size));
  const bool is_valid = cc::Base64UrlDecode(input, decoded.get());
  const auto expected = reference::DecodeBase64Url(std::string(input));
  REQUIRE(is_valid == expected.has_value());
  const std::string_view bytes{decoded.get(), cc::Base64UrlDecodedSize(size)};
  if (is_valid) REQUIRE(bytes == *expected && cc::test::Base64Url(bytes) == input);

  const auto encoded = std::make_unique<char[]>(cc::Base64UrlEncodedSize(size));
  cc::Base64UrlEncode(input, encoded.get());
  const auto again = reference::DecodeBase64Url(std::string(encoded.get(), cc::Base64UrlEncodedSize(size)));
  REQUIRE(again == std::string(input));
  return 0;
}
