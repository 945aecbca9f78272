#pragma once
// The timer of the machine.

#include <chrono>

#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// Counts since the machine was started, its sleep included where the system can tell.
class SteadyTimer {
 public:
  Duration elapsed() const noexcept {
    return std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(detail::boot_now()));
  }
  template <class Done>
  bool wait(Duration length, Stop& stop, Done&& done) const {
    return stop.wait_for(length, done);
  }
};

static_assert(Timer<SteadyTimer>);

}  // namespace paidonce::inline v1
