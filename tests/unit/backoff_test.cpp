#include <paidonce/retry/backoff.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include <paidonce/retry/system_random.hpp>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

constexpr std::array every_jitter = {Jitter::none, Jitter::full, Jitter::equal, Jitter::decorrelated};

/// A random source that always draws the same, at an end of its range.
template <std::uint64_t Draw>
struct Always {
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return UINT64_MAX; }
  result_type operator()() const { return Draw; }
};

/// A random source of `Values` numbers that draws these in turn.
template <std::uint64_t Values, std::uint64_t... Draws>
struct InTurn {
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return Values - 1; }
  result_type operator()() {
    constexpr std::array draws = {Draws...};
    return draws[at++ % draws.size()];
  }
  std::size_t at = 0;
};

/// min(longest, first × 2^failures before), computed another way.
Duration ceiling_of(const Backoff& backoff, std::uint32_t failures) {
  __extension__ using Wide = unsigned __int128;
  Wide ceiling = static_cast<Wide>(backoff.first.count());
  for (std::uint32_t at = 1; at < failures && ceiling < static_cast<Wide>(backoff.longest.count()); ++at)
    ceiling *= 2;
  return Duration(static_cast<Duration::rep>(std::min(ceiling, static_cast<Wide>(backoff.longest.count()))));
}

}  // namespace

TEST_CASE("without jitter a pause is twice as long each time, up to the longest", "[retry][backoff]") {
  const Backoff backoff{100ms, 1s, Jitter::none};
  std::minstd_rand random;
  std::vector<Duration> pauses;
  for (std::uint32_t failures = 1; failures <= 6; ++failures)
    pauses.push_back(pause_after(backoff, failures, 0ms, random));
  CHECK(pauses == std::vector<Duration>{100ms, 200ms, 400ms, 800ms, 1s, 1s});
}

TEST_CASE("each jitter keeps within its bounds, whatever the backoff and the random source",
          "[retry][backoff][property]") {
  const auto seed = GENERATE(1U, 2U, 3U, 4U);
  CAPTURE(seed);
  std::mt19937_64 chance(seed);
  std::minstd_rand small(seed);  // 31 bits at a draw, from 1 on
  for (int round = 0; round < 2000; ++round) {
    Backoff backoff;
    backoff.first = Duration(static_cast<Duration::rep>(1 + (chance() >> (1 + chance() % 62))));
    backoff.longest =
        std::max(backoff.first, Duration(static_cast<Duration::rep>(chance() >> (1 + chance() % 62))));
    Duration previous{0};
    for (std::uint32_t failures = 1; failures < 80;
         failures += 1 + static_cast<std::uint32_t>(chance() % 9)) {
      const Duration ceiling = ceiling_of(backoff, failures);
      for (const Jitter jitter : every_jitter) {
        backoff.jitter = jitter;
        const Duration pause = round % 2 == 0 ? pause_after(backoff, failures, previous, chance)
                                              : pause_after(backoff, failures, previous, small);
        Duration least{0}, most = ceiling;
        if (jitter == Jitter::none) least = ceiling;
        if (jitter == Jitter::equal) least = ceiling / 2;
        if (jitter == Jitter::decorrelated) {
          least = backoff.first;
          const Duration from = std::max(previous, backoff.first);
          most = from > backoff.longest / 3 ? backoff.longest : 3 * from;
          previous = pause;
        }
        if (pause < least || pause > most || pause > backoff.longest)
          FAIL("jitter " << int(jitter) << " after " << failures << " failures: " << pause.count()
                         << " is not in " << least.count() << ".." << most.count());
      }
    }
  }
}

TEMPLATE_TEST_CASE("the bounds of a jitter are reached, and all between as often", "[retry][backoff]",
                   std::minstd_rand, std::mt19937_64, std::ranlux24) {
  TestType random(7);
  const Backoff backoff{3ms, 9ms, Jitter::full};
  std::map<Duration, int> drawn;
  for (int draw = 0; draw < 10'000; ++draw) ++drawn[pause_after(backoff, 3, 0ms, random)];
  CHECK(drawn.size() == 10);  // 0 to 9
  for (const auto& [pause, times] : drawn) {
    CAPTURE(pause.count());
    CHECK(times > 850);  // five standard deviations
    CHECK(times < 1150);
  }
}

TEST_CASE("equal jitter takes half of the pause at least, decorrelated three times the last at most",
          "[retry][backoff]") {
  std::mt19937_64 random(1);
  std::map<Duration, int> equal, decorrelated;
  for (int draw = 0; draw < 2000; ++draw) {
    ++equal[pause_after({4ms, 40ms, Jitter::equal}, 2, 0ms, random)];
    ++decorrelated[pause_after({4ms, 40ms, Jitter::decorrelated}, 9, 5ms, random)];
  }
  CHECK(equal.begin()->first == 4ms);
  CHECK(equal.rbegin()->first == 8ms);
  CHECK(decorrelated.begin()->first == 4ms);
  CHECK(decorrelated.rbegin()->first == 15ms);
}

TEST_CASE("the draws at both ends of a random source give the ends of a pause", "[retry][backoff]") {
  Always<0> lowest;
  Always<UINT64_MAX - 6> high;  // 2^64 is 6 more than a multiple of 10: those six are drawn again
  CHECK(pause_after({9ms, 9ms, Jitter::full}, 1, 0ms, lowest) == 0ms);
  CHECK(pause_after({9ms, 9ms, Jitter::full}, 1, 0ms, high) == 9ms);
  Always<UINT64_MAX> highest;
  CHECK(pause_after({15ms, 15ms, Jitter::full}, 1, 0ms, highest) == 15ms);  // 16 divides 2^64
}

TEST_CASE("a draw that would favour some pauses is drawn again", "[retry][backoff]") {
  InTurn<0, UINT64_MAX - 5, UINT64_MAX, 23> surplus;  // beyond the last multiple of 10
  CHECK(pause_after({9ms, 9ms, Jitter::full}, 1, 0ms, surplus) == 3ms);
  CHECK(surplus.at == 3);
  InTurn<3, 2, 1> three;  // one bit a draw: the third number would be half a bit more
  CHECK(detail::random_bits(three) == UINT64_MAX);
  CHECK(three.at == 128);
}

TEST_CASE("no number of failures and no longest pause is too large", "[retry][backoff]") {
  SystemRandom random;
  for (const Jitter jitter : every_jitter) {
    const Backoff backoff{1ms, Duration::max(), jitter};
    CHECK(pause_after(backoff, UINT32_MAX, Duration::max(), random) >= 0ms);
    CHECK(pause_after({Duration::max(), Duration::max(), jitter}, UINT32_MAX, 0ms, random) >= 0ms);
  }
  CHECK(pause_after({1ms, Duration::max(), Jitter::none}, UINT32_MAX, 0ms, random) == Duration::max());
}

TEST_CASE("the same draws give the same pauses everywhere", "[retry][backoff]") {
  std::mt19937_64 random(2023);  // whose numbers the standard fixes
  std::vector<Duration::rep> pauses;
  Duration previous{0};
  for (std::uint32_t failures = 1; failures <= 4; ++failures) {
    for (const Jitter jitter : {Jitter::full, Jitter::equal})
      pauses.push_back(pause_after({100ms, 10s, jitter}, failures, 0ms, random).count());
    previous = pause_after({100ms, 10s, Jitter::decorrelated}, failures, previous, random);
    pauses.push_back(previous.count());
  }
  CHECK(pauses == std::vector<Duration::rep>{35, 73, 137, 125, 176, 136, 164, 361, 207, 714, 564, 350});
}

TEST_CASE("backoffs that make no sense are refused", "[retry][backoff]") {
  CHECK_NOTHROW(detail::checked(Backoff{}));
  CHECK_NOTHROW(detail::checked(Backoff{1ms, 1ms}));
  for (const Backoff& wrong : {Backoff{0ms, 1s}, Backoff{-1ms, 1s}, Backoff{2s, 1s}})
    CHECK_THROWS_MATCHES(detail::checked(wrong), Error, support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("the system's random source draws different numbers", "[retry][backoff]") {
  SystemRandom random;
  CHECK(random() != random());
}
