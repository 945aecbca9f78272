// The reconcile function answers with a PaymentResult of the payment's own type.
// expect: the reconcile function must return PaymentResult<R>
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(
      key, paidonce::fingerprint(1), [] { return 1; },
      [](const paidonce::Record&) -> paidonce::PaymentResult<int> {
        return paidonce::in_doubt("not found");
      });
#else
  (void)guard.execute(
      key, paidonce::fingerprint(1), [] { return 1; }, [](const paidonce::Record&) { return true; });
#endif
}
