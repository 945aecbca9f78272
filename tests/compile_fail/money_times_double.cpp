// A rate is text, and its rounding is named.
// expect: write multiply(money, "0.25", Rounding::half_even)
#include <paidonce/money/money.hpp>

paidonce::Money quarter(const paidonce::Money& money) {
#ifdef FIXED
  return multiply(money, "0.25", paidonce::Rounding::half_even);
#else
  return money * 0.25;
#endif
}
