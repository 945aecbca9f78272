// A result in a result would hide what happened.
// expect: a PaymentResult inside a PaymentResult
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return paidonce::succeeded("paid"); });
#else
  (void)guard.execute(key, paidonce::fingerprint(1),
                      [] { return paidonce::succeeded(paidonce::succeeded("paid")); });
#endif
}
