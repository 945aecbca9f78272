#pragma once
// What a guard asks of the place where records are kept.
//
// | expression                 | promise                                                                  |
// | -------------------------- | ------------------------------------------------------------------------ |
// | `find(key)`                | sees every write that was acknowledged before the call, and none that    |
// |                            | could still be lost; `nullopt` only when there is no record              |
// | `insert(key, record)`      | atomic; `nullopt`: stored, durably where the store is durable. Otherwise |
// |                            | the complete record that is there. Of N racing callers exactly one gets  |
// |                            | `nullopt`                                                                |
// | `replace(key, v, record)`  | atomic compare-and-swap on `version`; `false`: it moved on, or is gone   |
// | any of them throws         | the call's fate is unknown; never reported as "absent" or "stored"       |
// | `scan(filter, visitor)`    | refinement: visits records until the visitor returns false               |
// | `erase_expired(now, most)` | refinement: erases what `protocol::expired` names (completed records,    |
// |                            | and released ones without a checkpoint, whose `expires_at` has come),    |
// |                            | testing and erasing each in one atomic step; never unfinished ones       |
// | `holder_gone(key, record)` | refinement: `true` only with proof that the process that began this      |
// |                            | attempt is dead                                                          |
// | `transact(fn)`             | refinement: runs `fn(Transaction&)` once; commits when it returns, rolls |
// |                            | back when it throws                                                      |
// | `local_find`               | `static constexpr bool`: reading first is cheap here                     |
// | `find_here(key, print)`    | refinement: the completed record of a request with that fingerprint, if  |
// |                            | it is known without asking anybody; `nullopt`: unknown                   |
//
// All of them may be called from any number of threads.

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// The three compulsory operations.
template <class S>
concept Store = requires(S& store, const IdempotencyKey& key, const Record& record, Version expected) {
  { store.find(key) } -> std::same_as<std::optional<Record>>;
  { store.insert(key, record) } -> std::same_as<std::optional<Record>>;
  { store.replace(key, expected, record) } -> std::same_as<bool>;
};

/// Which records a scan visits. An empty `states` means all of them.
struct ScanFilter {
  std::vector<State> states = {};
  std::optional<Timestamp> updated_before = {};
  std::size_t limit = 1000;  ///< most records that one scan visits
  std::string after = {};    ///< `IdempotencyKey::bytes()` of the last one seen: the scan goes on behind it
};

namespace detail {

/// Whether a filter lets a record through, its position aside.
inline bool passes(const ScanFilter& filter, const Record& record) {
  if (filter.updated_before && record.updated_at >= *filter.updated_before) return false;
  if (filter.states.empty()) return true;
  for (const State state : filter.states)
    if (state == record.state) return true;
  return false;
}

struct AnyVisitor {
  bool operator()(const IdempotencyKey&, const Record&) const;
};

struct AnyTransactionBody {
  template <class Transaction>
  void operator()(Transaction&) const;
};

template <class S>
constexpr bool has_local_find() {
  if constexpr (requires { std::remove_reference_t<S>::local_find; })
    return std::remove_reference_t<S>::local_find;
  else
    return false;
}

}  // namespace detail

/// A store whose records can be listed, in an order of its own that stays the same from scan to scan.
template <class S>
concept ScannableStore = Store<S> &&
    requires(S& store, const ScanFilter& filter, detail::AnyVisitor visitor) {
  store.scan(filter, visitor);
};

/// A store that forgets what its retention no longer keeps.
template <class S>
concept SweepableStore = Store<S> && requires(S& store, Timestamp now, std::size_t limit) {
  { store.erase_expired(now, limit) } -> std::same_as<std::size_t>;
};

/// A store that can prove that the process which began an attempt is dead.
template <class S>
concept HolderAwareStore = Store<S> && requires(S& store, const IdempotencyKey& key, const Record& record) {
  { store.holder_gone(key, record) } -> std::same_as<bool>;
};

/// A store that knows some completed records by itself: duplicates of these wait for no lock and ask nobody.
template <class S>
concept RememberingStore = Store<S> &&
    requires(S& store, const IdempotencyKey& key, const Fingerprint& fingerprint) {
  { store.find_here(key, fingerprint) } -> std::same_as<std::optional<Record>>;
};

namespace detail {

/// Whether what it knows is asked for before the lock: where reading is cheap, reading is asked for anyway.
template <class S>
constexpr bool asks_nobody_first() {
  return RememberingStore<std::remove_reference_t<S>> && !has_local_find<S>();
}

}  // namespace detail

/// A store that commits records together with other rows. The transaction itself models `Store`.
template <class S>
concept TransactionalStore = Store<S> && requires(S& store) {
  typename std::remove_reference_t<S>::Transaction;
  requires Store<typename std::remove_reference_t<S>::Transaction>;
  store.transact(detail::AnyTransactionBody{});
};

}  // namespace paidonce::inline v1
