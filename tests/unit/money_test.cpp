#include <paidonce/fingerprint.hpp>
#include <paidonce/money/money.hpp>

#include <cstdint>
#include <iomanip>
#include <limits>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "money_support.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using cpp_int =
    boost::multiprecision::number<boost::multiprecision::cpp_int_backend<>, boost::multiprecision::et_off>;

namespace {

const std::string nines_38(38, '9');

cpp_int wide(const Money& money) { return cpp_int(money.minor_units()); }

/// What a text stands for in units of 10^-decimals, by schoolbook on a text already known to be well formed.
cpp_int units_by_schoolbook(const std::string& text, int decimals) {
  cpp_int value = 0;
  int seen = 0;
  bool after_dot = false;
  for (const char c : text) {
    if (c == '-') continue;
    if (c == '.') {
      after_dot = true;
      continue;
    }
    value = value * 10 + static_cast<int>(c - '0');
    if (after_dot) ++seen;
  }
  for (; seen < decimals; ++seen) value *= 10;
  return text.starts_with('-') ? cpp_int(-value) : value;
}

/// A number of 1 to `digits` digits, each length alike.
MinorUnits random_units(std::mt19937_64& random, int digits) {
  MinorUnits value = 0;
  for (auto n = 1 + random() % static_cast<unsigned>(digits); n > 0; --n) value = value * 10 + random() % 10;
  return random() % 2 == 0 ? value : MinorUnits(-value);
}

}  // namespace

TEST_CASE("amounts are read exactly", "[money][parse]") {
  const struct {
    std::string_view amount, currency;
    std::int64_t units;
    std::string_view text;
  } cases[] = {
      {"4.50", "EUR", 450, "4.50 EUR"},
      {"4.5", "EUR", 450, "4.50 EUR"},
      {"4", "EUR", 400, "4.00 EUR"},
      {"0", "EUR", 0, "0.00 EUR"},
      {"0.0", "EUR", 0, "0.00 EUR"},
      {"0.01", "EUR", 1, "0.01 EUR"},
      {"0.10", "EUR", 10, "0.10 EUR"},
      {"-0.01", "EUR", -1, "-0.01 EUR"},
      {"-4.50", "EUR", -450, "-4.50 EUR"},
      {"-0", "EUR", 0, "0.00 EUR"},
      {"-0.00", "EUR", 0, "0.00 EUR"},
      {"10", "JPY", 10, "10 JPY"},
      {"0", "JPY", 0, "0 JPY"},
      {"-7", "JPY", -7, "-7 JPY"},
      {"1.234", "KWD", 1234, "1.234 KWD"},
      {"0.001", "BHD", 1, "0.001 BHD"},
      {"1.2345", "CLF", 12345, "1.2345 CLF"},
      {"0.0001", "UYW", 1, "0.0001 UYW"},
      {"100", "USD", 10000, "100.00 USD"},
      {"1000000", "USD", 100000000, "1000000.00 USD"},
      {"90071992547409.93", "USD", 9007199254740993, "90071992547409.93 USD"},
      {"92233720368547758.07", "USD", 9223372036854775807, "92233720368547758.07 USD"},
      {"-92233720368547758.08", "USD", std::numeric_limits<std::int64_t>::min(), "-92233720368547758.08 USD"},
  };
  for (const auto& [amount, currency, units, text] : cases) {
    CAPTURE(amount, currency);
    const Money money = Money::parse(amount, currency);
    CHECK(money.minor_units() == units);
    CHECK(money.text() == text);
    CHECK(money.currency() == Currency::of(currency));
    CHECK(money == Money::minor(units, currency));
    CHECK(Money::parse(money.amount(), currency) == money);
    CHECK(Money::parse(amount, Currency::of(currency)) == money);
  }
}

TEST_CASE("whatever is not a plain decimal number is refused", "[money][parse]") {
  const std::string_view bad[] = {
      "",           " ",        "-",       "+",     ".",        "-.",       "+4.50",        "4.",
      ".5",         "-.5",      "-4.",     "--4",   "- 4",      "4-",       " 4",           "4 ",
      "4.5 ",       "\t4",      "4\n",     "4.5.0", "4..5",     "4,50",     "4'000",        "4 000",
      "1,000.00",   "1_000",    "1e3",     "1E3",   "1e-2",     "4.5e0",    "0x10",         "0X1F",
      "0b1",        "010",      "007",     "00",    "00.50",    "-00",      "-01",          "01.5",
      "nan",        "NaN",      "inf",     "-inf",  "Infinity", "null",     "EUR",          "4.50EUR",
      "4.50 EUR",   "EUR 4.50", "$4.50",   "4.50$", "12abc",    "12.5x",    "4.-5",         "4.+5",
      "1/3",        "50%",      "(4.50)",  "4.50f", "4u",       "\xd9\xa4", "\xef\xbc\x94", "\u22124",
      "4\u00a0000", "4\u066b5", "\ufeff4", "\xff",
  };
  for (const std::string_view amount : bad) {
    CAPTURE(amount);
    CHECK(money_error([&] { (void)Money::parse(amount, "EUR"); }) == money_errc::bad_amount);
  }
  using namespace std::string_view_literals;
  for (const std::string_view amount : {"4\0"sv, "\0004"sv, "4.5\0000"sv, "\0"sv})
    CHECK(money_error([&] { (void)Money::parse(amount, "EUR"); }) == money_errc::bad_amount);
}

TEST_CASE("every text of up to five characters follows the grammar or is refused", "[money][parse]") {
  const std::string_view alphabet = "-+.0019 ";     // a weight on what is confusing
  const auto follows = [](std::string_view text) {  // a state machine, unlike the parser
    enum { start, sign, zero, whole, dot, fraction } at = start;
    for (const char c : text) {
      const bool digit = c >= '0' && c <= '9';
      if (at == start && c == '-')
        at = sign;
      else if ((at == start || at == sign) && c == '0')
        at = zero;
      else if ((at == start || at == sign || at == whole) && digit)
        at = whole;
      else if ((at == zero || at == whole) && c == '.')
        at = dot;
      else if ((at == dot || at == fraction) && digit)
        at = fraction;
      else
        return false;
    }
    return at == zero || at == whole || at == fraction;
  };
  const Currency fine("FINE", 5);
  int read = 0, refused = 0;
  for (std::size_t length = 0, count = 1; length <= 5; ++length, count *= alphabet.size())
    for (std::size_t index = 0; index < count; ++index) {
      std::string text;
      for (std::size_t rest = index, i = 0; i < length; ++i, rest /= alphabet.size())
        text += alphabet[rest % alphabet.size()];
      try {
        const Money money = Money::parse(text, fine);
        if (!follows(text) || wide(money) != units_by_schoolbook(text, 5)) FAIL("read '" << text << "'");
        ++read;
      } catch (const MoneyError& error) {
        if (follows(text) || error.code() != money_errc::bad_amount) FAIL("refused '" << text << "'");
        ++refused;
      }
    }
  CHECK(read > 1000);
  CHECK(refused > 10000);
}

TEST_CASE("more decimals than the currency has are refused, zeros too", "[money][parse]") {
  const std::pair<std::string_view, std::string_view> cases[] = {{"4.500", "EUR"},  {"0.001", "EUR"},
                                                                 {"4.0", "JPY"},    {"4.5", "JPY"},
                                                                 {"1.2345", "KWD"}, {"1.23456", "CLF"}};
  for (const auto& [amount, currency] : cases) {
    CAPTURE(amount, currency);
    CHECK(money_error([&, amount = amount, currency = currency] { (void)Money::parse(amount, currency); }) ==
          money_errc::too_many_decimals);
  }
  CHECK_THROWS_WITH(Money::parse("4.5", "JPY"), support::contains("JPY has 0 decimals"));
}

TEST_CASE("the range ends at 10^38 - 1 minor units, exactly", "[money][overflow]") {
  const std::string most = nines_38.substr(2) + ".99";
  const Money top = Money::parse(most, "EUR"), bottom = Money::parse("-" + most, "EUR");
  CHECK(top.minor_units() == max_minor_units);
  CHECK(bottom.minor_units() == -max_minor_units);
  CHECK(top.amount() == most);
  CHECK(bottom.text() == "-" + most + " EUR");
  CHECK(-top == bottom);
  CHECK(Money::parse(nines_38, "JPY").amount() == nines_38);
  CHECK(cpp_int(max_minor_units) == cpp_int(nines_38));

  const auto overflows = [](auto&& call) { return money_error(call) == money_errc::overflow; };
  CHECK(overflows([&] { (void)Money::parse("1" + std::string(38, '0'), "JPY"); }));
  CHECK(overflows([&] { (void)Money::parse("1" + std::string(36, '0'), "EUR"); }));
  CHECK(overflows([&] { (void)Money::parse("-1" + std::string(36, '0') + ".00", "EUR"); }));
  CHECK(overflows([&] { (void)Money::parse(std::string(100'000, '9'), "EUR"); }));
  CHECK(overflows([&] { (void)Money::minor(MinorUnits(max_minor_units + 1), "EUR"); }));
  CHECK(overflows([&] { (void)Money::minor(MinorUnits(-max_minor_units - 1), "EUR"); }));

  const Money cent = Money::minor(1, "EUR");
  CHECK((top - cent) + cent == top);
  CHECK(overflows([&] { (void)(top + cent); }));
  CHECK(overflows([&] { (void)(bottom - cent); }));
  CHECK(overflows([&] { (void)(top + top); }));
  CHECK(overflows([&] { (void)(bottom - top); }));
  CHECK(overflows([&] { (void)(top * 2); }));
  CHECK(overflows([&] { (void)(bottom * std::numeric_limits<std::int64_t>::min()); }));
  CHECK(overflows([&] { (void)(top * std::numeric_limits<std::uint64_t>::max()); }));
  CHECK(top * 1 == top);
  CHECK(top * -1 == bottom);
  CHECK(top * 0 == Money::minor(0, "EUR"));

  Money sum = top;
  CHECK(overflows([&] { sum += cent; }));
  CHECK(overflows([&] { sum *= 10; }));
  CHECK(sum == top);
}

TEST_CASE("currencies do not mix", "[money][currency]") {
  const Money euro = Money::minor(450, "EUR"), dollar = Money::minor(450, "USD");
  const Money fine = Money::minor(450, Currency("EUR", 4));
  const auto mismatch = [](auto&& call) { return money_error(call) == money_errc::currency_mismatch; };
  for (const Money& other : {dollar, fine}) {
    CHECK(mismatch([&] { (void)(euro + other); }));
    CHECK(mismatch([&] { (void)(euro - other); }));
    CHECK(mismatch([&] { (void)(euro == other); }));
    CHECK(mismatch([&] { (void)(euro != other); }));
    CHECK(mismatch([&] { (void)(euro < other); }));
    CHECK(mismatch([&] { (void)(euro <=> other); }));
  }
  Money sum = euro;
  CHECK(mismatch([&] { sum += dollar; }));
  CHECK(sum == euro);
  CHECK_THROWS_WITH(euro + dollar, support::contains("EUR") && support::contains("USD"));
}

TEST_CASE("amounts cannot be kept in what has no minor unit", "[money][currency]") {
  for (const std::string_view code : {"XAU", "XAG", "XPT", "XPD", "XDR", "XSU", "XUA", "XBA", "XTS", "XXX"}) {
    CAPTURE(code);
    CHECK(money_error([&] { (void)Money::parse("1", code); }) == money_errc::unknown_currency);
    CHECK(money_error([&] { (void)Money::minor(1, code); }) == money_errc::unknown_currency);
    CHECK_THROWS_WITH(Money::minor(0, code), support::contains("no minor unit"));
  }
  CHECK(Money::parse("1.5", Currency("XAU", 5)).text() == "1.50000 XAU");
}

TEST_CASE("an amount outlives the currency object it was made with", "[money][currency]") {
  auto points = std::make_unique<Currency>("POINTS", 1);
  const Money money = Money::parse("12.5", *points);
  points.reset();
  CHECK(money.text() == "12.5 POINTS");
  CHECK(money.currency() == Currency("POINTS", 1));
  CHECK(Money::parse("0.000000000000000001", Currency("ETH", 18)).minor_units() == 1);
  CHECK(Money::parse("99999999." + std::string(30, '9'), Currency("NANO", 30)).minor_units() ==
        max_minor_units);
}

TEST_CASE("integers of every width mean their value", "[money]") {
  CHECK(Money::minor(std::numeric_limits<std::uint64_t>::max(), "JPY").amount() == "18446744073709551615");
  CHECK(Money::minor(std::numeric_limits<std::int64_t>::min(), "JPY").amount() == "-9223372036854775808");
  CHECK(Money::minor(std::int8_t{-5}, "JPY").amount() == "-5");
  CHECK(Money::minor(std::uint8_t{200}, "JPY").amount() == "200");
  CHECK((Money::minor(2, "JPY") * std::numeric_limits<std::uint64_t>::max()).amount() ==
        "36893488147419103230");
  CHECK((std::int8_t{-3} * Money::minor(7, "JPY")).amount() == "-21");
}

TEST_CASE("amounts are ordered within a currency", "[money]") {
  const auto yen = [](std::int64_t units) { return Money::minor(units, "JPY"); };
  CHECK(yen(-1) < yen(0));
  CHECK(yen(0) < yen(1));
  CHECK(yen(-2) < yen(-1));
  CHECK(yen(5) >= yen(5));
  CHECK(std::is_eq(yen(5) <=> yen(5)));
  CHECK(std::is_gt(yen(6) <=> yen(5)));
  CHECK(yen(0) == -yen(0));
  CHECK((-yen(0)).amount() == "0");
  CHECK(yen(0) * -1 == yen(0));
  CHECK((yen(0) * -1).amount() == "0");
  CHECK((yen(3) - yen(3)).amount() == "0");
}

TEST_CASE("printing respects width and no locale", "[money]") {
  struct Grouping : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  std::ostringstream out;
  out.imbue(std::locale(std::locale::classic(), new Grouping));
  out << std::setw(14) << Money::parse("-1234567.80", "EUR") << '|';
  CHECK(out.str() == "-1234567.80 EUR|");
  out.str("");
  out << std::setw(10) << Money::parse("4.50", "EUR") << '|';
  CHECK(out.str() == "  4.50 EUR|");
}

TEST_CASE("errors never repeat what was to be read", "[money][errors]") {
  for (const auto& [amount, currency] :
       {std::pair{"4111111111111111x", "EUR"}, {"4", "4111111111111111"}, {"0.4111111111111111", "EUR"}}) {
    try {
      (void)Money::parse(amount, currency);
      FAIL("accepted");
    } catch (const MoneyError& error) {
      CHECK(std::string(error.what()).find("4111") == std::string::npos);
    }
  }
}

TEST_CASE("sums, differences and products agree with unbounded integers", "[money][property]") {
  std::mt19937_64 random(20260101);
  const cpp_int most(nines_38);
  int kept = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    const MinorUnits a = random_units(random, 38), b = random_units(random, 38);
    const auto factor = static_cast<std::int64_t>(random() >> (random() % 64)) * (round % 2 == 0 ? 1 : -1);
    const Money x = Money::minor(a, "CLF"), y = Money::minor(b, "CLF");
    const auto agrees = [&](const cpp_int& exact, auto&& call) {
      const bool fits = exact <= most && exact >= -most;
      try {
        if (wide(call()) != exact || !fits) FAIL(a << " " << b << " " << factor);
        ++kept;
      } catch (const MoneyError& error) {
        if (fits || error.code() != money_errc::overflow) FAIL(a << " " << b << " " << factor);
        ++refused;
      }
    };
    agrees(cpp_int(a) + cpp_int(b), [&] { return x + y; });
    agrees(cpp_int(a) - cpp_int(b), [&] { return x - y; });
    agrees(cpp_int(a) * factor, [&] { return x * factor; });
    agrees(-cpp_int(a), [&] { return -x; });
    if ((x < y) != (a < b) || (x == y) != (a == b)) FAIL(a << " " << b);
  }
  CHECK(kept > 50'000);
  CHECK(refused > 1'000);
}

TEST_CASE("text and value agree for random amounts and exponents", "[money][property]") {
  std::mt19937_64 random(4217);
  for (int round = 0; round < 20'000; ++round) {
    const int exponent = static_cast<int>(random() % 31);
    const Currency currency("TOKEN", exponent);
    const Money money = Money::minor(random_units(random, 38), currency);
    const std::string amount = money.amount();
    if (units_by_schoolbook(amount, exponent) != wide(money)) FAIL(amount);
    if (Money::parse(amount, currency) != money) FAIL(amount);
    if (const auto dot = amount.find('.'); (dot == std::string::npos) != (exponent == 0) ||
                                           (exponent > 0 && amount.size() - dot - 1 != std::size_t(exponent)))
      FAIL(amount);
    if (Codec<Money>::decode(Codec<Money>::encode(money)) != money) FAIL(amount);
  }
}

TEST_CASE("the codec writes text and reads back nothing else", "[money][codec]") {
  static_assert(Encodable<Money>);
  CHECK(Codec<Money>::format == "money");
  CHECK(Codec<Money>::encode(Money::parse("4.5", "EUR")) == "4.50 EUR");
  CHECK(Codec<Money>::decode("4.50 EUR") == Money::parse("4.50", "EUR"));
  CHECK(Codec<Money>::decode("-7 JPY") == Money::minor(-7, "JPY"));
  CHECK(Codec<Money>::decode("1.0000 EUR") == Money::minor(10'000, Currency("EUR", 4)));
  CHECK(Codec<Money>::decode("3.00 BGN") == Money::minor(300, Currency("BGN", 2)));
  for (const std::string_view bytes :
       {"", " ", "4.50", "4.50EUR", "4.50  EUR", " 4.50 EUR", "4.50 EUR ", "EUR 4.50", "4.50 eur", "4.50 ",
        " EUR", "-0.00 EUR", "04.50 EUR", "4. EUR", "4.50\tEUR", "4.50 EUR\n", "1e3 EUR",
        "0.0000000000000000000000000000001 EUR", "100000000000000000000000000000000000000 JPY"}) {
    CAPTURE(bytes);
    try {
      (void)Codec<Money>::decode(bytes);
      FAIL("read");
    } catch (const Error& error) {
      CHECK(error.code() == errc::codec_failure);
    }
  }
}

TEST_CASE("a fingerprint takes the canonical amount and the code", "[money][fingerprint]") {
  std::vector<std::string> parts;
  const auto sink = [&](std::string_view part) { parts.emplace_back(part); };
  fingerprint_parts(sink, Money::parse("4.5", "EUR"));
  fingerprint_parts(sink, Money::parse("-0", Currency("EUR", 4)));
  CHECK(parts == std::vector<std::string>{"4.50", "EUR", "0.0000", "EUR"});
}

TEST_CASE("amounts fingerprint alike however they were written", "[money][fingerprint]") {
  const Money price = Money::parse("4.50", "EUR");
  CHECK(fingerprint("order", price) == fingerprint("order", Money::parse("4.5", "EUR")));
  CHECK(fingerprint("order", price) == fingerprint("order", Money::minor(450, Currency("EUR", 2))));
  CHECK(fingerprint("order", price) != fingerprint("order", Money::parse("4.51", "EUR")));
  CHECK(fingerprint("order", price) != fingerprint("order", Money::parse("4.50", "USD")));
  CHECK(fingerprint("order", price) != fingerprint("order", Money::parse("4.50", Currency("EUR", 4))));
}
