// Guard, decorator and suites ask for no more than the concepts say: they compile with types that offer no
// more.

#include <concepts>
#include <type_traits>

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/archetypes.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/lock_conformance.hpp>
#include <paidonce/testing/store_conformance.hpp>

using namespace paidonce;

static_assert(!std::copy_constructible<StoreArchetype> && !std::is_move_assignable_v<StoreArchetype> &&
              !std::default_initializable<StoreArchetype> && !std::equality_comparable<StoreArchetype>);
static_assert(!std::move_constructible<PinnedStoreArchetype>);
static_assert(!std::default_initializable<LockArchetype::Hold> &&
              !std::equality_comparable<LockArchetype::Hold>);
static_assert(!std::default_initializable<ResultArchetype> && !std::copy_constructible<ResultArchetype>);

namespace {

constexpr MakeArchetype make;

template <class Guard>
[[maybe_unused]] void use(Guard& guard) {
  const IdempotencyKey key("scope", "text");
  const auto pay = [](Attempt&) { return ResultArchetype{make}; };
  const auto reconcile = [](const Record&) -> PaymentResult<ResultArchetype> { return in_doubt("unknown"); };
  (void)guard.execute(key, Fingerprint(), pay);
  (void)guard.execute(key, Fingerprint(), pay, reconcile, {});
  (void)guard.template reconcile<ResultArchetype>(key, reconcile);
  (void)guard.resolve(key, succeeded(ResultArchetype{make}), "actor", "why");
  guard.resolve(key, State::released, "", "", "actor", "why");
  (void)guard.find(key);
  guard.shut_down();
  (void)guard.store().find(key);
  (void)guard.clock().now();
}

[[maybe_unused]] void a_guard_that_owns_archetypes() {
  IdempotencyGuard guard(StoreArchetype{make}, LockArchetype{make}, ClockArchetype{make}, {},
                         ObserverArchetype{make});
  static_assert(
      std::same_as<decltype(guard),
                   IdempotencyGuard<StoreArchetype, LockArchetype, ClockArchetype, ObserverArchetype>>);
  use(guard);
}

[[maybe_unused]] void a_guard_that_refers_to_archetypes(PinnedStoreArchetype& store, LockArchetype& lock,
                                                        ClockArchetype& clock, ObserverArchetype& observer) {
  IdempotencyGuard guard(store, lock, clock, {}, observer);
  static_assert(std::same_as<decltype(guard), IdempotencyGuard<PinnedStoreArchetype&, LockArchetype&,
                                                               ClockArchetype&, ObserverArchetype&>>);
  use(guard);
}

[[maybe_unused]] void a_decorated_archetype() {
  FaultStore store{StoreArchetype{make}};
  (void)store.find(IdempotencyKey("scope", "text"));
}

struct StoreFixture {
  StoreArchetype make() { return StoreArchetype(MakeArchetype()); }
};
struct PinnedStoreFixture {
  PinnedStoreArchetype make() { return PinnedStoreArchetype(MakeArchetype()); }
};
struct LockFixture {
  LockArchetype make() { return LockArchetype(MakeArchetype()); }
};

[[maybe_unused]] void the_suites() {
  (void)run_store_conformance(StoreFixture{});
  (void)run_store_conformance(PinnedStoreFixture{});
  (void)run_lock_conformance(LockFixture{});
}

}  // namespace
