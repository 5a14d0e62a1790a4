#include "core/decimal.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support.hpp"

namespace cc::test {
namespace {

Decimal Parse(std::string_view text) {
  Decimal decimal;
  EXPECT_TRUE(ParseDecimal(text, decimal)) << text;
  return decimal;
}

TEST(Decimal, NumberLengthIsOfTheLongestNumberInFront) {
  struct Case {
    std::string_view text;
    std::size_t length;
  };
  for (const Case& c : {Case{"0", 1}, {"-0", 2},   {"12", 2},   {"1.5", 3}, {"-1.5e+10", 8}, {"1E5", 3}, {"1e-5,", 4},
                        {"01", 1},    {"-01", 2},  {"0x10", 1}, {"12]", 2}, {"1.5.5", 3},    {"1 2", 1}, {"0e0", 3},
                        {"1.", 1},    {"1.e5", 1}, {"1e", 1},   {"1e+", 1}, {"1e-x", 1},     {"1.5e", 3}})
    EXPECT_EQ(NumberLength(ExactText(c.text).view()), c.length) << c.text;
}

TEST(Decimal, NumberLengthIsNoneWhereJsonHasNoNumber) {
  for (const std::string_view text :
       {"", "-", "+1", ".5", "a", " 1", "-.5", "-e", "--1", "-Infinity", "Infinity", "NaN", "\"1\"", "\xEF\xBC\x91"})
    EXPECT_EQ(NumberLength(ExactText(text).view()), 0U) << text;
}

TEST(Decimal, ParseTakesTheWholeTextOrNothing) {
  Decimal decimal;
  for (const std::string_view text : {"", "1 ", " 1", "01", "1a", "1.2.3", "0x1", "1e5e5", "1_000", "1,5"})
    EXPECT_FALSE(ParseDecimal(ExactText(text).view(), decimal)) << text;
  EXPECT_FALSE(ParseDecimal({"1\0", 2}, decimal));
}

struct Shape {
  std::string_view text;
  bool negative;
  std::int64_t integer_digits, decimals, scale;
};

class DecimalShape : public testing::TestWithParam<Shape> {};

TEST_P(DecimalShape, IsThatOfTheValue) {
  const Shape& shape = GetParam();
  const Decimal decimal = Parse(shape.text);
  EXPECT_EQ(decimal.negative, shape.negative);
  EXPECT_EQ(decimal.integer_digits, shape.integer_digits);
  EXPECT_EQ(decimal.decimals, shape.decimals);
  EXPECT_EQ(decimal.scale, shape.scale);
}

INSTANTIATE_TEST_SUITE_P(
    All, DecimalShape,
    testing::Values(Shape{"0", false, 0, 0, 0}, Shape{"-0", false, 0, 0, 0}, Shape{"-0.0", false, 0, 0, 1},
                    Shape{"0e5", false, 0, 0, 0}, Shape{"0e-5", false, 0, 0, 5}, Shape{"0.00e1", false, 0, 0, 1},
                    Shape{"1", false, 1, 0, 0}, Shape{"-1", true, 1, 0, 0}, Shape{"10", false, 2, 0, 0},
                    Shape{"0.000113", false, 0, 6, 6}, Shape{"1e-06", false, 0, 6, 6}, Shape{"100.0", false, 3, 0, 1},
                    Shape{"1.50e-3", false, 0, 4, 5}, Shape{"12.34e1", false, 3, 1, 1}, Shape{"12.34e2", false, 4, 0, 0},
                    Shape{"12.34e3", false, 5, 0, 0}, Shape{"0.001e3", false, 1, 0, 0}, Shape{"0.001e2", false, 0, 1, 1},
                    Shape{"0.001e4", false, 2, 0, 0}, Shape{"1200e-2", false, 2, 0, 2}, Shape{"1200e-3", false, 1, 1, 3},
                    Shape{"1200e-5", false, 0, 3, 5}, Shape{"1e37", false, 38, 0, 0}, Shape{"1E+38", false, 39, 0, 0},
                    Shape{"1e-36", false, 0, 36, 36}, Shape{"10e-37", false, 0, 36, 37}));

TEST(Decimal, AnExponentBeyondAllBoundsIsSaturatedNotWrapped) {
  for (const std::string_view digits : {"1000000000000", "9223372036854775807", "9223372036854775808", "18446744073709551617",
                                        "99999999999999999999999999999999999999"}) {
    EXPECT_EQ(Parse("1e" + std::string(digits)).integer_digits, 1'000'000'000'001) << digits;
    EXPECT_EQ(Parse("1e-" + std::string(digits)).decimals, 1'000'000'000'000) << digits;
    EXPECT_TRUE(Parse("0e" + std::string(digits)).IsZero()) << digits;
  }
}

// numeric accepts no exponent beyond about 10^9, not even for 0.
TEST(Decimal, ZeroHasNoPositiveExponent) {
  for (const char* const text : {"0e1", "0E+99999", "-0e2147483647", "0e99999999999999999999", "0.00e99999999999999999999"}) {
    const Decimal decimal = Parse(text);
    std::int64_t value = -1;
    EXPECT_TRUE(decimal.IsZero()) << text;
    EXPECT_EQ(decimal.exponent, 0) << text;
    EXPECT_TRUE(decimal.ToInt64(value));
    EXPECT_EQ(value, 0);
  }
  EXPECT_EQ(Parse("0.00e1").exponent, -1);
}

TEST(Decimal, LeadingZerosOfAnExponentDoNotCount) {
  EXPECT_EQ(Parse("1e" + std::string(1000, '0') + "2").integer_digits, 3);
  EXPECT_EQ(Parse("1e-" + std::string(1000, '0') + "2").decimals, 2);
}

TEST(Decimal, IsExactUpTo400DigitsOnEitherSide) {
  const std::string digits(399, '7');
  EXPECT_TRUE(Parse(digits).IsExact());
  EXPECT_TRUE(Parse(digits + "7").IsExact());
  EXPECT_FALSE(Parse(digits + "77").IsExact());
  EXPECT_TRUE(Parse("0." + digits).IsExact());
  EXPECT_TRUE(Parse("0." + digits + "7").IsExact());
  EXPECT_FALSE(Parse("0." + digits + "77").IsExact());
  EXPECT_TRUE(Parse(digits + "7." + digits + "7").IsExact());
  EXPECT_TRUE(Parse("1e399").IsExact());
  EXPECT_FALSE(Parse("1e400").IsExact());
  EXPECT_TRUE(Parse("1e-400").IsExact());
  EXPECT_FALSE(Parse("1e-401").IsExact());
  EXPECT_TRUE(Parse("0e400000").IsExact());
  EXPECT_FALSE(Parse("0e-401").IsExact()) << "PostgreSQL would show 401 zeros";
  EXPECT_FALSE(Parse("1." + std::string(401, '0')).IsExact());
}

TEST(Decimal, BecomesAnInt64BelowTenToTheEighteenth) {
  struct Case {
    std::string_view text;
    std::int64_t value;
  };
  std::int64_t value = 0;
  for (const Case& c : {Case{"0", 0},
                        {"-0", 0},
                        {"1.50", 150},
                        {"-0.000113", -113},
                        {"999999999999999999", 999999999999999999},
                        {"-999999999999999999", -999999999999999999},
                        {"0.00000000000000000000001", 1},
                        {"12e5", 12}}) {
    EXPECT_TRUE(Parse(c.text).ToInt64(value)) << c.text;
    EXPECT_EQ(value, c.value) << c.text;
  }
  EXPECT_FALSE(Parse("1000000000000000000").ToInt64(value));
  EXPECT_FALSE(Parse("0.1000000000000000000").ToInt64(value));
  EXPECT_FALSE(Parse("9223372036854775808").ToInt64(value));
}

TEST(Decimal, IsWrittenAsDigitsAndExponentWithinTheBufferItAsksFor) {
  struct Case {
    std::string text, written;
  };
  for (const Case& c : {Case{"0", "0e0"},
                        {"-0", "0e0"},
                        {"-12.34", "-1234e-2"},
                        {"1.50e-3", "150e-5"},
                        {"1e399", "1e399"},
                        {"1e99999999999999999999", "1e1000000000000"},
                        {"-1e-99999999999999999999", "-1e-1000000000000"}}) {
    const Decimal decimal = Parse(c.text);
    const std::size_t size = decimal.integer_text.size() + decimal.fraction_text.size() + 24;
    const auto buffer = std::make_unique<char[]>(size);
    WriteDecimal(decimal, buffer.get());
    EXPECT_STREQ(buffer.get(), c.written.c_str());
  }
}

}  // namespace
}  // namespace cc::test
