#pragma once
// What a guard asks of a clock: the wall time that goes into records. It does no I/O. Waiting is never done
// on it but on the steady clock, so that a clock that jumps neither prolongs nor cuts a wait.

#include <concepts>

#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// `now()` may be called from any number of threads.
template <class C>
concept Clock = requires(C& clock) {
  { clock.now() } -> std::same_as<Timestamp>;
};

}  // namespace paidonce::inline v1
