// not_executed alone has no result type.
// expect: not_executed and in_doubt carry no result type
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), []() -> paidonce::PaymentResult<std::string> {
    return paidonce::not_executed("offline");
  });
#else
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return paidonce::not_executed("offline"); });
#endif
}
