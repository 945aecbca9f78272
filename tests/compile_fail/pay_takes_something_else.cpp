// The callable takes Attempt& or nothing.
// expect: the payment callable takes Attempt& or nothing
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), [](paidonce::Attempt&) { return 1; });
#else
  (void)guard.execute(key, paidonce::fingerprint(1), [](std::string) { return 1; });
#endif
}
