#pragma once
// How long to pause before the next try: longer each time, and at random, so that many who failed together do
// not come back together. Pure: it draws from the caller's random source and reads no clock, and the same
// draws give the same pauses with every standard library.
//
// The three jitters are those of Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).

#include <bit>
#include <cstdint>

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

/// 64 random bits of any uniform random bit generator, whatever the range of its draws.
template <class Random>
std::uint64_t random_bits(Random& random) {
  constexpr auto draws = static_cast<std::uint64_t>(Random::max() - Random::min());  // different ones, less 1
  if constexpr (draws == UINT64_MAX) {
    return random() - Random::min();
  } else {
    constexpr int width = std::bit_width(draws + 1) - 1;  // bits that a draw has for sure
    std::uint64_t bits = 0;
    for (int filled = 0; filled < 64;) {
      const auto draw = static_cast<std::uint64_t>(random() - Random::min());
      if (draw >> width != 0) continue;  // beyond the last power of two
      bits = bits << width | draw;
      filled += width;
    }
    return bits;
  }
}

/// One of the durations from `least` to `most`, which is not shorter and neither negative: each as likely.
template <class Random>
Duration duration_between(Duration least, Duration most, Random& random) {
  const auto choices = static_cast<std::uint64_t>(most.count() - least.count()) + 1;
  const std::uint64_t surplus = (UINT64_MAX % choices + 1) % choices;  // would favour the first of them
  std::uint64_t bits;
  do bits = random_bits(random);
  while (bits > UINT64_MAX - surplus);
  return least + Duration(static_cast<Duration::rep>(bits % choices));
}

}  // namespace detail

/// The pause after `failures` failed tries (1 and more), of which the last was waited for `previous` long
/// (zero: not at all). `random` is a uniform random bit generator. `backoff` is one that makes sense.
template <class Random>
Duration pause_after(const Backoff& backoff, std::uint32_t failures, Duration previous, Random& random) {
  Duration ceiling = backoff.first;
  for (std::uint32_t doubled = 1; doubled < failures && ceiling < backoff.longest; ++doubled)
    ceiling = ceiling > backoff.longest / 2 ? backoff.longest : 2 * ceiling;
  switch (backoff.jitter) {
    case Jitter::none: return ceiling;
    case Jitter::full: return detail::duration_between(Duration(0), ceiling, random);
    case Jitter::equal: return detail::duration_between(ceiling / 2, ceiling, random);
    case Jitter::decorrelated: break;
  }
  const Duration from = previous > backoff.first ? previous : backoff.first;
  return detail::duration_between(backoff.first, from > backoff.longest / 3 ? backoff.longest : 3 * from,
                                  random);
}

}  // namespace paidonce::inline v1
