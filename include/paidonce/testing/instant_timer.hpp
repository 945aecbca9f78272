#pragma once
// A timer for tests with one thread: whoever waits finds that the time has passed.

#include <utility>

#include <paidonce/testing/manual_clock.hpp>

namespace paidonce::inline v1 {

/// Waiting moves the clock on instead of taking time.
class InstantTimer {
 public:
  explicit InstantTimer(ManualClock clock) : clock_(std::move(clock)) {}

  Duration elapsed() const noexcept { return clock_.elapsed(); }
  template <class Done>
  bool wait(Duration length, Stop& stop, Done&& done) {
    if (!stop.requested() && !done()) clock_.advance(length);
    return !stop.requested();
  }

 private:
  ManualClock clock_;
};

static_assert(Timer<InstantTimer>);

}  // namespace paidonce::inline v1
