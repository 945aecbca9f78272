// Which types are stores, locks, clocks, observers and results, and which only look like one.

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/archetypes.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

using namespace paidonce;

namespace {

// Stores.
static_assert(Store<MemoryStore> && Store<MemoryStore&> && Store<StoreArchetype> &&
              Store<PinnedStoreArchetype&>);
static_assert(ScannableStore<MemoryStore> && SweepableStore<MemoryStore>);
static_assert(!ScannableStore<StoreArchetype> && !SweepableStore<StoreArchetype> &&
              !HolderAwareStore<StoreArchetype> && !TransactionalStore<StoreArchetype>);
static_assert(!Store<const MemoryStore>, "a store that cannot be written to");
static_assert(!Store<int> && !Store<KeyedMutex> && !Store<MemoryStore*> &&
              !Store<std::shared_ptr<MemoryStore>>);

struct FindsReferences {
  const std::optional<Record>& find(const IdempotencyKey&);
  std::optional<Record> insert(const IdempotencyKey&, const Record&);
  bool replace(const IdempotencyKey&, Version, const Record&);
};
struct InsertsWithBool {
  std::optional<Record> find(const IdempotencyKey&);
  bool insert(const IdempotencyKey&, const Record&);
  bool replace(const IdempotencyKey&, Version, const Record&);
};
struct ReplacesWithNothing {
  std::optional<Record> find(const IdempotencyKey&);
  std::optional<Record> insert(const IdempotencyKey&, const Record&);
  void replace(const IdempotencyKey&, Version, const Record&);
};
struct ReplacesUnconditionally {
  std::optional<Record> find(const IdempotencyKey&);
  std::optional<Record> insert(const IdempotencyKey&, const Record&);
  bool replace(const IdempotencyKey&, const Record&);
};
static_assert(!Store<FindsReferences> && !Store<InsertsWithBool> && !Store<ReplacesWithNothing> &&
              !Store<ReplacesUnconditionally>);

struct SweepsWithoutCount : MemoryStore {
  void erase_expired(Timestamp, std::size_t);
};
static_assert(Store<SweepsWithoutCount> && !SweepableStore<SweepsWithoutCount>);

struct TransactsWithSomethingElse : MemoryStore {
  using Transaction = int;  // is no store
  template <class Body>
  void transact(Body&&);
};
static_assert(!TransactionalStore<TransactsWithSomethingElse>);

// Locks.
static_assert(Lock<KeyedMutex> && Lock<KeyedMutex&> && Lock<NoLock> && Lock<LockArchetype>);
static_assert(InterruptibleLock<KeyedMutex> && !InterruptibleLock<LockArchetype>);
static_assert(!Lock<int> && !Lock<MemoryStore>);

struct CopyableHold {
  struct Hold {};
  std::optional<Hold> acquire(const IdempotencyKey&, Duration);
};
struct BoolLock {
  using Hold = std::unique_ptr<int>;
  bool acquire(const IdempotencyKey&, Duration);
};
struct NeverFails {
  using Hold = std::unique_ptr<int>;
  Hold acquire(const IdempotencyKey&, Duration);
};
struct InterruptMayThrow : NoLock {
  void interrupt();
};
static_assert(!Lock<CopyableHold>, "two holds of one lock");
static_assert(!Lock<BoolLock> && !Lock<NeverFails>);
static_assert(Lock<InterruptMayThrow> && !InterruptibleLock<InterruptMayThrow>);

// Clocks.
static_assert(Clock<SystemClock> && Clock<ManualClock> && Clock<ManualClock&> && Clock<ClockArchetype>);
struct SecondsClock {
  std::chrono::sys_seconds now();
};
struct SteadyClock {
  std::chrono::steady_clock::time_point now();
};
static_assert(!Clock<SecondsClock> && !Clock<SteadyClock> && !Clock<int>);

// Observers.
struct Generic {
  template <class Event>
  void on(const Event&) noexcept;
};
struct MayThrow {
  template <class Event>
  void on(const Event&);
};
struct Partial {
  void on(const events::Began&) noexcept;
  void on(const events::Completed&) noexcept;
};
struct PartialWithRest {
  void on(const events::InDoubt&) noexcept;
  template <class Event>
  void on(const Event&) noexcept;
};
static_assert(Observer<NoObserver> && Observer<ObserverArchetype> && Observer<Generic> &&
              Observer<Generic&> && Observer<PartialWithRest>);
static_assert(!Observer<MayThrow> && !Observer<Partial> && !Observer<int>);

// Results.
static_assert(Encodable<std::string> && Encodable<int> && Encodable<unsigned long long> &&
              Encodable<signed char>);
static_assert(Encodable<std::vector<std::byte>> && Encodable<std::vector<unsigned char>>);
static_assert(Encodable<ResultArchetype>);
static_assert(!Encodable<bool> && !Encodable<char> && !Encodable<wchar_t> && !Encodable<char32_t>,
              "characters and truth values are not whole numbers");
static_assert(!Encodable<double> && !Encodable<const char*> && !Encodable<std::vector<int>> &&
              !Encodable<void*>);
enum class Channel { card };
static_assert(!Encodable<Channel> && !Encodable<std::optional<std::string>>);

// A record is a plain value.
static_assert(std::regular<Record> && std::is_aggregate_v<Record>);
static_assert(std::is_nothrow_move_constructible_v<Record>);

}  // namespace
