#pragma once
// Time as records keep it, and the version that grows with every change of a record.

#include <chrono>
#include <cstdint>

namespace paidonce::inline v1 {

/// Length of time, in whole milliseconds.
using Duration = std::chrono::milliseconds;

/// A moment in UTC, in whole milliseconds since 1970-01-01 (leap seconds not counted).
using Timestamp = std::chrono::sys_time<Duration>;

/// Compare-and-swap version of a record and fencing token of an attempt. Rises strictly for a key.
using Version = std::uint64_t;

/// `time + length`, held at the last representable moment instead of overflowing.
constexpr Timestamp saturating_add(Timestamp time, Duration length) noexcept {
  if (length.count() > 0 && time > Timestamp::max() - length) return Timestamp::max();
  if (length.count() < 0 && time < Timestamp::min() - length) return Timestamp::min();
  return time + length;
}

/// The version that follows `last` at `now`: the microseconds of now, or `last + 1` where the clock has not
/// gone past it. A version therefore does not repeat for a key, not even after its record was swept.
constexpr Version next_version(Timestamp now, Version last = 0) noexcept {
  constexpr auto last_representable = static_cast<std::uint64_t>(INT64_MAX) / 1000;
  const auto count = now.time_since_epoch().count();
  const auto millis = count > 0 ? static_cast<std::uint64_t>(count) : 0;
  const Version micros = (millis < last_representable ? millis : last_representable) * 1000;
  return micros > last ? micros : last + 1;
}

}  // namespace paidonce::inline v1
