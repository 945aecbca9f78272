// Whoever pays looks at the outcome.
// expect: nodiscard
#include <paidonce/paidonce.hpp>
#pragma GCC diagnostic error "-Wunused-result"

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return 1; });
#else
  guard.execute(key, paidonce::fingerprint(1), [] { return 1; });
#endif
}
