// An observer promises not to throw: it is told of payments that have happened.
// expect: Observer
#include <paidonce/paidonce.hpp>

struct Loud {
  template <class Event>
#ifdef FIXED
  void on(const Event&) noexcept {
  }
#else
  void on(const Event&) {
  }
#endif
};

using Guard =
    paidonce::IdempotencyGuard<paidonce::MemoryStore, paidonce::NoLock, paidonce::SystemClock, Loud>;
Guard& guard();
auto found = guard().find(paidonce::IdempotencyKey{"", "x"});
