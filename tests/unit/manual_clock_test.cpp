#include <paidonce/testing/manual_clock.hpp>

#include <chrono>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

TEST_CASE("a manual clock stands still until it is moved", "[testing][manual_clock]") {
  ManualClock clock;
  const Timestamp start = clock.now();
  CHECK(clock.now() == start);
  clock.advance(1500ms);
  CHECK(clock.now() == start + 1500ms);
  clock.advance(-2s);
  CHECK(clock.now() == start - 500ms);
  clock.set(Timestamp(7ms));
  CHECK(clock.now() == Timestamp(7ms));
}

TEST_CASE("a manual clock starts at the moment that it is given", "[testing][manual_clock]") {
  CHECK(ManualClock(Timestamp(42ms)).now() == Timestamp(42ms));
}

TEST_CASE("copies of a manual clock tell the same time, moved-from ones too", "[testing][manual_clock]") {
  ManualClock clock;
  ManualClock copy = clock;
  ManualClock moved = std::move(clock);
  copy.advance(3s);
  CHECK(moved.now() == copy.now());
  CHECK(clock.now() == copy.now());
}

TEST_CASE("a manual clock stops at the ends of time", "[testing][manual_clock]") {
  ManualClock clock(Timestamp::max() - 1ms);
  clock.advance(2ms);
  CHECK(clock.now() == Timestamp::max());
  clock.set(Timestamp::min() + 1ms);
  clock.advance(-2ms);
  CHECK(clock.now() == Timestamp::min());
}

TEST_CASE("moves of a manual clock by several threads add up", "[testing][manual_clock]") {
  ManualClock clock(Timestamp(0ms));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([clock]() mutable {
      for (int step = 0; step < 1000; ++step) clock.advance(1ms);
    });
  for (auto& thread : threads) thread.join();
  CHECK(clock.now() == Timestamp(4000ms));
}
