// An amount in floating point has no exact value to take a digest of.
// expect: floating point is not a part; write the amount as text
#include <paidonce/fingerprint.hpp>

int main() {
#ifdef FIXED
  paidonce::fingerprint("order-1001", "4.50");
#else
  paidonce::fingerprint("order-1001", 4.50);
#endif
}
