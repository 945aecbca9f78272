#include <paidonce/recovery/sweep.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/testing/instant_timer.hpp>

#include "support/catch.hpp"
#include "support/tested_store.hpp"

using namespace paidonce;
using namespace std::chrono_literals;
using support::TestedStore;

namespace {

Record ended(State state, Timestamp expires_at) {
  Record record;
  record.state = state;
  record.version = 1;
  record.expires_at = expires_at;
  return record;
}

/// Tells how it is swept, and answers as the test wants.
struct Told {
  struct Call {
    Timestamp now;
    std::size_t limit;
    Duration elapsed;
  };
  std::optional<Record> find(const IdempotencyKey& key) { return store.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    return store.insert(key, record);
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    return store.replace(key, expected, record);
  }
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    calls.push_back({now, limit, clock.elapsed()});
    return answer ? answer(now, limit) : store.erase_expired(now, limit);
  }

  ManualClock clock;
  TestedStore store = {};
  std::function<std::size_t(Timestamp, std::size_t)> answer = {};
  std::vector<Call> calls = {};
};
static_assert(SweepableStore<Told>);

struct World {
  ManualClock clock;
  InstantTimer timer{clock};
  Told store{clock};
  ClockWatch watch;
  Stop stop;
  SweepOptions options{10, 20ms, 1min};

  SweepReport sweep() { return paidonce::sweep(store, clock, timer, watch, options, stop); }
  void fill(std::size_t records, Timestamp expires_at) {
    for (std::size_t i = 0; i < records; ++i)
      store.insert({"shop", "order-" + std::to_string(i)}, ended(State::succeeded, expires_at));
  }
};

}  // namespace

TEST_CASE("a sweep erases what is completed or released and has expired, and nothing else", "[sweep]") {
  World world;
  const Timestamp over = world.clock.now() + 1h;
  for (const State state :
       {State::in_progress, State::succeeded, State::declined, State::in_doubt, State::released}) {
    const std::string name(to_string(state));
    world.store.insert({"due", name}, ended(state, over));
    world.store.insert({"later", name}, ended(state, over + 1ms));
    Record half = ended(state, over);
    half.checkpoint = "authorised";
    world.store.insert({"half", name}, half);
  }
  world.clock.advance(1h);
  const SweepReport report = world.sweep();
  CHECK(report.erased == 5);
  CHECK(report.finished);
  CHECK_FALSE(report.paused_for_clock);
  CHECK_FALSE(report.failure);
  for (const State state :
       {State::in_progress, State::succeeded, State::declined, State::in_doubt, State::released}) {
    const std::string name(to_string(state));
    const bool completed = state == State::succeeded || state == State::declined;
    INFO(name);
    CHECK(world.store.find({"due", name}).has_value() == (!completed && state != State::released));
    CHECK(world.store.find({"half", name}).has_value() == !completed);
    CHECK(world.store.find({"later", name}));
  }
}

TEST_CASE("a sweep goes on in batches, with a pause between and a new look at the clock", "[sweep]") {
  World world;
  world.fill(25, world.clock.now());
  const SweepReport report = world.sweep();
  CHECK(report.erased == 25);
  CHECK(report.batches == 3);
  CHECK(report.finished);
  REQUIRE(world.store.calls.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(world.store.calls[i].limit == 10);
    CHECK(world.store.calls[i].elapsed == Duration(20 * i));
    CHECK(world.store.calls[i].now == ManualClock().now() + Duration(20 * i));
  }
}

TEST_CASE("a payment that begins anew while a sweep runs is not erased", "[sweep]") {
  World world;
  world.fill(20, world.clock.now());
  const IdempotencyKey key("shop", "order-17");
  bool begun_anew = false;
  world.store.answer = [&](Timestamp now, std::size_t limit) {
    const std::optional<Record> there = world.store.find(key);
    if (there && !begun_anew) {
      Record anew = *there;
      anew.state = State::in_progress;
      anew.version = 2;
      begun_anew = world.store.replace(key, 1, anew);
    }
    return world.store.store.erase_expired(now, limit);
  };
  CHECK(world.sweep().erased == 19);
  REQUIRE(begun_anew);
  CHECK(world.store.find(key)->state == State::in_progress);
}

TEST_CASE("nothing is erased while wall clock and timer disagree", "[sweep]") {
  World world;
  world.fill(1, world.clock.now() + 24h);
  CHECK(world.sweep().finished);  // the clock is known from here on
  const auto jump = GENERATE(Duration(365 * 24h), Duration(-365 * 24h), Duration(24h));
  world.clock.set(world.clock.now() + jump);
  for (int minute = 0; minute < 60; ++minute) {
    const SweepReport report = world.sweep();
    CHECK(report.paused_for_clock);
    CHECK_FALSE(report.finished);
    CHECK(report.erased == 0);
    world.clock.advance(1min);
  }
  CHECK(world.store.calls.size() == 1);
  const SweepReport report = world.sweep();
  CHECK_FALSE(report.paused_for_clock);
  CHECK(report.erased == (jump > 0s ? 1 : 0));
}

TEST_CASE("a jump between two batches ends the sweep before the second", "[sweep]") {
  World world;
  world.fill(20, world.clock.now());
  world.store.answer = [&](Timestamp now, std::size_t limit) {
    world.clock.set(now + 1h);
    return world.store.store.erase_expired(now, limit);
  };
  const SweepReport report = world.sweep();
  CHECK(report.erased == 10);
  CHECK(report.batches == 1);
  CHECK(report.paused_for_clock);
  CHECK_FALSE(report.finished);
}

namespace {

/// Jumps ahead as soon as it was read, for as long as nobody looks, and is right again at the next batch: for
/// who compares one reading and erases by another.
struct JumpsWhenRead {
  ManualClock& clock;
  int& reads;
  Timestamp now() { return clock.now() + (++reads % 2 == 0 ? Duration(365 * 24h) : Duration(0)); }
};

}  // namespace

TEST_CASE("the reading that is compared is the one that is erased by", "[sweep]") {
  World world;
  world.fill(1, world.clock.now() + 24h);
  int reads = 0;
  JumpsWhenRead clock{world.clock, reads};
  CHECK(sweep(world.store, clock, world.timer, world.watch, world.options, world.stop).finished);
  REQUIRE(world.store.calls.size() == 1);
  CHECK(reads == 1);
  CHECK(world.store.calls[0].now == world.clock.now());
  CHECK(world.store.find({"shop", "order-0"}));
}

TEST_CASE("a sweep ends at its deadline, also when a store always has more", "[sweep]") {
  World world;
  world.options.deadline = 100ms;
  const std::size_t more = GENERATE(0U, 5U);  // it may even say that it erased more than it was allowed to
  world.store.answer = [&](Timestamp, std::size_t limit) { return limit + more; };
  const SweepReport report = world.sweep();
  CHECK(report.batches == 5);  // at 0, 20, 40, 60 and 80 ms
  CHECK(report.erased == 5 * (10 + more));
  CHECK_FALSE(report.finished);
  CHECK_FALSE(report.paused_for_clock);
}

TEST_CASE("a stop ends a sweep before its next batch, and its pause at once", "[sweep]") {
  World world;
  SECTION("before it begins") {
    world.stop.request();
    CHECK(world.sweep().batches == 0);
    CHECK(world.store.calls.empty());
  }
  SECTION("in a batch") {
    world.store.answer = [&](Timestamp, std::size_t limit) {
      world.stop.request();
      return limit;
    };
    CHECK(world.sweep().batches == 1);
    CHECK(world.clock.elapsed() == 0ms);
  }
  SECTION("in a pause") {
    world.store.answer = [](Timestamp, std::size_t limit) { return limit; };
    SweepReport report;
    std::thread sweeper([&] {  // waits for a clock that does not move
      report = sweep(world.store, world.clock, world.clock, world.watch, world.options, world.stop);
    });
    world.clock.await_waiting(1);
    world.stop.request();
    sweeper.join();
    CHECK(report.batches == 1);
    CHECK_FALSE(report.finished);
  }
}

TEST_CASE("a store that cannot erase now ends the sweep, and what is worse is thrown", "[sweep]") {
  World world;
  world.fill(20, world.clock.now());
  const auto fail_at_second = [&](auto failure) {
    world.store.answer = [&world, failure](Timestamp now, std::size_t limit) {
      if (world.store.calls.size() == 2) throw failure;
      return world.store.store.erase_expired(now, limit);
    };
  };
  SECTION("to be tried again") {
    fail_at_second(Error(errc::store_unavailable, "no answer"));
    const SweepReport report = world.sweep();
    CHECK(report.erased == 10);
    CHECK(report.batches == 1);
    CHECK_FALSE(report.finished);
    REQUIRE(report.failure);
    CHECK(report.failure->code() == errc::store_unavailable);
    world.store.answer = {};
    CHECK(world.sweep().erased == 10);
  }
  SECTION("damage") {
    fail_at_second(Error(errc::store_corrupt, "damage"));
    CHECK_THROWS_MATCHES(world.sweep(), Error, support::has_code<Error>(errc::store_corrupt));
  }
  SECTION("something else") {
    fail_at_second(std::runtime_error("connection reset"));
    CHECK_THROWS_MATCHES(world.sweep(), std::runtime_error,
                         support::says<std::runtime_error>("connection reset"));
  }
}

TEST_CASE("a sweep refuses options that make no sense", "[sweep]") {
  World world;
  world.options = GENERATE(SweepOptions{0, 1ms, 1s}, SweepOptions{1, -1ms, 1s}, SweepOptions{1, 1ms, 0s},
                           SweepOptions{1, 1ms, -1s});
  CHECK_THROWS_MATCHES(world.sweep(), Error, support::has_code<Error>(errc::invalid_options));
  CHECK(world.store.calls.empty());
}
