#pragma once
// A store around a store that fails when it is told to: the call never arrives, its reply is lost, or the
// write arrives long after its caller was told that the connection broke.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/observer.hpp>
#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

enum class FaultKind : std::uint8_t {
  throws_before,  ///< the operation never reaches the store
  throws_after,   ///< the operation is done; its reply is lost
  lands_later,  ///< as throws_before, but a write reaches the store later, if its condition still holds then
};

/// Which operations fail, and how. `Fault{FaultKind::throws_after, 3}`: the third one from now on.
struct Fault {
  static constexpr std::size_t for_ever = SIZE_MAX;

  FaultKind kind = FaultKind::throws_before;
  std::size_t at = 1;     ///< the first to fail, counted from 1, from when the fault is injected
  std::size_t times = 1;  ///< how many fail, one after the other
  std::optional<events::StoreCall> only = {};  ///< counts and fails operations of this kind alone
  std::size_t delay = 0;  ///< lands_later: how many further operations go before the late write lands
  errc code = errc::store_unavailable;
};

namespace detail {

template <class S>
struct ForwardTransaction {};
template <TransactionalStore S>
struct ForwardTransaction<S> {
  using Transaction = typename std::remove_reference_t<S>::Transaction;
};

}  // namespace detail

/// Decorates any store: `FaultStore store{MemoryStore{}}` owns it, `FaultStore store{other}` refers to it. A
/// movable handle; any number of threads may call anything on it. Refinements of the store below go through
/// untouched: only find, insert and replace count and fail.
template <class S>
class FaultStore : public detail::ForwardTransaction<S> {
 public:
  static constexpr bool local_find = detail::has_local_find<S>();

  explicit FaultStore(std::type_identity_t<S> store) : store_(std::forward<S>(store)) {}

  /// Adds a fault to those that are there. The first one that applies to an operation decides.
  void inject(Fault fault) {
    std::lock_guard lock(state_->mutex);
    state_->faults.push_back({fault, 0});
  }

  /// Forgets all faults. Writes that are still to land stay under way.
  void heal() {
    std::lock_guard lock(state_->mutex);
    state_->faults.clear();
  }

  /// Lets all late writes land now.
  void land() { land(take_due(Due::all)); }

  /// Called before each operation, on its thread, whether it fails or not. It may use the store below.
  void probe(std::function<void(events::StoreCall, const IdempotencyKey&)> probe) {
    auto shared = std::make_shared<const Probe>(std::move(probe));
    std::lock_guard lock(state_->mutex);
    state_->probe = std::move(shared);
  }

  /// Operations called so far, those that failed included.
  std::size_t operations() const {
    std::lock_guard lock(state_->mutex);
    return state_->calls[0] + state_->calls[1] + state_->calls[2];
  }
  std::size_t operations(events::StoreCall call) const {
    std::lock_guard lock(state_->mutex);
    return state_->calls[static_cast<std::size_t>(call)];
  }
  /// Operations that this decorator made fail.
  std::size_t failures() const {
    std::lock_guard lock(state_->mutex);
    return state_->failures;
  }

  /// The store below.
  std::remove_reference_t<S>& inner() noexcept { return store_; }

  std::optional<Record> find(const IdempotencyKey& key) {
    return operate(events::StoreCall::find, key, nullptr, 0, [&] { return store_.find(key); });
  }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    return operate(events::StoreCall::insert, key, &record, 0, [&] { return store_.insert(key, record); });
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    return operate(events::StoreCall::replace, key, &record, expected,
                   [&] { return store_.replace(key, expected, record); });
  }

  template <class Visitor>
  requires ScannableStore<S>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    store_.scan(filter, std::forward<Visitor>(visitor));
  }
  std::size_t erase_expired(Timestamp now, std::size_t limit) requires SweepableStore<S> {
    return store_.erase_expired(now, limit);
  }
  bool holder_gone(const IdempotencyKey& key, const Record& record) requires HolderAwareStore<S> {
    return store_.holder_gone(key, record);
  }
  template <class Body>
  requires TransactionalStore<S>
  decltype(auto) transact(Body&& body) { return store_.transact(std::forward<Body>(body)); }

 private:
  using Probe = std::function<void(events::StoreCall, const IdempotencyKey&)>;
  enum class Due { now, all };

  struct Armed {
    Fault fault;
    std::size_t seen;
  };
  struct LateWrite {
    events::StoreCall call;
    IdempotencyKey key;
    Version expected;
    Record record;
    std::size_t delay;
  };
  struct State {
    std::mutex mutex = {};
    std::vector<Armed> faults = {};
    std::vector<LateWrite> late = {};
    std::size_t calls[3] = {0, 0, 0};
    std::size_t failures = 0;
    std::shared_ptr<const Probe> probe = {};
  };

  template <class Operation>
  auto operate(events::StoreCall call, const IdempotencyKey& key, const Record* record, Version expected,
               Operation operation) {
    if (const auto probe = current_probe(); probe && *probe) (*probe)(call, key);
    land(take_due(Due::now));
    const std::optional<Fault> fault = count(call, key, record, expected);
    if (!fault) return operation();
    if (fault->kind == FaultKind::throws_after) operation();
    throw Error(fault->code, "injected fault");
  }

  std::shared_ptr<const Probe> current_probe() const {
    std::lock_guard lock(state_->mutex);
    return state_->probe;
  }

  /// Counts this operation and says how it fails, if it does.
  std::optional<Fault> count(events::StoreCall call, const IdempotencyKey& key, const Record* record,
                             Version expected) {
    std::lock_guard lock(state_->mutex);
    ++state_->calls[static_cast<std::size_t>(call)];
    std::optional<Fault> chosen;
    for (Armed& armed : state_->faults) {
      if (armed.fault.only && *armed.fault.only != call) continue;
      const std::size_t number = ++armed.seen;
      if (!chosen && number >= armed.fault.at && number - armed.fault.at < armed.fault.times)
        chosen = armed.fault;
    }
    if (chosen) ++state_->failures;
    if (chosen && chosen->kind == FaultKind::lands_later && record)
      state_->late.push_back({call, key, expected, *record, chosen->delay});
    return chosen;
  }

  std::vector<LateWrite> take_due(Due due) {
    std::lock_guard lock(state_->mutex);
    std::vector<LateWrite> taken, left;
    for (LateWrite& write : state_->late) {
      if (due == Due::all || write.delay == 0) {
        taken.push_back(std::move(write));
      } else {
        --write.delay;
        left.push_back(std::move(write));
      }
    }
    state_->late = std::move(left);
    return taken;
  }

  /// Nobody waits for the reply of a late write, so nobody is told what became of it.
  void land(const std::vector<LateWrite>& writes) {
    for (const LateWrite& write : writes) try {
        if (write.call == events::StoreCall::insert)
          store_.insert(write.key, write.record);
        else
          store_.replace(write.key, write.expected, write.record);
      } catch (const Error&) {
      }
  }

  S store_;
  std::unique_ptr<State> state_ = std::make_unique<State>();
};

template <Store S>
FaultStore(S&&) -> FaultStore<S>;

}  // namespace paidonce::inline v1
