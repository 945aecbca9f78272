#include "every.hpp"

#include <cstdio>

std::error_code full_in_two();
paidonce::Fingerprint fingerprint_in_two();

int main() {
  const bool agree = full_in_two() == paidonce::errc::store_full &&
                     fingerprint_in_two() == paidonce::fingerprint("order-1001", "4.50", "EUR");
  std::puts(agree ? "one and two agree" : "one and two differ");
  return agree ? 0 : 1;
}
