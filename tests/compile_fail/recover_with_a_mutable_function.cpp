// Several threads ask at a time.
// expect: it must be callable when const
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/recover.hpp>

#include <string>

void settle(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard) {
  using Said = paidonce::PaymentResult<std::string>;
#ifdef FIXED
  (void)paidonce::recover(guard, [](const paidonce::Doubt&) -> Said { return paidonce::in_doubt("?"); });
#else
  (void)paidonce::recover(guard, [asked = 0](const paidonce::Doubt&) mutable -> Said {
    ++asked;
    return paidonce::in_doubt("?");
  });
#endif
}
