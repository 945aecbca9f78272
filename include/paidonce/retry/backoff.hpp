#pragma once
// How long to pause before the next try: longer each time, and at random, so that many who failed together do
// not come back together. Pure: it draws from the caller's random source and reads no clock.
//
// The three jitters are those of Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).

#include <cstdint>
#include <random>

#include <paidonce/errors.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// What part of the pause is left to chance. With `ceiling` = min(longest, first × 2^failures before):
enum class Jitter : std::uint8_t {
  none,          ///< `ceiling`: all that failed together come back together
  full,          ///< from 0 to `ceiling`
  equal,         ///< from `ceiling / 2` to `ceiling`
  decorrelated,  ///< from `first` to three times the pause before, at most `longest`
};

/// The rule of the pauses.
struct Backoff {
  Duration first = Duration(100);
  Duration longest = Duration(10'000);
  Jitter jitter = Jitter::full;
};

namespace detail {

/// Throws `Error{invalid_options}` for pauses that are not positive, or end before they begin.
inline const Backoff& checked(const Backoff& backoff) {
  if (backoff.first.count() <= 0 || backoff.longest < backoff.first)
    throw Error(
        errc::invalid_options,
        "a backoff's first pause must be longer than zero, and its longest not shorter than its first");
  return backoff;
}

}  // namespace detail

/// The pause after `failures` failed tries (1 and more), of which the last was waited for `previous` long
/// (zero: not at all). `random` is a uniform random bit generator. `backoff` is one that makes sense.
template <class Random>
Duration pause_after(const Backoff& backoff, std::uint32_t failures, Duration previous, Random& random) {
  const auto between = [&random](Duration least, Duration most) {
    return Duration(std::uniform_int_distribution<Duration::rep>(least.count(), most.count())(random));
  };
  Duration ceiling = backoff.first;
  for (std::uint32_t doubled = 1; doubled < failures && ceiling < backoff.longest; ++doubled)
    ceiling = ceiling > backoff.longest / 2 ? backoff.longest : 2 * ceiling;
  switch (backoff.jitter) {
    case Jitter::none: return ceiling;
    case Jitter::full: return between(Duration(0), ceiling);
    case Jitter::equal: return between(ceiling / 2, ceiling);
    case Jitter::decorrelated: break;
  }
  const Duration from = previous > backoff.first ? previous : backoff.first;
  return between(backoff.first, from > backoff.longest / 3 ? backoff.longest : 3 * from);
}

}  // namespace paidonce::inline v1
