#include <paidonce/recovery/recover.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

#include "guard_support.hpp"
#include "support/catch.hpp"

using namespace guard_tests;

namespace {

/// A door that a test opens: whoever comes before waits.
class Door {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++came_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void open() {
    {
      std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }
  void await(int came) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return came_ >= came; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int came_ = 0;
  bool open_ = false;
};

RecoveryOptions quick() {
  RecoveryOptions options;
  options.backoff = {1min, 1h, Jitter::none};
  return options;
}

/// While it lives no thread can be started: none has room for such a stack.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    REQUIRE(pthread_getattr_default_np(&before_) == 0);
    pthread_attr_t huge;
    REQUIRE(pthread_attr_init(&huge) == 0);
    REQUIRE(pthread_attr_setstacksize(&huge, std::size_t{1} << 50) == 0);
    REQUIRE(pthread_setattr_default_np(&huge) == 0);
    pthread_attr_destroy(&huge);
  }
  ~NoMoreThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;

 private:
  pthread_attr_t before_;
};

/// Begins a payment whose holder vanishes: the record stays in progress.
void abandon(World<>& world, const IdempotencyKey& of) {
  (void)world.guard.execute(of, request, []() -> Text { throw std::runtime_error("no reply"); });
  Record record = world.record(of);
  const Version version = record.version;
  record.state = State::in_progress;
  record.note.clear();
  ++record.version;
  REQUIRE(world.store.replace(of, version, record));
}

/// Takes no release.
struct Refusing {
  TestedStore& store;
  std::optional<Record> find(const IdempotencyKey& of) { return store.find(of); }
  std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
    return store.insert(of, record);
  }
  bool replace(const IdempotencyKey& of, Version expected, const Record& record) {
    if (record.state == State::released) throw Error(errc::store_unavailable, "the disk is gone");
    return store.replace(of, expected, record);
  }
  void scan(const ScanFilter& filter, auto&& visitor) { store.scan(filter, visitor); }
};

/// Throws what is no exception.
struct Odd {
  TestedStore& store;
  std::optional<Record> find(const IdempotencyKey&) { throw 7; }
  std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
    return store.insert(of, record);
  }
  bool replace(const IdempotencyKey& of, Version expected, const Record& record) {
    return store.replace(of, expected, record);
  }
  void scan(const ScanFilter& filter, auto&& visitor) { store.scan(filter, visitor); }
};

}  // namespace

TEST_CASE(
    "the time for which a doubt is seen begins when it is one, and anew with each attempt and each proof",
    "[recovery][recover]") {
  detail::OpenDoubts doubts({1min, 1h, Jitter::none}, 3);
  const auto may_live = protocol::Holder::may_live, gone = protocol::Holder::gone;
  Record record;
  record.attempt_id = 1;
  record.state = State::in_progress;
  doubts.begin_round();
  CHECK(doubts.meet(key(), record, 10s) == detail::OpenDoubts::Due::now);  // abandoned, and not asked about
  record.state = State::in_doubt;
  CHECK(doubts.sight(key(), record, may_live, 20s).seen_for == 0s);
  CHECK(doubts.sight(key(), record, may_live, 50s).seen_for == 30s);
  CHECK(doubts.sight(key(), record, gone, 60s).seen_for == 0s);
  CHECK(doubts.sight(key(), record, gone, 90s).seen_for == 30s);
  record.attempt_id = 2;
  CHECK(doubts.sight(key(), record, gone, 100s).seen_for == 0s);
  record.created_at += 1ms;
  CHECK(doubts.sight(key(), record, gone, 110s).seen_for == 0s);
}

TEST_CASE("another attempt that falls into doubt while it is asked about is not forgotten",
          "[recovery][recover]") {
  detail::OpenDoubts doubts({1min, 1h, Jitter::none}, 1);
  std::minstd_rand random;
  Record record;
  record.attempt_id = 1;
  record.state = State::in_doubt;
  doubts.begin_round();
  CHECK(doubts.meet(key(), record, 0s) == detail::OpenDoubts::Due::now);
  doubts.begin_asking(key());
  record.attempt_id = 2;
  CHECK(doubts.sight(key(), record, protocol::Holder::may_live, 1s).round == 1);
  doubts.put_off(key(), 1s, random);
  CHECK(doubts.count_round(key()));
  CHECK(doubts.end_round().empty());
  CHECK(doubts.meet(key(), record, 2s) == detail::OpenDoubts::Due::left_to_person);
}

TEST_CASE("what the provider knows settles a payment in doubt, whatever it says", "[recovery][recover]") {
  World world;
  for (const char* text : {"paid", "declined", "nothing", "unknown", "throws"}) world.put_in_doubt(key(text));
  Recovery recovery(
      world.guard,
      [](const Doubt& doubt) -> Text {
        const std::string_view text = doubt.key.text();
        if (text == "paid") return succeeded("receipt");
        if (text == "declined") return declined("no funds");
        if (text == "nothing") return not_executed("the provider refuses late requests");
        if (text == "unknown") return in_doubt("not found");
        throw std::runtime_error("timeout");
      },
      quick(), world.clock);
  const RecoveryReport report = recovery.run();
  CHECK(report.finished);
  CHECK(report.seen == 5);
  CHECK(report.asked == 5);
  CHECK(report.succeeded == 1);
  CHECK(report.declined == 1);
  CHECK(report.released == 1);
  CHECK(report.in_doubt == 1);
  CHECK(report.unanswered == 1);
  CHECK(report.failed == 0);
  CHECK(report.hanging == 0);
  CHECK(world.guard.execute(key("paid"), request, never).response() == "receipt");
  CHECK(world.guard.execute(key("declined"), request, never).declined());
  CHECK(world.state(key("nothing")) == State::released);
  CHECK(world.state(key("unknown")) == State::in_doubt);
  CHECK(world.state(key("throws")) == State::in_doubt);
}

TEST_CASE("what somebody else released meanwhile is not counted as the provider's answer",
          "[recovery][recover]") {
  World world;
  const IdempotencyKey keys[] = {key("a"), key("b")};
  for (const IdempotencyKey& of : keys) world.put_in_doubt(of);
  RecoveryOptions options = quick();
  options.concurrency = 1;
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        const IdempotencyKey& other = doubt.key == keys[0] ? keys[1] : keys[0];
        world.guard.resolve(other, State::released, {}, {}, "Ada", "the bank has nothing of it");
        throw std::runtime_error("timeout");
      },
      options, world.clock);
  const RecoveryReport report = recovery.run();
  CHECK(report.asked == 2);
  CHECK(report.unanswered == 1);
  CHECK(report.released == 0);
  CHECK(report.settled_elsewhere == 1);
}

TEST_CASE("an abandoned payment is asked about once its lease is over, and not before",
          "[recovery][recover]") {
  World world({.lease = 10s});
  abandon(world, key());
  int asked = 0, as_expected = 0;
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        ++asked;
        if (doubt.record.state == State::in_doubt && doubt.holder == protocol::Holder::may_live)
          ++as_expected;
        return succeeded("receipt");
      },
      quick(), world.clock);
  RecoveryReport report = recovery.run();
  CHECK(report.running == 1);
  CHECK(report.asked == 0);
  CHECK(world.state() == State::in_progress);
  world.clock.advance(10s);
  report = recovery.run();
  CHECK(report.succeeded == 1);
  CHECK(asked == 1);
  CHECK(as_expected == 1);
  CHECK(recovery.run().seen == 0);
}

TEST_CASE("a payment that runs is left to run, and completes", "[recovery][recover]") {
  World world({.lease = 10s});
  int asked = 0;
  const auto outcome = world.guard.execute(key(), request, [&] {
    const RecoveryReport report = recover(world.guard, [&](const Doubt&) -> Text {
      ++asked;
      return not_executed("?");
    });
    CHECK(report.running == 1);
    CHECK(report.asked == 0);
    return succeeded("paid");
  });
  CHECK(outcome.succeeded());
  CHECK(asked == 0);
}

TEST_CASE("a doubt is asked about again only after its pause, which grows", "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  int asked = 0;
  std::vector<std::uint32_t> rounds;
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        ++asked;
        rounds.push_back(doubt.round);
        return in_doubt("not found");
      },
      quick(), world.clock);
  const RecoveryReport first = recovery.run();
  CHECK(first.asked == 1);
  CHECK(first.reason == "not found");
  for (const Duration pause : {Duration(1min), Duration(2min), Duration(4min)}) {
    world.clock.advance(pause - 1ms);
    const RecoveryReport early = recovery.run();
    CHECK(early.not_due == 1);
    CHECK(early.asked == 0);
    CHECK(early.finished);
    world.clock.advance(1ms);
    CHECK(recovery.run().asked == 1);
  }
  CHECK(asked == 4);
  CHECK(rounds == std::vector<std::uint32_t>{1, 2, 3, 4});
}

TEST_CASE("how long a doubt has been seen is counted on the timer, from its first sight and for one attempt",
          "[recovery][recover]") {
  World world({.lease = 10s, .provider_deduplicates = true});
  abandon(world, key());
  std::vector<Duration> seen;
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        seen.push_back(doubt.seen_for);
        return in_doubt("not found");
      },
      quick(), world.clock);
  (void)recovery.run();  // sees it in progress
  world.clock.advance(1h);
  (void)recovery.run();  // sees it in doubt for the first time
  world.clock.set(world.clock.now() + 9h);
  world.clock.advance(90s);
  (void)recovery.run();
  world.put_in_doubt();  // another attempt
  world.clock.advance(3min);
  (void)recovery.run();
  world.clock.advance(5min);
  (void)recovery.run();
  CHECK(seen == std::vector<Duration>{0s, 90s, 0s, 5min});
}

TEST_CASE(
    "a payment that stays in doubt is left to a person, who is told once, and once more when it is settled",
    "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  std::vector<Alert> alerts;
  int asked = 0;
  RecoveryOptions options = quick();
  options.rounds = 3;
  options.alert = [&](const Alert& alert) {
    alerts.push_back(alert);
    throw std::runtime_error("the pager is broken");
  };
  Recovery recovery(
      world.guard,
      [&](const Doubt&) -> Text {
        ++asked;
        return in_doubt("not found");
      },
      options, world.clock);
  for (int round = 0; round < 6; ++round) {
    (void)recovery.run();
    world.clock.advance(1h);
  }
  CHECK(asked == 3);
  CHECK(recovery.run().left_to_person == 1);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].rule == "left_in_doubt");
  CHECK(alerts[0].edge == Alert::Edge::raised);
  CHECK(alerts[0].key_digest == key_digest(key()));
  CHECK(alerts[0].text.find("order-1001") == std::string::npos);

  world.guard.resolve(key(), State::released, "", "", "ann", "not on the statement");
  (void)recovery.run();
  REQUIRE(alerts.size() == 2);
  CHECK(alerts[1].edge == Alert::Edge::cleared);
  CHECK(alerts[1].key_digest == key_digest(key()));
  (void)recovery.run();
  CHECK(alerts.size() == 2);
}

TEST_CASE("a provider that is away takes no payment out of recovery's hands, and is told of once",
          "[recovery][recover]") {
  World world;
  world.put_in_doubt(key("a"));
  world.put_in_doubt(key("b"));
  bool away = true;
  std::vector<Alert> alerts;
  RecoveryOptions options = quick();
  options.rounds = 2;
  options.alert = [&](const Alert& alert) { alerts.push_back(alert); };
  Recovery recovery(
      world.guard,
      [&](const Doubt&) -> Text {
        if (away) throw std::runtime_error("no route to host");
        return succeeded("receipt");
      },
      options, world.clock);
  for (int round = 0; round < 5; ++round) {
    const RecoveryReport report = recovery.run();
    CHECK(report.unanswered == 2);
    CHECK(report.reason == "no route to host");
    world.clock.advance(2h);
  }
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].rule == "provider_does_not_answer");
  CHECK(alerts[0].edge == Alert::Edge::raised);
  away = false;
  CHECK(recovery.run().succeeded == 2);
  REQUIRE(alerts.size() == 2);
  CHECK(alerts[1].edge == Alert::Edge::cleared);
}

TEST_CASE("a payment whose question fails while others are answered is left to a person in the end",
          "[recovery][recover]") {
  World world;
  world.put_in_doubt(key("poison"));
  world.put_in_doubt(key("other"));
  RecoveryOptions options = quick();
  options.rounds = 3;
  options.backoff.longest = 1min;
  std::vector<std::string> rules;
  options.alert = [&](const Alert& alert) { rules.push_back(alert.rule + " " + alert.key_digest); };
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        if (doubt.key.text() == "poison") throw std::invalid_argument("this record");
        return in_doubt("not found");
      },
      options, world.clock);
  for (int round = 0; round < 3; ++round) {
    (void)recovery.run();
    world.clock.advance(1min);
  }
  CHECK(recovery.run().left_to_person == 2);
  std::sort(rules.begin(), rules.end());
  std::vector<std::string> expected = {"left_in_doubt " + key_digest(key("poison")),
                                       "left_in_doubt " + key_digest(key("other"))};
  std::sort(expected.begin(), expected.end());
  CHECK(rules == expected);
}

TEST_CASE("a round that is cut short forgets nothing of what it did not come to", "[recovery][recover]") {
  World world;
  for (int i = 0; i < 8; ++i) world.put_in_doubt(key(std::to_string(i)));
  std::vector<Duration> seen;
  std::mutex mutex;
  RecoveryOptions options = quick();
  options.backoff = {1min, 1min, Jitter::none};
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        std::lock_guard lock(mutex);
        seen.push_back(doubt.seen_for);
        return in_doubt("not found");
      },
      options, world.clock);
  (void)recovery.run();
  world.clock.advance(10min);
  Stop stop;
  stop.request();
  CHECK_FALSE(recovery.run(stop).finished);
  seen.clear();
  CHECK(recovery.run().in_doubt == 8);
  CHECK(seen == std::vector<Duration>(8, 10min));
}

TEST_CASE("no more payments are asked about at a time than allowed", "[recovery][recover]") {
  World world;
  for (int i = 0; i < 200; ++i) world.put_in_doubt(key(std::to_string(i)));
  RecoveryOptions options = quick();
  options.concurrency = 3;
  options.batch = 7;
  std::atomic<int> now{0}, most{0}, asked{0};
  std::set<std::thread::id> threads;
  std::mutex mutex;
  Door door;
  Recovery recovery(
      world.guard,
      [&](const Doubt&) -> Text {
        const int here = ++now;
        int seen = most.load();
        while (seen < here && !most.compare_exchange_weak(seen, here)) {
        }
        {
          std::lock_guard lock(mutex);
          threads.insert(std::this_thread::get_id());
        }
        ++asked;
        door.pass();
        --now;
        return succeeded("receipt");
      },
      options, world.clock);
  std::thread opener([&] {
    door.await(3);
    door.open();
  });
  const RecoveryReport report = recovery.run();
  opener.join();
  CHECK(report.succeeded == 200);
  CHECK(asked == 200);
  CHECK(most == 3);
  CHECK(threads.size() == 3);
}

TEST_CASE("a call that hangs delays its own payment alone, and is not made twice", "[recovery][recover]") {
  World world;
  for (const char* text : {"a", "hangs", "b", "c"}) world.put_in_doubt(key(text));
  RecoveryOptions options = quick();
  options.concurrency = 1;
  options.answer_within = 30s;
  Door door;
  std::atomic<int> hung{0};
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        if (doubt.key.text() == "hangs") {
          ++hung;
          door.pass();
        }
        return succeeded("receipt");
      },
      options, world.clock);
  std::thread time([&] {
    door.await(1);
    world.clock.await_waiting(1);  // the round waits for it, and then no longer
    world.clock.advance(30s);
  });
  RecoveryReport report = recovery.run();
  time.join();
  CHECK(report.finished);
  CHECK(report.asked == 4);
  CHECK(report.succeeded == 3);
  CHECK(report.hanging == 1);
  CHECK(world.state(key("hangs")) == State::in_doubt);
  world.clock.advance(2h);
  report = recovery.run();
  CHECK(report.seen == 1);
  CHECK(report.asked == 0);
  CHECK(report.hanging == 1);
  CHECK(hung == 1);
  door.open();
  while (world.state(key("hangs")) != State::succeeded) std::this_thread::yield();
  while (recovery.run().hanging != 0) std::this_thread::yield();
}

TEST_CASE("so many calls may hang, and then the round waits until its deadline", "[recovery][recover]") {
  World world;
  for (int i = 0; i < 5; ++i) world.put_in_doubt(key(std::to_string(i)));
  RecoveryOptions options = quick();
  options.concurrency = 1;
  options.most_hanging = 2;
  options.answer_within = 30s;
  options.deadline = 2min;
  Door door;
  std::atomic<int> asked{0};
  Recovery recovery(
      world.guard,
      [&](const Doubt&) -> Text {
        ++asked;
        door.pass();
        return succeeded("receipt");
      },
      options, world.clock);
  std::thread time([&] {
    for (int hanging = 1; hanging <= 3; ++hanging) {
      door.await(hanging);
      world.clock.await_waiting(1);
      world.clock.advance(hanging == 3 ? Duration(1min) : Duration(30s));
    }
  });
  const RecoveryReport report = recovery.run();
  time.join();
  CHECK_FALSE(report.finished);
  CHECK(report.asked == 3);
  CHECK(report.hanging == 3);
  CHECK(asked == 3);
  door.open();
}

TEST_CASE("a provider that hangs on every call is told of once, and its late answer, too",
          "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  RecoveryOptions options = quick();
  options.answer_within = 30s;
  std::vector<std::string> told;
  options.alert = [&](const Alert& alert) {
    told.push_back((alert.edge == Alert::Edge::raised ? "raised " : "cleared ") + alert.rule);
  };
  Door door;
  Recovery recovery(
      world.guard,
      [&](const Doubt&) -> Text {
        door.pass();
        return succeeded("receipt");
      },
      options, world.clock);
  std::thread time([&] {
    door.await(1);
    world.clock.await_waiting(1);
    world.clock.advance(30s);
  });
  CHECK(recovery.run().hanging == 1);
  time.join();
  CHECK(told == std::vector<std::string>{"raised provider_does_not_answer"});
  world.clock.advance(1h);
  CHECK(recovery.run().hanging == 1);
  CHECK(told.size() == 1);
  door.open();
  while (world.state() != State::succeeded) std::this_thread::yield();
  while (recovery.run().hanging != 0) std::this_thread::yield();  // and the answer came between two rounds
  CHECK(told.back() == "cleared provider_does_not_answer");
}

TEST_CASE("a payment that there was no thread for is asked about in the next round", "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  Recovery recovery(
      world.guard, [](const Doubt&) -> Text { return succeeded("receipt"); }, quick(), world.clock);
  {
    const NoMoreThreads full;
    const RecoveryReport report = recovery.run();
    CHECK(report.asked == 0);
    CHECK_FALSE(report.finished);
    CHECK(report.failure.find("limit of threads") != std::string::npos);
  }
  CHECK(recovery.run().succeeded == 1);
}

TEST_CASE("a crew without threads takes no task that nobody would come to", "[recovery][recover]") {
  ManualClock clock;
  Stop bell;
  Door door;
  std::atomic<int> done{0};
  detail::Crew<ManualClock> crew({.at_work = 2, .most_hanging = 1, .late_after = 10s}, clock);
  CHECK(crew.give([&] { door.pass(); }, 1min, bell));
  door.await(1);
  std::thread time([&] {
    clock.await_waiting(1);  // for the one at work, who may take the next task
    clock.advance(10s);      // and hangs
  });
  {
    const NoMoreThreads full;
    CHECK_THROWS_AS(crew.give([&] { ++done; }, 1min, bell), Error);
  }
  time.join();
  CHECK(crew.unfinished() == 1);
  CHECK(crew.give([&] { ++done; }, 1min, bell));
  CHECK(crew.settle(1min, bell));
  CHECK(done == 1);
  door.open();
}

TEST_CASE("a stop ends a round at once, and what is asked about is still settled", "[recovery][recover]") {
  World world;
  for (int i = 0; i < 5; ++i) world.put_in_doubt(key(std::to_string(i)));
  RecoveryOptions options = quick();
  options.concurrency = 2;
  Door door;
  std::atomic<int> asked{0};
  {
    Recovery recovery(
        world.guard,
        [&](const Doubt&) -> Text {
          ++asked;
          door.pass();
          return succeeded("receipt");
        },
        options, world.clock);
    std::thread stopper([&] {
      door.await(2);
      recovery.stop();
    });
    const RecoveryReport report = recovery.run();
    stopper.join();
    CHECK_FALSE(report.finished);
    CHECK(report.hanging == 2);
    CHECK_FALSE(recovery.run().finished);
    door.open();
  }  // waits for the two
  CHECK(asked == 2);
  int succeeded = 0;
  for (int i = 0; i < 5; ++i) succeeded += world.state(key(std::to_string(i))) == State::succeeded ? 1 : 0;
  CHECK(succeeded == 2);
}

TEST_CASE("a guard that shuts down ends the round, and says so", "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  world.guard.shut_down();
  Recovery recovery(
      world.guard, [](const Doubt&) -> Text { return succeeded("?"); }, quick(), world.clock);
  const RecoveryReport report = recovery.run();
  CHECK(report.failed == 1);
  CHECK_FALSE(report.failure.empty());
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("a payment that was left to a person and runs again is not settled by that",
          "[recovery][recover]") {
  World world({.provider_deduplicates = true});
  world.put_in_doubt();
  std::vector<Alert::Edge> told;
  RecoveryOptions options = quick();
  options.rounds = 1;
  options.alert = [&](const Alert& alert) { told.push_back(alert.edge); };
  Recovery recovery(
      world.guard, [](const Doubt&) -> Text { return in_doubt("not found"); }, options, world.clock);
  (void)recovery.run();
  CHECK(told.size() == 1);
  const auto outcome = world.guard.execute(key(), request, [&] {
    CHECK(recovery.run().running == 1);
    return succeeded("paid");
  });
  CHECK(told.size() == 1);
  CHECK(outcome.succeeded());
  (void)recovery.run();
  CHECK(told == std::vector<Alert::Edge>{Alert::Edge::raised, Alert::Edge::cleared});
}

TEST_CASE("a round goes on where the last one was cut short", "[recovery][recover]") {
  World world;
  for (int i = 0; i < 20; ++i) world.put_in_doubt(key(std::to_string(i)));
  RecoveryOptions options = quick();
  options.concurrency = 1;
  options.batch = 3;
  options.backoff = {1s, 1s, Jitter::none};
  options.deadline = 5min;
  options.answer_within = 2min;
  std::set<std::string> asked;
  Recovery recovery(
      world.guard,
      [&](const Doubt& doubt) -> Text {  // a client that gives up after a minute
        asked.emplace(doubt.key.text());
        world.clock.advance(1min);
        throw std::runtime_error("timeout");
      },
      options, world.clock);
  std::size_t rounds = 0, seen = 0;
  while (asked.size() < 20 && ++rounds < 20) seen = recovery.run().seen;
  CHECK(rounds <= 5);
  CHECK(asked.size() == 20);
  CHECK(seen <= 20);
}

TEST_CASE("a release that the store did not take failed, and is no answer that settles nothing",
          "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  IdempotencyGuard guard(Refusing{world.store}, KeyedMutex(), world.clock);
  const RecoveryReport report = recover(
      guard, [](const Doubt&) -> Text { return not_executed("cancelled there"); }, quick());
  CHECK(report.failed == 1);
  CHECK(report.in_doubt == 0);
  CHECK(report.failure.find("the disk is gone") != std::string::npos);
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("a failure that is no exception is told, too, and its payment is asked about later",
          "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  IdempotencyGuard guard(Odd{world.store}, KeyedMutex(), world.clock);
  Recovery recovery(
      guard, [](const Doubt&) -> Text { return succeeded("?"); }, quick(), world.clock);
  const RecoveryReport report = recovery.run();
  CHECK(report.failed == 1);
  CHECK_FALSE(report.failure.empty());
  CHECK(recovery.run().not_due == 1);
}

TEST_CASE("recovery looks only after the payments that it is told to", "[recovery][recover]") {
  World world;
  world.put_in_doubt(key());
  world.put_in_doubt(IdempotencyKey("refunds", "1"));
  RecoveryOptions options = quick();
  options.only = [](const IdempotencyKey& of, const Record&) { return of.scope() == "refunds"; };
  const RecoveryReport report = recover(
      world.guard, [](const Doubt&) -> Text { return succeeded("receipt"); }, options);
  CHECK(report.seen == 1);
  CHECK(report.succeeded == 1);
  CHECK(world.state() == State::in_doubt);
}

TEST_CASE("a holder that is said to be dead is told to whoever asks the provider", "[recovery][recover]") {
  World world;
  world.put_in_doubt();
  RecoveryOptions options = quick();
  options.holder_dead = [](const IdempotencyKey&, const Record&) { return true; };
  int gone = 0;
  (void)recover(
      world.guard,
      [&](const Doubt& doubt) -> Text {
        gone += doubt.holder == protocol::Holder::gone ? 1 : 0;
        return in_doubt("?");
      },
      options);
  CHECK(gone == 1);
}

TEST_CASE("progress is told while a round goes on", "[recovery][recover]") {
  World world;
  for (int i = 0; i < 20; ++i) world.put_in_doubt(key(std::to_string(i)));
  RecoveryOptions options = quick();
  std::vector<std::size_t> asked;
  options.progress = [&](const RecoveryReport& so_far) { asked.push_back(so_far.asked); };
  (void)recover(
      world.guard, [](const Doubt&) -> Text { return succeeded("receipt"); }, options);
  REQUIRE(asked.size() == 21);
  CHECK(std::is_sorted(asked.begin(), asked.end()));
  CHECK(asked.back() == 20);
}

TEST_CASE("recovery refuses options that cannot work", "[recovery][recover]") {
  World world;
  const auto refused = [&](auto change) {
    RecoveryOptions options = quick();
    change(options);
    try {
      (void)recover(
          world.guard, [](const Doubt&) -> Text { return in_doubt("?"); }, options);
    } catch (const Error& error) {
      return error.code() == errc::invalid_options;
    }
    return false;
  };
  CHECK(refused([](RecoveryOptions& o) { o.concurrency = 0; }));
  CHECK(refused([](RecoveryOptions& o) { o.batch = 0; }));
  CHECK(refused([](RecoveryOptions& o) { o.answer_within = -1s; }));
  CHECK(refused([](RecoveryOptions& o) { o.deadline = 0s; }));
  CHECK(refused([](RecoveryOptions& o) { o.rounds = 0; }));
  CHECK(refused([](RecoveryOptions& o) { o.backoff.first = 0s; }));
  CHECK_FALSE(refused([](RecoveryOptions&) {}));
}
