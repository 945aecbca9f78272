// A guard, and the store with the most code, can be instantiated explicitly, once for a program.
#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/testing/archetypes.hpp>
#include <paidonce/testing/manual_clock.hpp>

namespace instantiation {

struct LockWithoutDefault {
  using Hold = paidonce::NoLock::Hold;
  explicit LockWithoutDefault(int) {}
  std::optional<Hold> acquire(const paidonce::IdempotencyKey&, paidonce::Duration) { return Hold{}; }
};

}  // namespace instantiation

template class paidonce::IdempotencyGuard<paidonce::MemoryStore>;
template class paidonce::IdempotencyGuard<paidonce::MemoryStore&, paidonce::KeyedMutex&,
                                          paidonce::ManualClock&>;
template class paidonce::IdempotencyGuard<paidonce::MemoryStore, instantiation::LockWithoutDefault>;
template class paidonce::IdempotencyGuard<paidonce::MemoryStore&, paidonce::KeyedMutex&,
                                          paidonce::ManualClock&, paidonce::NoObserver&>;

template class paidonce::BasicFileStore<>;
template class paidonce::IdempotencyGuard<paidonce::FileStore>;
