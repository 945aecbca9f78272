// The snippet of the page about money.

#include <cstdint>
#include <iostream>
#include <paidonce/money/money.hpp>

// clang-format off
[[maybe_unused]] static void overview() {
  // [overview]
  #include <paidonce/money/money.hpp>
  using namespace paidonce;

  const Money price = Money::parse("19.99", "EUR");        // exact, or MoneyError
  const Money basket = 3 * price + Money::minor(450, "EUR");
  std::cout << basket;                                      // 64.47 EUR
  basket.minor_units();                                     // 6447

  const Money tax = multiply(basket, "0.19", Rounding::half_even);   // 12.25 EUR: 12.2493 rounded once

  const std::int64_t weights[] = {1, 1, 1};
  allocate(Money::parse("100.00", "EUR"), weights);         // 33.34, 33.33, 33.33

  const Currency points{"POINTS", 0};                       // one's own: any code, 0 to 30 decimals
  Money::parse("1200", points);                             // keeps the currency by value
  // [/overview]
  static_cast<void>(tax);
}
// clang-format on
