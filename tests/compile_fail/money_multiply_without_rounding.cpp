// There is no default rounding.
// expect: Rounding mode
#include <paidonce/money/money.hpp>

paidonce::Money quarter(const paidonce::Money& money) {
#ifdef FIXED
  return multiply(money, "0.25", paidonce::Rounding::half_even);
#else
  return multiply(money, "0.25");
#endif
}
