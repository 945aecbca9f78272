#include <paidonce/recovery/clock_watch.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

const Timestamp noon(1'700'000'000'000ms);

/// A reading: how far wall clock and timer went on since the one before, and whether they agree then.
struct Step {
  Duration wall, timer;
  bool agree;
};
struct Table {
  std::string title;
  std::vector<Step> steps;
};

struct Reading {
  Duration wall, elapsed;
  bool agreed;
};

/// That any two readings in the settle time before one that agreed are a length of time apart that is the
/// same on both clocks, but for two tolerances, the drift, and the milliseconds that are cut off.
void check_bound(const std::vector<Reading>& readings, Duration tolerance, Duration settle) {
  for (std::size_t last = 0; last < readings.size(); ++last) {
    if (!readings[last].agreed) continue;
    const Reading& b = readings[last];
    for (std::size_t first = 0; first < last; ++first) {
      const Reading& a = readings[first];
      if (b.elapsed - a.elapsed > settle) continue;
      const Duration passed = b.elapsed - a.elapsed;
      const auto apart = std::abs((b.wall - a.wall - passed).count());
      INFO("readings " << first << " and " << last << " of " << readings.size() << ": " << apart << " ms in "
                       << passed.count() << " ms");
      REQUIRE(apart <= 2 * tolerance.count() + passed.count() * ClockWatch::most_slewing / 1'000'000 + 1);
    }
  }
}

}  // namespace

TEST_CASE("a clock watch tells jumps from drift, and believes only what lasts", "[clock_watch]") {
  const auto table = GENERATE(
      Table{"both go on", {{0s, 0s, true}, {10s, 10s, true}, {24h, 24h, true}}},
      Table{"a jump within the tolerance", {{0s, 0s, true}, {15s, 10s, true}, {5s, 10s, true}}},
      Table{"a jump ahead by more", {{0s, 0s, true}, {10s + 5006ms, 10s, false}, {1s, 1s, false}}},
      Table{"a jump back by more", {{0s, 0s, true}, {10s - 5006ms, 10s, false}, {1s, 1s, false}}},
      Table{"agreed again for the settle time",
            {{0s, 0s, true}, {1h, 0s, false}, {1h - 1ms, 1h - 1ms, false}, {1ms, 1ms, true}, {1s, 1s, true}}},
      Table{"a jump back to the right time needs no less",
            {{0s, 0s, true},
             {1h, 0s, false},
             {30min, 30min, false},
             {-1h, 0s, false},
             {59min, 59min, false},
             {1min, 1min, true}}},
      Table{"a second jump while it settles begins anew",
            {{0s, 0s, true},
             {1h, 0s, false},
             {59min, 59min, false},
             {2min, 1min, false},
             {59min, 59min, false},
             {1min, 1min, true}}},
      Table{"a jump and its way back between two readings are not seen", {{0s, 0s, true}, {1s, 1s, true}}},
      Table{"small jumps add up",
            {{0s, 0s, true}, {3s, 1s, true}, {3s, 1s, true}, {3s, 1s, false}, {1s, 1s, false}}},
      Table{"small jumps back add up",
            {{0s, 0s, true}, {-1s, 1s, true}, {-1s, 1s, true}, {-1s, 1s, false}, {1s, 1s, false}}},
      Table{
          "small jumps and their ways back do not",
          {{0s, 0s, true}, {5s, 1s, true}, {-3s, 1s, true}, {5s, 1s, true}, {-3s, 1s, true}, {5s, 1s, true}}},
      Table{"a day's drift at the limit",
            {{0s, 0s, true}, {24h + 43200ms, 24h, true}, {24h + 43200ms, 24h, true}}},
      Table{"a day's drift beyond it", {{0s, 0s, true}, {24h + 43200ms + 5001ms, 24h, false}}},
      Table{"drift that was not used is not saved for a jump",
            {{0s, 0s, true}, {24h, 24h, true}, {6s, 0s, false}}},
      Table{"the wall clock stands still",
            {{0s, 0s, true}, {0s, 1h, false}, {0s, 1h, false}, {0s, 1h, false}}},
      Table{"the timer of a broken machine stands still",
            {{0s, 0s, true}, {1h, 0s, false}, {1h, 0s, false}}});
  INFO(table.title);
  ClockWatch watch;  // 5 s, 1 h
  Timestamp wall = noon;
  Duration elapsed = 17min;
  for (std::size_t step = 0; step < table.steps.size(); ++step) {
    wall += table.steps[step].wall;
    elapsed += table.steps[step].timer;
    INFO("reading " << step + 1);
    CHECK(watch.agree(wall, elapsed) == table.steps[step].agree);
  }
}

TEST_CASE("drift in steps too small for a millisecond is still drift", "[clock_watch]") {
  ClockWatch watch(5s, 1h);
  for (std::int64_t tenth = 0; tenth < 300'000; ++tenth) {  // ten readings a second, for eight hours
    const std::int64_t elapsed = 100 * tenth;
    const std::int64_t jumped = tenth < 10 ? 0 : 3000;  // within the tolerance, where it stays
    if (!watch.agree(noon + Duration(elapsed + elapsed / 2000 + jumped), Duration(elapsed)))
      FAIL("after " << elapsed);
  }
}

TEST_CASE("any drift below the limit goes on for ever, however often it is looked at", "[clock_watch]") {
  const std::uint32_t seed = GENERATE(range(1U, 9U));
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  const auto draw = [&](std::int64_t most) { return static_cast<std::int64_t>(random()) % (most + 1); };
  ClockWatch watch(100ms, 1h);
  double wall = 0;
  std::int64_t elapsed = 0;
  for (int reading = 0; reading < 5'000; ++reading) {
    const std::int64_t passed = draw(2) == 0 ? draw(10'000'000) : draw(50);
    wall += static_cast<double>(passed) * (1 + static_cast<double>(draw(998) - 499) / 1e6);
    elapsed += passed;
    if (!watch.agree(noon + Duration(static_cast<std::int64_t>(wall)), Duration(elapsed)))
      FAIL("reading " << reading << " after " << elapsed << " ms");
  }
}

TEST_CASE("however the wall clock is moved, a length of time is the same on both while they agree",
          "[clock_watch]") {
  const std::uint32_t seed = GENERATE(range(1U, 41U));
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  const auto draw = [&](std::int64_t most) { return static_cast<std::int64_t>(random()) % (most + 1); };
  const Duration tolerance(1000), settle(600'000);
  ClockWatch watch(tolerance, settle);
  std::vector<Reading> readings;
  Duration wall(0), elapsed(0);
  std::size_t disagreed = 0;
  for (int i = 0; i < 400; ++i) {
    const Duration passed(draw(3) == 0 ? draw(200'000) : draw(2000));
    wall += passed;
    elapsed += passed;
    switch (draw(seed % 2 == 0 ? 5 : 60)) {
      case 0: wall += Duration(draw(800)); break;  // again and again, each below the tolerance
      case 1: wall += Duration(draw(1600) - 800); break;
      case 2:
        if (draw(9) == 0) wall += Duration(draw(4'000'000) - 2'000'000);
        break;
      default: break;
    }
    readings.push_back({wall, elapsed, watch.agree(noon + wall, elapsed)});
    disagreed += readings.back().agreed ? 0U : 1U;
  }
  check_bound(readings, tolerance, settle);
  CHECK(readings.front().agreed);
  if (seed % 2 == 0) CHECK(disagreed > 0);
}

TEST_CASE("a clock watch goes on at the ends of time", "[clock_watch]") {
  ClockWatch watch;
  CHECK(watch.agree(Timestamp::max(), Duration(0)));
  CHECK_FALSE(watch.agree(Timestamp::min(), Duration(1)));
  CHECK_FALSE(watch.agree(Timestamp::max(), Duration::max()));
  CHECK_FALSE(watch.agree(Timestamp::min(), Duration::min()));
  CHECK_FALSE(watch.agree(noon, Duration(0)));
  ClockWatch stuck;
  CHECK(stuck.agree(Timestamp::max(), Duration::min()));
  CHECK_FALSE(stuck.agree(Timestamp::max(), Duration::max()));
}

TEST_CASE("a clock watch takes lengths that make sense", "[clock_watch]") {
  const auto refused = support::has_code<Error>(errc::invalid_options);
  CHECK_THROWS_MATCHES(ClockWatch(0ms, 1h), Error, refused);
  CHECK_THROWS_MATCHES(ClockWatch(-1ms, 1h), Error, refused);
  CHECK_THROWS_MATCHES(ClockWatch(1s, 0ms), Error, refused);
  CHECK_THROWS_MATCHES(ClockWatch(1s, 1h, 100'001), Error, refused);
  CHECK_NOTHROW(ClockWatch(1ms, 1ms, 0));
  CHECK_NOTHROW(ClockWatch(Duration::max(), Duration::max(), 100'000));
}
