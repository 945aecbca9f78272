#pragma once
// Forgets what its retention no longer keeps, a little at a time beside the payments.

#include <cstddef>
#include <optional>

#include <paidonce/clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/recovery/clock_watch.hpp>
#include <paidonce/store.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

struct SweepOptions {
  std::size_t batch = 1000;                     ///< most records that one call to the store erases
  Duration pause = Duration(10);                ///< between two of these calls, for the payments
  Duration deadline = std::chrono::minutes(1);  ///< afterwards no further call is begun
};

/// What a sweep did.
struct SweepReport {
  std::size_t erased = 0;
  std::size_t batches = 0;  ///< calls to the store that returned
  /// The store found no more to erase: nothing is left that had expired but for what was being written at
  /// that moment, which the next sweep finds.
  bool finished = false;
  bool paused_for_clock = false;      ///< it ended because wall clock and timer disagree
  std::optional<Error> failure = {};  ///< it ended because the store cannot do it now
};

namespace detail {

/// Throws `invalid_options`.
inline const SweepOptions& checked(const SweepOptions& options) {
  const auto refuse = [](const char* why) { throw Error(errc::invalid_options, why); };
  if (options.batch == 0) refuse("SweepOptions::batch must be at least 1");
  if (options.pause.count() < 0) refuse("SweepOptions::pause must not be negative: zero does not pause");
  if (options.deadline.count() <= 0) refuse("SweepOptions::deadline must be longer than zero");
  return options;
}

}  // namespace detail

/// Erases completed and released records that have expired, until there are none, the deadline has come or
/// `stop` is requested, which ends the pauses at once and lets a call to the store end. Which record has
/// expired the store decides, by `protocol::expired`, in one step with erasing it.
///
/// Erases nothing while `watch` does not agree: the wall clock is read anew for each call to the store, and
/// this one reading is compared with the timer and handed to the store. A clock that jumps after it was read
/// does nothing to this call, and is noticed before the next.
///
/// An `Error` that is `retryable` ends the sweep and is reported; everything else is thrown. What was erased
/// stays erased, and a later sweep goes on. Any number of sweeps may run at once, each with a watch of its
/// own. Throws `Error{invalid_options}`.
template <SweepableStore S, Clock C, Timer T>
SweepReport sweep(S& store, C& clock, T& timer, ClockWatch& watch, const SweepOptions& options, Stop& stop) {
  detail::checked(options);
  SweepReport report;
  const Duration start = timer.elapsed();
  do {
    if (stop.requested()) break;
    const Duration elapsed = timer.elapsed();
    if (elapsed - start >= options.deadline) break;
    const Timestamp now = clock.now();
    if (!watch.agree(now, elapsed)) {
      report.paused_for_clock = true;
      break;
    }
    try {
      const std::size_t erased = store.erase_expired(now, options.batch);
      ++report.batches;
      report.erased += erased;
      report.finished = erased < options.batch;
    } catch (const Error& error) {
      if (!retryable(error)) throw;
      report.failure = error;
      break;
    }
  } while (!report.finished && pause(timer, options.pause, stop));
  return report;
}

}  // namespace paidonce::inline v1
