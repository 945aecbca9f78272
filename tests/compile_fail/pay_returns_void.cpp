// A payment returns something to replay.
// expect: a payment must return something to replay: return succeeded(value)
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return paidonce::succeeded("paid"); });
#else
  (void)guard.execute(key, paidonce::fingerprint(1), [] {});
#endif
}
