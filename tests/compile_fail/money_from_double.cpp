// An amount is never made from floating point.
// expect: write Money::parse("4.50", "EUR")
#include <paidonce/money/money.hpp>

#ifdef FIXED
paidonce::Money price = paidonce::Money::parse("4.50", "EUR");
#else
paidonce::Money price = paidonce::Money::minor(4.50, "EUR");
#endif
