// Leases that are extended, fail to be, or are lost while the callable runs. Real time, short leases, and
// events instead of waiting.

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "fault/event.hpp"
#include "support/catch.hpp"
#include "support/tested_store.hpp"

using namespace paidonce;
using support::TestedStore;

namespace {

/// A store that notes each write in the order in which it was made, and can be told to interfere.
class SpyStore {
 public:
  struct Write {
    Version expected;  // 0: an insert
    Version version;
    State state;
    std::thread::id by;
  };
  using Hook = std::function<void(const Record&)>;

  std::optional<Record> find(const IdempotencyKey& key) { return below.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    auto there = below.insert(key, record);
    if (!there) note(0, record);
    return there;
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    if (before_replace) before_replace(record);
    const bool stored = below.replace(key, expected, record);
    if (stored) note(expected, record);
    if (stored && record.state == State::in_progress) renewed.happen();
    if (after_replace) after_replace(record);
    return stored;
  }

  std::vector<Write> writes() {
    std::lock_guard lock(mutex_);
    return writes_;
  }
  /// Each write was made over the one before it, with a higher version.
  bool one_after_the_other() {
    const auto all = writes();
    for (std::size_t i = 1; i < all.size(); ++i)
      if (all[i].expected != all[i - 1].version || all[i].version <= all[i - 1].version) return false;
    return !all.empty() && all.front().expected == 0;
  }

  TestedStore below = {};
  fault::Event renewed;
  Hook before_replace = {}, after_replace = {};

 private:
  void note(Version expected, const Record& record) {
    std::lock_guard lock(mutex_);
    writes_.push_back({expected, record.version, record.state, std::this_thread::get_id()});
  }
  std::mutex mutex_;
  std::vector<Write> writes_;
};

/// Notes who lost a lease.
struct Listener {
  void on(const events::LeaseLost& lost) noexcept {
    {
      std::lock_guard lock(mutex);
      fences.push_back(lost.fence);
    }
    lease_lost.happen();
  }
  template <class Event>
  void on(const Event&) noexcept {}

  std::mutex mutex;
  std::vector<Version> fences;
  fault::Event lease_lost;
};

using Guard = IdempotencyGuard<SpyStore&, KeyedMutex, SystemClock, Listener&>;

GuardOptions lease_of(Duration lease) {
  GuardOptions options;
  options.lease = lease;
  return options;
}

const IdempotencyKey key("shop", "order-1001");
const Fingerprint request = fingerprint("order-1001", "4.50", "EUR");

/// What another process writes over this attempt's record.
template <class Change>
void move_on(SpyStore& store, const Change& change) {
  for (bool moved = false; !moved;) {  // a renewal may come in between
    Record record = *store.below.find(key);
    const Version expected = record.version;
    change(record);
    moved = store.below.replace(key, expected, record);
  }
}

Timestamp now() { return SystemClock().now(); }

}  // namespace

TEST_CASE("a lease is extended for as long as the callable runs", "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  Guard guard(store, {}, {}, lease_of(Duration(30)), listener);
  Timestamp first, last;
  bool third = false;
  const auto outcome = guard.execute(key, request, [&](Attempt& attempt) -> std::string {
    first = attempt.lease_until();
    third = store.renewed.await(3);
    last = attempt.lease_until();
    return "paid";
  });
  CHECK(third);
  CHECK(outcome.succeeded());
  CHECK(last > first);
  CHECK(store.one_after_the_other());
  const auto writes = store.writes();
  REQUIRE(writes.size() >= 5);
  CHECK(writes.back().state == State::succeeded);
  CHECK(writes.back().by == std::this_thread::get_id());
  for (std::size_t i = 1; i + 1 < writes.size(); ++i) {
    CHECK(writes[i].state == State::in_progress);
    CHECK(writes[i].by != std::this_thread::get_id());
  }
}

TEST_CASE("without a heartbeat nothing is written while the callable runs", "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  GuardOptions options = lease_of(Duration(20));
  options.heartbeat = false;
  Guard guard(store, {}, {}, options, listener);
  const auto outcome = guard.execute(key, request, [&](Attempt& attempt) -> std::string {
    CHECK(store.renewed.stays_below(1, Duration(60)));
    CHECK(attempt.lease_lost());
    return "paid";
  });
  CHECK(outcome.succeeded());
  CHECK(store.writes().size() == 2);
}

TEST_CASE("a renewal that is under way ends before the result is written", "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  fault::Event renewing, go_on, completing;
  store.before_replace = [&](const Record& record) {
    if (record.state != State::in_progress) return completing.happen();
    renewing.happen();
    go_on.await();
  };
  Guard guard(store, {}, {}, lease_of(Duration(300)), listener);
  fault::Event returning;
  bool held_back = false;
  std::thread other([&] {
    returning.await();
    held_back = completing.stays_below(1, Duration(50));
    go_on.happen();
  });
  const auto outcome = guard.execute(key, request, [&]() -> std::string {
    renewing.await();
    returning.happen();
    return "paid";
  });
  other.join();
  CHECK(held_back);
  CHECK(outcome.succeeded());
  CHECK(store.one_after_the_other());
  const auto writes = store.writes();
  REQUIRE(writes.size() == 3);
  CHECK(writes[1].state == State::in_progress);
  CHECK(writes[2].state == State::succeeded);
}

TEST_CASE("renewals that fail for a while are tried again, and the lease is kept", "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  int failing = 8;  // of the heartbeat's thread: two renewals with all their repetitions
  store.before_replace = [&](const Record& record) {
    if (record.state == State::in_progress && failing > 0) {
      --failing;
      throw Error(errc::store_unavailable, "for a while");
    }
  };
  Guard guard(store, {}, {}, lease_of(Duration(1500)), listener);
  const auto outcome = guard.execute(key, request, [&](Attempt& attempt) -> std::string {
    CHECK(store.renewed.await(1));
    CHECK(!attempt.lease_lost());
    return "paid";
  });
  CHECK(outcome.succeeded());
  CHECK(failing == 0);
  CHECK(listener.lease_lost.count() == 0);
  CHECK(store.one_after_the_other());
}

TEST_CASE("renewals whose replies are lost are adopted by the result", "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  store.after_replace = [&](const Record& record) {
    if (record.state == State::in_progress) throw Error(errc::store_unavailable, "the reply was lost");
  };
  Guard guard(store, {}, {}, lease_of(Duration(90)), listener);
  const auto outcome = guard.execute(key, request, [&](Attempt&) -> std::string {
    CHECK(store.renewed.await(2));
    return "paid";
  });
  CHECK(outcome.succeeded());
  CHECK(store.one_after_the_other());
  CHECK(store.writes().back().state == State::succeeded);
}

TEST_CASE("a lease that could not be extended in time is reported, and the result still recorded",
          "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  store.before_replace = [&](const Record& record) {
    if (record.state == State::in_progress) throw Error(errc::store_unavailable, "for ever");
  };
  Guard guard(store, {}, {}, lease_of(Duration(60)), listener);
  Version fence = 0;
  const auto outcome = guard.execute(key, request, [&](Attempt& attempt) -> std::string {
    fence = attempt.fence();
    CHECK(listener.lease_lost.await());
    CHECK(attempt.lease_lost());
    CHECK_THROWS_AS(attempt.extend_lease(), Error);
    return "paid";
  });
  CHECK(outcome.succeeded());
  CHECK(listener.fences == std::vector<Version>{fence});
  CHECK(store.one_after_the_other());
}

TEST_CASE("an attempt given up by another learns it, and completes its own record late",
          "[fault][heartbeat]") {
  SpyStore store;
  Listener listener;
  Guard guard(store, {}, {}, lease_of(Duration(60)), listener);
  Version fence = 0;
  const auto outcome = guard.execute(key, request, [&](Attempt& attempt) -> std::string {
    fence = attempt.fence();
    move_on(store, [](Record& record) { protocol::doubt(record, "abandoned", now()); });
    CHECK(listener.lease_lost.await());
    CHECK(attempt.lease_lost());
    CHECK_THROWS_MATCHES(attempt.extend_lease(), Error, support::has_code<Error>(errc::lease_lost));
    CHECK_THROWS_MATCHES(attempt.save_checkpoint("step"), Error, support::has_code<Error>(errc::lease_lost));
    return "paid";
  });
  CHECK(outcome.succeeded());
  CHECK(!outcome.replayed());
  CHECK(guard.find(key)->state == State::succeeded);
  CHECK(guard.find(key)->response == "paid");
  CHECK(guard.find(key)->note.empty());
  CHECK(listener.fences == std::vector<Version>{fence});
  const auto duplicate = guard.execute(key, request, [] { return std::string("twice"); });
  CHECK(duplicate.replayed());
  CHECK(duplicate.response() == "paid");
}

TEST_CASE("a result is not written over one that another recorded meanwhile", "[fault][heartbeat]") {
  const bool heartbeat = GENERATE(false, true);
  SpyStore store;
  Listener listener;
  GuardOptions options = lease_of(Duration(60));
  options.heartbeat = heartbeat;
  Guard guard(store, {}, {}, options, listener);
  Version fence = 0;
  const auto outcome = guard.execute(key, request, [&](Attempt& attempt) -> PaymentResult<std::string> {
    fence = attempt.fence();
    move_on(store, [](Record& record) { protocol::doubt(record, "abandoned", now()); });
    move_on(store, [](Record& record) {
      protocol::complete(record,
                         {State::declined, "seen by a person", "text", now(), std::chrono::hours(24)});
    });
    if (heartbeat) CHECK(listener.lease_lost.await());
    return succeeded("paid");
  });
  CHECK(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence());
  CHECK(*outcome.evidence() == "paid");
  CHECK(outcome.evidence_state() == State::succeeded);
  CHECK(guard.find(key)->state == State::declined);
  CHECK(guard.find(key)->response == "seen by a person");
  REQUIRE(!listener.fences.empty());
  for (const Version lost : listener.fences) CHECK(lost == fence);
}

TEST_CASE("a result is not written over another attempt", "[fault][heartbeat]") {
  ManualClock clock;
  GuardOptions options;
  options.heartbeat = false;
  IdempotencyGuard<TestedStore, NoLock, ManualClock&> guard(TestedStore{}, NoLock{}, clock, options);
  std::optional<Outcome<std::string>> second;
  const auto first = guard.execute(key, request, [&](Attempt& attempt) -> PaymentResult<std::string> {
    CHECK(!attempt.lease_lost());
    clock.advance(options.lease);
    CHECK(attempt.lease_lost());
    std::thread taking_over([&] {
      second.emplace(guard.execute(
          key, request, [] { return std::string("second"); },
          [](const Record&) -> PaymentResult<std::string> { return not_executed("as the provider says"); }));
    });
    taking_over.join();
    return succeeded("first");
  });
  REQUIRE(second);
  CHECK(second->succeeded());
  CHECK(second->response() == "second");
  CHECK(first.status() == Status::in_doubt);
  REQUIRE(first.evidence());
  CHECK(*first.evidence() == "first");
  CHECK(guard.find(key)->response == "second");
}

TEST_CASE("whoever finds a lease over answers in doubt, and the late holder completes",
          "[fault][heartbeat]") {
  ManualClock clock;
  GuardOptions options;
  options.heartbeat = false;
  IdempotencyGuard<TestedStore, KeyedMutex, ManualClock&> guard(TestedStore{}, KeyedMutex{}, clock, options);
  std::optional<Outcome<std::string>> second;
  const auto first = guard.execute(key, request, [&](Attempt&) -> PaymentResult<std::string> {
    clock.advance(options.lease);
    std::thread duplicate(
        [&] { second.emplace(guard.execute(key, request, [] { return std::string("second"); })); });
    duplicate.join();
    return declined("first");
  });
  REQUIRE(second);
  CHECK(second->status() == Status::in_doubt);
  CHECK(!second->evidence());
  CHECK(first.declined());
  CHECK(guard.find(key)->response == "first");
}
