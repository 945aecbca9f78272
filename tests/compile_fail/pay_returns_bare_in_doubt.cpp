// in_doubt alone has no result type.
// expect: not_executed and in_doubt carry no result type
#include <paidonce/paidonce.hpp>

void pay(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key) {
#ifdef FIXED
  (void)guard.execute(key, paidonce::fingerprint(1), []() -> paidonce::PaymentResult<std::string> {
    return paidonce::in_doubt("no reply");
  });
#else
  (void)guard.execute(key, paidonce::fingerprint(1), [] { return paidonce::in_doubt("no reply"); });
#endif
}
