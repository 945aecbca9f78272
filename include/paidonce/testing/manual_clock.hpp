#pragma once
// A clock that stands still until a test moves it.

#include <atomic>
#include <memory>

#include <paidonce/clock.hpp>

namespace paidonce::inline v1 {

/// A handle: copies tell, and move, the same time. So it does not matter whether a guard was given the clock
/// itself (it then refers to it) or a copy of it; the test moves the one that it kept, or `guard.clock()`.
/// Any number of threads may use it and its copies. It wakes nobody: whatever waits, waits on the steady
/// clock.
class ManualClock {
 public:
  /// Starts at 2023-11-14 22:13:20 UTC.
  ManualClock() : ManualClock(Timestamp(Duration(1'700'000'000'000))) {}
  explicit ManualClock(Timestamp start) : time_(std::make_shared<Time>(start.time_since_epoch().count())) {}

  // Copied even when it could be moved, so that no clock is ever without its time.
  ManualClock(const ManualClock&) = default;
  ManualClock& operator=(const ManualClock&) = default;
  ~ManualClock() = default;

  Timestamp now() const noexcept { return Timestamp(Duration(time_->load())); }

  /// Moves the clock forward, or back where `by` is negative; it stops at the first and the last
  /// representable moment. Moves made by several threads add up.
  void advance(Duration by) noexcept {
    auto old = time_->load();
    while (!time_->compare_exchange_weak(
        old, saturating_add(Timestamp(Duration(old)), by).time_since_epoch().count())) {
    }
  }

  void set(Timestamp to) noexcept { time_->store(to.time_since_epoch().count()); }

 private:
  using Time = std::atomic<Duration::rep>;
  std::shared_ptr<Time> time_;
};

static_assert(Clock<ManualClock>);

}  // namespace paidonce::inline v1
