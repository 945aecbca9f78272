// A bool does not say whether false means declined, not sent or unknown.
// expect: bool does not say what happened
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return paidonce::declined("no funds"); });
#else
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return false; });
#endif
}
