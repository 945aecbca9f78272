#include <paidonce/money/currency.hpp>

#include <array>
#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "money_support.hpp"
#include "support/catch.hpp"

using namespace paidonce;

TEST_CASE("codes of ISO 4217 have the exponents of the standard", "[money][currency]") {
  const std::pair<std::string_view, int> expected[] = {
      {"EUR", 2},  {"USD", 2},  {"GBP", 2},  {"CHF", 2},  {"MRU", 2},  {"MGA", 2},  {"AED", 2},  {"ZWG", 2},
      {"XCG", 2},  {"XAD", 2},  {"XCD", 2},  {"SLE", 2},  {"VED", 2},  {"HUF", 2},  {"COP", 2},  {"TWD", 2},
      {"BIF", 0},  {"CLP", 0},  {"DJF", 0},  {"GNF", 0},  {"ISK", 0},  {"JPY", 0},  {"KMF", 0},  {"KRW", 0},
      {"PYG", 0},  {"RWF", 0},  {"UGX", 0},  {"UYI", 0},  {"VND", 0},  {"VUV", 0},  {"XAF", 0},  {"XOF", 0},
      {"XPF", 0},  {"BHD", 3},  {"IQD", 3},  {"JOD", 3},  {"KWD", 3},  {"LYD", 3},  {"OMR", 3},  {"TND", 3},
      {"CLF", 4},  {"UYW", 4},  {"XAU", -1}, {"XAG", -1}, {"XPT", -1}, {"XPD", -1}, {"XDR", -1}, {"XSU", -1},
      {"XUA", -1}, {"XBA", -1}, {"XBB", -1}, {"XBC", -1}, {"XBD", -1}, {"XTS", -1}, {"XXX", -1}};
  for (const auto& [code, exponent] : expected) {
    CAPTURE(code);
    CHECK(Currency::of(code).code() == code);
    CHECK(Currency::of(code).exponent() == exponent);
  }
}

TEST_CASE("the table holds each of the standard's 178 codes once, with its census of exponents",
          "[money][currency]") {
  std::map<int, int> census;
  std::string_view last;
  for (const Currency& currency : detail::iso4217_table) {
    CAPTURE(currency.code());
    CHECK(last < currency.code());
    CHECK(currency.code().size() == 3);
    CHECK(&Currency::of(currency.code()) == &currency);
    last = currency.code();
    ++census[currency.exponent()];
  }
  CHECK(census == std::map<int, int>{{-1, 13}, {0, 17}, {2, 139}, {3, 7}, {4, 2}});
}

TEST_CASE("a code outside the current list is refused", "[money][currency]") {
  for (const std::string_view code :
       {"",    "E",   "EU",  "EURO", "eur", "Eur", "EUR ", " EUR", "AAA", "ZZZ",
        "978", "ANG", "BGN", "CUC",  "HRK", "SLL", "ZWL",  "DEM",  "BTC", "\xff\xff\xff"}) {
    CAPTURE(code);
    CHECK(money_error([&] { (void)Currency::of(code); }) == money_errc::unknown_currency);
  }
  CHECK(money_error([] { (void)Currency::of(std::string_view("EU\0", 3)); }) == money_errc::unknown_currency);
}

TEST_CASE("every three-letter text is either in the table or refused", "[money][currency]") {
  int known = 0, refused = 0;
  for (char a = 'A'; a <= 'Z'; ++a)
    for (char b = 'A'; b <= 'Z'; ++b)
      for (char c = 'A'; c <= 'Z'; ++c) {
        const std::string code{a, b, c};
        const bool listed = (" " + std::string(detail::Iso4217::codes)).find(" " + code) != std::string::npos;
        try {
          if (Currency::of(code).code() != code || !listed) FAIL(code);
          ++known;
        } catch (const MoneyError&) {
          if (listed) FAIL(code);
          ++refused;
        }
      }
  CHECK(known == 178);
  CHECK(refused == 26 * 26 * 26 - 178);
}

TEST_CASE("a currency of one's own is checked", "[money][currency]") {
  CHECK(Currency("POINTS", 0).code() == "POINTS");
  CHECK(Currency("USDC", 6).exponent() == 6);
  CHECK(Currency("A", 30).exponent() == 30);
  CHECK(Currency("ABCDEFGHIJ1234", 0).code() == "ABCDEFGHIJ1234");
  for (const std::string_view code :
       {"", "ABCDEFGHIJ12345", "usd", "1INCH", "9LIVES", "A B", "A-B", "A\n", "\xc3\x89UR", "A.B", " A"}) {
    CAPTURE(code);
    CHECK(money_error([&] { (void)Currency(code, 2); }) == money_errc::unknown_currency);
  }
  for (const int exponent : {-1, -2, 31, 256, 258, 1 << 20, -(1 << 20)}) {
    CAPTURE(exponent);
    CHECK(money_error([&] { (void)Currency("ABC", exponent); }) == money_errc::unknown_currency);
  }
}

TEST_CASE("two currencies are one when code and exponent are", "[money][currency]") {
  CHECK(Currency("EUR", 2) == Currency::of("EUR"));
  CHECK(Currency("EUR", 4) != Currency::of("EUR"));
  CHECK(Currency("EURX", 2) != Currency("EUR", 2));
  CHECK(Currency("AA", 3) < Currency("AB", 2));
  CHECK(Currency("AB", 2) < Currency("AB", 3));
  CHECK(Currency("A", 9) < Currency("AB", 2));
  CHECK(std::is_eq(Currency("AB", 2) <=> Currency("AB", 2)));
}

TEST_CASE("money errors compare by code and say what to do", "[money][errors]") {
  const MoneyError plain(money_errc::overflow);
  CHECK(plain.code() == money_errc::overflow);
  CHECK(plain.code().category() == money_category());
  CHECK(std::string(money_category().name()) == "paidonce.money");
  for (int value = 1; value <= 6; ++value)
    CHECK(money_category().message(value).find("unknown money error") == std::string::npos);
  CHECK(money_category().message(7) == "unknown money error 7");
  CHECK_THROWS_WITH(Currency::of("BGN"), support::contains("Currency{code, decimals}"));
}
