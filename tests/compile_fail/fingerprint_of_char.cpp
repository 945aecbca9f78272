// A single character is signed on some machines and not on others.
// expect: a single character is not a part
#include <paidonce/fingerprint.hpp>

#include <string_view>

int main() {
  const char grade = 'A';
#ifdef FIXED
  paidonce::fingerprint("order-1001", std::string_view(&grade, 1));
#else
  paidonce::fingerprint("order-1001", grade);
#endif
}
