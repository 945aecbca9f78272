#pragma once
// What one look at a server's clock tells, and for how long. Pure.

#include <cstdint>

#include <paidonce/detail/boot_clock.hpp>

namespace paidonce::inline v1::detail {

/// One look at the server's clock.
struct ClockSample {
  BootTime asked = 0, answered = 0;
  std::int64_t server_micros = 0;  ///< since 1970

  /// What to add to boot time, in nanoseconds: the server read its clock in the middle, or at most half a
  /// round trip away from it.
  std::int64_t offset() const noexcept { return 1000 * server_micros - (asked + (answered - asked) / 2); }
  std::int64_t error() const noexcept { return (answered - asked + 1) / 2; }
};

/// Of clocks that drift apart by at most 200 parts in a million, for so many nanoseconds.
constexpr std::int64_t drift_of(std::int64_t age) noexcept { return age > 0 ? age / 5000 : 0; }

}  // namespace paidonce::inline v1::detail
