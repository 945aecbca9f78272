#pragma once
// A clock that never jumps and goes on while the machine sleeps: what a lease is held against.

#include <chrono>
#include <cstdint>
#include <ctime>

namespace paidonce::inline v1::detail {

/// Nanoseconds since boot, time asleep included where the system can tell (CLOCK_BOOTTIME, Linux).
using BootTime = std::int64_t;

inline BootTime boot_now() noexcept {
#ifdef CLOCK_BOOTTIME
  timespec now{};
  if (clock_gettime(CLOCK_BOOTTIME, &now) == 0) return BootTime{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
#endif
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// `start + length`, never past the last representable moment.
constexpr BootTime boot_after(BootTime start, std::chrono::milliseconds length) noexcept {
  constexpr BootTime last = INT64_MAX;
  return length.count() > (last - start) / 1'000'000 ? last : start + length.count() * 1'000'000;
}

}  // namespace paidonce::inline v1::detail
