// A guard stays where it is: attempts and waiters refer to it.
// expect: deleted
#include <paidonce/paidonce.hpp>

void copy(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard) {
#ifdef FIXED
  auto& same = guard;
#else
  auto same = guard;
#endif
  (void)same;
}
