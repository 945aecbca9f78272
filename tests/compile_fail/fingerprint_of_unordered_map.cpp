// An unordered container lists equal contents in different orders.
// expect: a container without an order is not a part
#include <paidonce/fingerprint.hpp>

#include <map>
#include <string>
#include <unordered_map>

int main() {
  const std::unordered_map<std::string, int> items{{"cup", 2}};
#ifdef FIXED
  paidonce::fingerprint("order-1001", std::map<std::string, int>(items.begin(), items.end()));
#else
  paidonce::fingerprint("order-1001", items);
#endif
}
