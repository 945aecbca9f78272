// What the provider said is a PaymentResult: a value by itself does not say whether it was charged.
// expect: the function that asks the provider returns PaymentResult<R>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/recover.hpp>

#include <string>

void settle(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard) {
#ifdef FIXED
  (void)paidonce::recover(guard, [](const paidonce::Doubt&) -> paidonce::PaymentResult<std::string> {
    return paidonce::succeeded("receipt");
  });
#else
  (void)paidonce::recover(guard, [](const paidonce::Doubt&) { return std::string("receipt"); });
#endif
}
