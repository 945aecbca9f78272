#include <iostream>
#include <paidonce/paidonce.hpp>

using namespace paidonce;

int main() {
  IdempotencyGuard guard{MemoryStore{}};
  const IdempotencyKey key{"coffee-shop", "order-1001"};                 // who asks, and what they call it
  const Fingerprint request = fingerprint("order-1001", "4.50", "EUR");  // what they ask for
  int charges = 0;
  const auto pay = [&](Attempt&) -> PaymentResult<std::string> {
    ++charges;                       // here you call your provider, with attempt.provider_key()
    return succeeded("receipt 17");  // or declined(reply), not_executed("why"), in_doubt("why")
  };
  const auto first = guard.execute(key, request, pay);
  const auto again = guard.execute(key, request, pay);  // a double click, a retry, a message sent twice
  if (!first.succeeded() || !again.replayed()) return 1;
  std::cout << first.response() << ", " << again.response() << ": charged " << charges << " time(s)\n";
}
