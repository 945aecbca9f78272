#pragma once
// What happens in a guard, told as it happens: one struct for each thing. References in an event live as long
// as the call to `on`. Observers are called on the thread that did the thing, heartbeats on the guard's own,
// and must neither throw nor call the guard that calls them.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

namespace events {

/// An attempt's begin record is in the store; its callable starts now.
struct Began {
  const IdempotencyKey& key;
  const Record& record;
};

/// A completed result was given out again; nothing was run.
struct Replayed {
  const IdempotencyKey& key;
  const Record& record;
};

/// A call was turned away: the key stands for another request, it is still in progress, or `refuse_if` said
/// no.
enum class Refusal : std::uint8_t { key_reused, in_progress, refuse_if };
struct Refused {
  const IdempotencyKey& key;
  Refusal refusal;
};

/// A duplicate had to wait for the lock or for a running attempt; told when it gets its outcome.
struct Waited {
  const IdempotencyKey& key;
  Duration waited;  ///< on the steady clock
};

/// Where the time of a call that ran its callable went, on the steady clock. All zero unless the observer
/// says `static constexpr bool measures_time = true;`.
struct Times {
  std::chrono::nanoseconds beginning{0};  ///< until the begin record was stored
  std::chrono::nanoseconds paying{0};     ///< in the callable
  std::chrono::nanoseconds recording{0};  ///< until its report was stored, or was known not to be
};

/// A payment came to its end, and the record says so: succeeded, declined, or released (proven not executed).
/// A transaction that was rolled back tells of the release that nobody needs to store.
struct Completed {
  const IdempotencyKey& key;
  const Record& record;
  Times times = {};
};

/// Nobody knows whether this payment happened. Somebody has to find out.
struct InDoubt {
  const IdempotencyKey& key;
  std::string_view reason;
  Times times = {};
};

/// The record moved on under a running attempt, or its lease could not be extended in time.
struct LeaseLost {
  const IdempotencyKey& key;
  Version fence;  ///< of the attempt that lost it
};

/// A call to the store threw. The guard reads back and tries again where that is safe.
enum class StoreCall : std::uint8_t { find, insert, replace };
struct StoreFailed {
  const IdempotencyKey& key;
  StoreCall call;
};

}  // namespace events

/// Listens to all events. A listener for some of them has a template `on` for the rest.
template <class O>
concept Observer = requires(O& observer, const events::Began& began, const events::Replayed& replayed,
                            const events::Refused& refused, const events::Waited& waited,
                            const events::Completed& completed, const events::InDoubt& in_doubt,
                            const events::LeaseLost& lease_lost, const events::StoreFailed& store_failed) {
  { observer.on(began) }
  noexcept;
  { observer.on(replayed) }
  noexcept;
  { observer.on(refused) }
  noexcept;
  { observer.on(waited) }
  noexcept;
  { observer.on(completed) }
  noexcept;
  { observer.on(in_doubt) }
  noexcept;
  { observer.on(lease_lost) }
  noexcept;
  { observer.on(store_failed) }
  noexcept;
};

namespace detail {

/// Whether an observer wants to be told how long things took, which costs two readings of the clock.
template <class O>
constexpr bool measures_time() {
  if constexpr (requires { std::remove_reference_t<O>::measures_time; })
    return std::remove_reference_t<O>::measures_time;
  else
    return false;
}

}  // namespace detail

/// Listens to nothing and costs nothing.
struct NoObserver {
  template <class Event>
  void on(const Event&) const noexcept {}
};

}  // namespace paidonce::inline v1
