#include <paidonce/money/multiply.hpp>

#include <array>
#include <random>
#include <string>
#include <string_view>

#include "money_support.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using cpp_int =
    boost::multiprecision::number<boost::multiprecision::cpp_int_backend<>, boost::multiprecision::et_off>;

namespace {

constexpr std::array modes = {Rounding::half_even, Rounding::half_up, Rounding::down,
                              Rounding::up,        Rounding::floor,   Rounding::ceiling};

/// `n / d` by choosing between its floor and its ceiling: nothing in common with cutting off and stepping.
cpp_int rounded_by_neighbours(const cpp_int& n, const cpp_int& d, Rounding mode) {
  cpp_int low = n / d;
  if (low * d > n) low -= 1;
  if (low * d == n) return low;
  cpp_int high = low + 1;
  const cpp_int to_low = n - low * d, to_high = high * d - n;
  cpp_int inner = n < 0 ? high : low, outer = n < 0 ? low : high;
  switch (mode) {
    case Rounding::floor: return low;
    case Rounding::ceiling: return high;
    case Rounding::down: return inner;
    case Rounding::up: return outer;
    case Rounding::half_up: return to_low < to_high ? low : to_high < to_low ? high : outer;
    case Rounding::half_even:
      return to_low < to_high ? low : to_high < to_low ? high : low % 2 == 0 ? low : high;
  }
  throw std::logic_error("no such mode");
}

}  // namespace

TEST_CASE("each mode rounds ties, near ties and both signs as its table says", "[money][rounding]") {
  const struct {
    std::string_view rate;                            // of 1 JPY
    std::array<std::int64_t, modes.size()> expected;  // half_even, half_up, down, up, floor, ceiling
  } cases[] = {
      {"2.5", {2, 3, 2, 3, 2, 3}},
      {"3.5", {4, 4, 3, 4, 3, 4}},
      {"-2.5", {-2, -3, -2, -3, -3, -2}},
      {"-3.5", {-4, -4, -3, -4, -4, -3}},
      {"0.5", {0, 1, 0, 1, 0, 1}},
      {"-0.5", {0, -1, 0, -1, -1, 0}},
      {"1.5", {2, 2, 1, 2, 1, 2}},
      {"-1.5", {-2, -2, -1, -2, -2, -1}},
      {"2.1", {2, 2, 2, 3, 2, 3}},
      {"-2.1", {-2, -2, -2, -3, -3, -2}},
      {"2.9", {3, 3, 2, 3, 2, 3}},
      {"-2.9", {-3, -3, -2, -3, -3, -2}},
      {"2.4999999999999999999999999", {2, 2, 2, 3, 2, 3}},
      {"2.5000000000000000000000001", {3, 3, 2, 3, 2, 3}},
      {"-2.5000000000000000000000001", {-3, -3, -2, -3, -3, -2}},
      {"0.0000000000000000001", {0, 0, 0, 1, 0, 1}},
      {"-0.0000000000000000001", {0, 0, 0, -1, -1, 0}},
      {"2", {2, 2, 2, 2, 2, 2}},
      {"2.0", {2, 2, 2, 2, 2, 2}},
      {"-2.00", {-2, -2, -2, -2, -2, -2}},
      {"0", {0, 0, 0, 0, 0, 0}},
      {"-0", {0, 0, 0, 0, 0, 0}},
  };
  for (const auto& [rate, expected] : cases)
    for (std::size_t i = 0; i < modes.size(); ++i) {
      CAPTURE(rate, i);
      CHECK(multiply(Money::minor(1, "JPY"), rate, modes[i]) == Money::minor(expected[i], "JPY"));
      CHECK(multiply(Money::minor(-1, "JPY"), rate, modes[i]).minor_units() ==
            static_cast<std::int64_t>(
                rounded_by_neighbours(-cpp_int(Money::parse(rate, Currency("R", 25)).minor_units()),
                                      pow(cpp_int(10), 25), modes[i])));
    }
}

TEST_CASE("a rate keeps the currency and rounds once", "[money][rounding]") {
  CHECK(multiply(Money::parse("19.99", "EUR"), "0.19", Rounding::half_even).text() == "3.80 EUR");
  CHECK(multiply(Money::parse("100.00", "EUR"), "1.0845", Rounding::half_up).text() == "108.45 EUR");
  CHECK(multiply(Money::parse("1.001", "KWD"), "0.5", Rounding::half_even).text() == "0.500 KWD");
  CHECK(multiply(Money::parse("1.005", Currency("EUR", 3)), "1", Rounding::down).text() == "1.005 EUR");
}

TEST_CASE("a rate is read as strictly as an amount and has at most 38 digits", "[money][rounding]") {
  const Money money = Money::minor(100, "EUR");
  for (const std::string_view rate :
       {"", "+1", "1.", ".5", "1e3", "0x1", "01", " 1", "1 ", "1,5", "nan", "1/3"}) {
    CAPTURE(rate);
    CHECK(money_error([&] { (void)multiply(money, rate, Rounding::down); }) == money_errc::bad_amount);
  }
  CHECK(multiply(money, "0." + std::string(37, '0') + "1", Rounding::up).minor_units() == 1);
  CHECK(multiply(Money::minor(0, "EUR"), std::string(38, '9'), Rounding::up).minor_units() == 0);
  CHECK(money_error([&] { (void)multiply(money, "0." + std::string(39, '0'), Rounding::up); }) ==
        money_errc::bad_amount);
  CHECK(money_error([&] {
          (void)multiply(money, std::string(20, '1') + "." + std::string(19, '1'), Rounding::up);
        }) == money_errc::bad_amount);
}

TEST_CASE("a product beyond the range is refused, one within it is exact", "[money][rounding][overflow]") {
  const Money top = Money::minor(max_minor_units, "EUR");
  const std::string most(38, '9');
  for (const Rounding mode : modes) {
    CHECK(multiply(top, "1", mode) == top);
    CHECK(multiply(top, "-1", mode) == -top);
    CHECK(money_error([&] { (void)multiply(top, "1.1", mode); }) == money_errc::overflow);
    CHECK(money_error([&] { (void)multiply(top, most, mode); }) == money_errc::overflow);
    CHECK(money_error([&] { (void)multiply(-top, most, mode); }) == money_errc::overflow);
  }
  // (10^38 - 1) * (1 - 10^-38) = 10^38 - 2 + 10^-38
  CHECK(multiply(top, "0." + most, Rounding::down).minor_units() == max_minor_units - 1);
  CHECK(multiply(top, "0." + most, Rounding::up) == top);
  // Rounding itself leaves the range: 99…9.5 of a minor unit more than the half.
  const Money half = Money::minor(MinorUnits((max_minor_units - 1) / 2 + 1), "EUR");  // 5 * 10^37
  CHECK(multiply(half, "1.9999999999999999999999999999999999999", Rounding::down).minor_units() ==
        max_minor_units - 4);
  CHECK(money_error([&] { (void)multiply(half, "2", Rounding::down); }) == money_errc::overflow);
}

TEST_CASE("products agree with unbounded integers in every mode", "[money][rounding][property]") {
  std::mt19937_64 random(38);
  const cpp_int most(std::string(38, '9'));
  int kept = 0, refused = 0, ties = 0;
  for (int round = 0; round < 10'000; ++round) {
    const auto digits = [&](std::size_t count) {
      std::string text;
      for (; count > 0; --count) text += static_cast<char>('0' + random() % 10);
      return text;
    };
    std::string whole = digits(random() % 20), fraction = digits(random() % 19);
    whole.erase(0, whole.find_first_not_of('0'));
    if (round % 3 == 0 && !fraction.empty()) {  // many ties
      fraction.assign(fraction.size(), '0');
      fraction[0] = '5';
    }
    const std::string rate = std::string(random() % 2 == 0 ? "-" : "") + (whole.empty() ? "0" : whole) +
                             (fraction.empty() ? "" : "." + fraction);
    std::string unsigned_units = digits(1 + random() % 38);
    unsigned_units.erase(0, unsigned_units.find_first_not_of('0'));
    const Money money = Money::parse((unsigned_units.empty() ? ""
                                      : random() % 2 == 0    ? "-"
                                                             : "") +
                                         (unsigned_units.empty() ? "0" : unsigned_units),
                                     "JPY");
    // Boost reads a leading 0 as octal, so the digits are stripped of zeros first.
    std::string factor_digits = whole + fraction;
    factor_digits.erase(0, factor_digits.find_first_not_of('0'));
    cpp_int n = cpp_int(money.minor_units()) * (factor_digits.empty() ? cpp_int(0) : cpp_int(factor_digits));
    if (rate.starts_with('-')) n = -n;
    const cpp_int d = pow(cpp_int(10), static_cast<unsigned>(fraction.size()));
    if (abs(cpp_int(n % d)) * 2 == d) ++ties;
    for (const Rounding mode : modes) {
      const cpp_int exact = rounded_by_neighbours(n, d, mode);
      const bool fits = abs(exact) <= most;
      try {
        if (cpp_int(multiply(money, rate, mode).minor_units()) != exact || !fits)
          FAIL(money << " * " << rate << " mode " << int(mode));
        ++kept;
      } catch (const MoneyError& error) {
        if (fits || error.code() != money_errc::overflow) FAIL(money << " * " << rate);
        ++refused;
      }
    }
  }
  CHECK(kept > 30'000);
  CHECK(refused > 3'000);
  CHECK(ties > 500);
}
