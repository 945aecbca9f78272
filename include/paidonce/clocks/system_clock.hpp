#pragma once
// The wall clock of this host.

#include <chrono>

#include <paidonce/clock.hpp>

namespace paidonce::inline v1 {

/// UTC from `std::chrono::system_clock`. Hosts that share a store must keep their clocks within a small part
/// of the shortest lease of each other; where they cannot, use the clock of the store's server.
struct SystemClock {
  Timestamp now() const noexcept {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  }
};

static_assert(Clock<SystemClock>);

}  // namespace paidonce::inline v1
