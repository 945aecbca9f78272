// Nobody knows where the text behind a pointer ends, or that it is text.
// expect: a pointer is not a part; write std::string_view(pointer)
#include <paidonce/fingerprint.hpp>

#include <string_view>

int main() {
  const char* currency = "EUR";
#ifdef FIXED
  paidonce::fingerprint("order-1001", std::string_view(currency));
#else
  paidonce::fingerprint("order-1001", currency);
#endif
}
