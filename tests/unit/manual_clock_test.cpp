#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/testing/instant_timer.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include <atomic>
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

TEST_CASE("a manual clock's timer passes with time, and does not notice a jump", "[testing][manual_clock]") {
  ManualClock clock;
  CHECK(clock.elapsed() == 0ms);
  clock.advance(5s);
  clock.advance(-3s);
  clock.set(Timestamp(7ms));
  CHECK(clock.elapsed() == 5s);
  clock.advance(Duration::max());
  clock.advance(Duration::max());
  CHECK(clock.elapsed() == Duration::max());
}

TEST_CASE("whoever waits on a manual clock goes on when its time has come", "[testing][manual_clock]") {
  ManualClock clock;
  Stop stop;
  std::atomic<int> steps{0};
  std::thread waiting([&, timer = clock]() mutable {
    if (pause(timer, 5s, stop)) ++steps;
    if (pause(timer, 10s, stop)) ++steps;
  });
  clock.await_waiting(1);
  clock.advance(4999ms);
  clock.await_waiting(1);
  CHECK(steps == 0);
  clock.advance(1ms);
  while (steps != 1) std::this_thread::yield();
  clock.await_waiting(1);
  clock.advance(10s);
  waiting.join();
  CHECK(steps == 2);
}

TEST_CASE("a stop ends all waits, on any timer, and those to come", "[testing][manual_clock][timer]") {
  ManualClock clock;
  SteadyTimer steady;
  Stop stop;
  bool manual_passed = true, real_passed = true;
  std::thread manual([&] { manual_passed = pause(clock, 5s, stop); });
  std::thread real([&] { real_passed = pause(steady, 24h * 365, stop); });
  clock.await_waiting(1);
  stop.request();
  manual.join();
  real.join();
  CHECK_FALSE(manual_passed);
  CHECK_FALSE(real_passed);
  CHECK(stop.requested());
  CHECK_FALSE(pause(steady, 24h, stop));
  CHECK_FALSE(pause(clock, 0s, stop));
}

TEST_CASE("a wait ends when what it waits for is done", "[testing][manual_clock][timer]") {
  ManualClock clock;
  SteadyTimer steady;
  Stop stop;
  std::atomic<bool> done{false};
  bool stopped = false, real_stopped = false;
  std::thread manual([&] { stopped = !clock.wait(5s, stop, [&] { return done.load(); }); });
  std::thread real([&] {
    while (!done) real_stopped = !steady.wait(1h, stop, [&] { return done.load(); });
  });
  clock.await_waiting(1);
  done = true;
  stop.wake();
  manual.join();
  real.join();
  CHECK_FALSE(stopped);
  CHECK_FALSE(real_stopped);
  CHECK(clock.elapsed() == 0ms);
}

TEST_CASE("the machine's timer goes forward", "[timer]") {
  SteadyTimer steady;
  Stop stop;
  const Duration before = steady.elapsed();
  CHECK(pause(steady, 2ms, stop));
  CHECK(steady.elapsed() >= before + 2ms);
}

TEST_CASE("waiting on an instant timer takes no time but the clock's", "[testing][instant_timer]") {
  ManualClock clock;
  InstantTimer timer(clock);
  Stop stop;
  CHECK(pause(timer, 3h, stop));
  CHECK(clock.elapsed() == 3h);
  CHECK(timer.wait(1h, stop, [] { return true; }));
  stop.request();
  CHECK_FALSE(pause(timer, 3h, stop));
  CHECK(clock.elapsed() == 3h);
}
