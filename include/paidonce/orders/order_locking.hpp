#pragma once
// How a repository keeps two changes of one order apart.

#include <cstdint>
#include <optional>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/system_random.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// Both are right; they differ in who waits. Optimistic suits orders that one caller at a time works on, as
/// is usual; pessimistic those with much contention.
enum class OrderLocking : std::uint8_t {
  optimistic,   ///< read, change, store by compare-and-swap on the version; again where somebody was faster
  pessimistic,  ///< lock, read, change, store: nobody else changes it meanwhile
};

/// How often a change is tried that meets others', and the pauses in between.
struct OrderConflicts {
  std::uint32_t tries = 64;
  Backoff backoff = {.first = Duration(1), .longest = Duration(50)};
};

namespace detail {

inline const OrderConflicts& checked(const OrderConflicts& conflicts) {
  if (conflicts.tries == 0)
    throw Error(errc::invalid_options, "a change of an order is tried at least once: tries must not be zero");
  checked(conflicts.backoff);
  return conflicts;
}

/// Calls `attempt()`, which returns null where somebody else was faster, until it has an answer. Throws
/// `Error{store_busy}` after so many tries.
template <class Attempt>
auto despite_conflicts(const OrderConflicts& conflicts, Attempt&& attempt) {
  SystemRandom random;
  SteadyTimer timer;
  Stop never;
  Duration waited(0);
  for (std::uint32_t failures = 1;; ++failures) {
    if (auto answer = attempt()) return *std::move(answer);
    if (failures >= conflicts.tries) break;
    waited = pause_after(conflicts.backoff, failures, waited, random);
    pause(timer, waited, never);
  }
  throw Error(errc::store_busy,
              "others changed this order each time before this change could be stored; nothing was stored: "
              "call again");
}

}  // namespace detail

}  // namespace paidonce::inline v1
