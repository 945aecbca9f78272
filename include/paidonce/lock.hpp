#pragma once
// What a guard asks of a lock. A lock lets duplicates wait and keeps contention away from the store; it is
// the record's version that keeps a payment right.
//
// | expression           | promise                                                                        |
// | -------------------- | ------------------------------------------------------------------------------ |
// | `acquire(key, wait)` | a `Hold`, as soon as nobody else has one for this key; `nullopt` when somebody |
// |                      | still has after `wait` on the steady clock, at once where that is zero. Throws |
// |                      | `Error{lock_unavailable}` when the lock service does not answer                |
// | `Hold`               | movable, not copyable; its destruction releases, on any thread, without throw  |
// | `interrupt()`        | refinement, noexcept: ends all waits, those to come too, as if time were up    |
// | `Hold::lost()`       | refinement, noexcept: whether the lock was lost while held                     |
//
// All of them may be called from any number of threads.

#include <concepts>
#include <optional>
#include <type_traits>

#include <paidonce/key.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

template <class L>
concept Lock = requires(L& lock, const IdempotencyKey& key, Duration wait) {
  typename std::remove_reference_t<L>::Hold;
  requires std::movable<typename std::remove_reference_t<L>::Hold>;
  requires !std::copy_constructible<typename std::remove_reference_t<L>::Hold>;
  { lock.acquire(key, wait) } -> std::same_as<std::optional<typename std::remove_reference_t<L>::Hold>>;
};

/// A lock whose waits can be ended from outside.
template <class L>
concept InterruptibleLock = Lock<L> && requires(L& lock) {
  { lock.interrupt() }
  noexcept;
};

/// A lock that knows when it was lost while held. Asked on any thread, without waiting; once true, always.
template <class L>
concept LossAwareLock = Lock<L> && requires(const typename std::remove_reference_t<L>::Hold& hold) {
  { hold.lost() }
  noexcept->std::same_as<bool>;
};

}  // namespace paidonce::inline v1
