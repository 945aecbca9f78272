// The relay's decisions and its pauses, and the outbox suite on an outbox in memory.

#include <paidonce/orders/receive.hpp>
#include <paidonce/orders/relay.hpp>
#include <paidonce/testing/memory_outbox.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/recovery/worker.hpp>
#include <paidonce/testing/instant_timer.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "outbox_world.hpp"

namespace {

using namespace outbox_suite;

/// On a clock that the test moves.
class MemoryBench : public BenchOf<MemoryBench, TransactionalMemoryStore, MemoryOutbox<ManualClock>> {
 public:
  using Box = MemoryOutbox<ManualClock>;

  TransactionalMemoryStore& store() { return store_; }
  Box& box() { return outbox_.box; }
  AnyOutbox& outbox() override { return outbox_; }
  AnyOutbox& keeping(Duration time) override {
    keeping_ = std::make_unique<OutboxOf<Box>>(store_, clock_, time);
    return *keeping_;
  }
  void pass(Duration time) override { clock_.advance(time); }

 private:
  TransactionalMemoryStore store_{{.lock_timeout = std::chrono::seconds(60)}};
  ManualClock clock_;
  OutboxOf<Box> outbox_{store_, clock_};
  std::unique_ptr<OutboxOf<Box>> keeping_;
};

constexpr int benches = 1;
std::unique_ptr<Bench> bench_of(int) { return std::make_unique<MemoryBench>(); }

}  // namespace

#include "outbox_suite.hpp"

namespace {

struct MemoryWorld : World {
  MemoryWorld() : World(std::make_unique<MemoryBench>()), store(static_cast<MemoryBench&>(bench).store()) {}
  TransactionalMemoryStore& store;
};

/// An outbox that cannot be reached so many times.
class Outage : public OutboxOf<AnyOutbox&> {
 public:
  Outage(AnyOutbox& outbox, int times, errc code = errc::store_unavailable)
      : OutboxOf(outbox), left_(times), code_(code) {}
  std::vector<ClaimedKey> claim(ClaimId id, const ClaimLimits& most) override {
    if (left_ > 0 && left_-- > 0) throw Error(code_, "out of order");
    return OutboxOf::claim(id, most);
  }

 private:
  int left_;
  const errc code_;
};

}  // namespace

TEST_CASE("an alert is raised once for a message, and again for the next one", "[relay]") {
  using detail::after_failure;
  using detail::now_first;
  using detail::StuckAlert;
  STATIC_REQUIRE(after_failure(0, 7, 4, 5) == StuckAlert::stays);
  STATIC_REQUIRE(after_failure(0, 7, 5, 5) == StuckAlert::raised);
  STATIC_REQUIRE(after_failure(0, 7, 6, 5) == StuckAlert::raised);  // the word of the fifth was lost
  STATIC_REQUIRE(after_failure(7, 7, 6, 5) == StuckAlert::stays);
  STATIC_REQUIRE(after_failure(6, 7, 5, 5) == StuckAlert::raised);
  STATIC_REQUIRE(now_first(0, 7) == StuckAlert::stays);
  STATIC_REQUIRE(now_first(7, 7) == StuckAlert::stays);
  STATIC_REQUIRE(now_first(6, 7) == StuckAlert::cleared);
  STATIC_REQUIRE(now_first(6, 0) == StuckAlert::cleared);
}

TEST_CASE("a relay refuses options that make no sense, and says what to do", "[relay]") {
  MemoryWorld world;
  const auto refused = [&](auto change) {
    RelayOptions options = world.options();
    change(options);
    CHECK_THROWS_MATCHES(world.relay(options), Error, has_code<Error>(errc::invalid_options));
  };
  refused([](RelayOptions& options) { options.keys = 0; });
  refused([](RelayOptions& options) { options.messages_per_key = 0; });
  refused([](RelayOptions& options) { options.deadline = options.lease; });
  refused([](RelayOptions& options) { options.deadline = 0ms; });
  refused([](RelayOptions& options) { options.poll = 0ms; });
  refused([](RelayOptions& options) { options.alert_after = 0; });
  refused([](RelayOptions& options) { options.backoff.first = 0ms; });
  refused([](RelayOptions& options) { options.backoff.jitter = Jitter::decorrelated; });
  CHECK_THROWS_MATCHES(world.bench.keeping(-1ms), Error, has_code<Error>(errc::invalid_options));
}

TEST_CASE("whoever sends is told how long it has", "[relay]") {
  MemoryWorld world;
  world.put("a", "a1");
  world.put("a", "a2");
  std::vector<Duration> left;
  const auto send = [&](const OutboxMessage&, Duration time) {
    left.push_back(time);
    world.clock.advance(4min);
  };
  Relay relay(world.outbox, send, world.options(), world.clock, world.clock);
  CHECK(relay.drain(world.stop).delivered == 2);
  CHECK(left == std::vector<Duration>{10min, 6min});
}

TEST_CASE("anything thrown is a failure, and an alert that throws is none", "[relay]") {
  MemoryWorld world;
  world.put("a", "a1");
  RelayOptions options = world.options();
  options.alert_after = 1;
  options.alert = [](const Alert&) { throw std::runtime_error("the pager is broken"); };
  Relay relay(
      world.outbox, [](const OutboxMessage&) { throw 7; }, options, world.clock, world.clock);
  CHECK(relay.drain(world.stop).failed == 1);
  const auto stuck = world.outbox.stuck(1, 1);
  REQUIRE(stuck.size() == 1);
  CHECK(stuck[0].failure == "what was thrown is no std::exception");
}

TEST_CASE("what a failure said is kept, and not for ever long", "[relay]") {
  MemoryWorld world;
  world.put("a", "a1");
  const auto send = [](const OutboxMessage&) { throw std::runtime_error(std::string(5000, 'x')); };
  Relay relay(world.outbox, send, world.options(), world.clock, world.clock);
  relay.drain(world.stop);
  CHECK(world.outbox.stuck(1, 1).at(0).failure == std::string(500, 'x'));
}

TEST_CASE("a relay that runs looks again at intervals, and outlasts an outage with growing pauses",
          "[relay]") {
  MemoryWorld world;
  Outage outage(world.outbox, 3);
  std::vector<Duration> at;
  ManualClock clock = world.clock;
  const auto send = [&](const OutboxMessage& message) {
    at.push_back(clock.elapsed());
    if (message.payload == "last")
      world.stop.request();
    else
      world.put("a", "last");
  };
  world.put("a", "a1");
  Relay relay(outage, send, world.options(), InstantTimer(clock), clock);
  relay.run(world.stop);
  CHECK(at == std::vector<Duration>{7min, 7min});  // after 1, 2 and 4 minutes; what is new at once
}

TEST_CASE("a relay passes on what no trying again mends", "[relay]") {
  MemoryWorld world;
  Outage outage(world.outbox, 1, errc::store_corrupt);
  Relay relay(
      outage, [](const OutboxMessage&) {}, world.options(), InstantTimer(world.clock), world.clock);
  CHECK_THROWS_MATCHES(relay.run(world.stop), Error, has_code<Error>(errc::store_corrupt));
}

TEST_CASE("a relay that is woken does not wait for its next look", "[relay]") {
  MemoryWorld world;
  auto relay = world.relay();
  world.receiver.before = [&](const OutboxMessage&) { world.stop.request(); };
  std::thread thread([&] { relay.run(world.stop); });
  world.clock.await_waiting(1);
  world.put("a", "a1");
  relay.wake(world.stop);  // no time passes
  thread.join();
  CHECK(world.receiver.payloads() == Texts{"a1"});
}

TEST_CASE("a relay is a job of a background worker", "[relay]") {
  MemoryWorld world;
  world.put("a", "a1");
  auto relay = world.relay();
  {
    BackgroundWorker<ManualClock, ManualClock> worker({}, world.clock, world.clock);
    worker.add({"outbox", {.every = 500ms}, [&](Stop& stop) { relay.drain(stop); }});
    worker.start();
    world.clock.await_waiting(1);
  }
  CHECK(world.receiver.payloads() == Texts{"a1"});
}

TEST_CASE("a claim that the commit left unsure runs out by itself", "[relay]") {
  MemoryWorld world;
  world.put("a", "a1");
  auto relay = world.relay();
  world.store.next_commit(CommitFate::reply_lost);
  CHECK_THROWS_MATCHES(relay.deliver_once(world.stop), Error, has_code<Error>(errc::store_unavailable));
  CHECK(relay.drain(world.stop).keys == 0);
  world.pass(lease);
  CHECK(relay.drain(world.stop).delivered == 1);
}

TEST_CASE("a payment whose completing commit lost its reply is announced once", "[relay]") {
  MemoryWorld world;
  for (const CommitFate fate : {CommitFate::reply_lost, CommitFate::fails}) {
    const std::string order = fate == CommitFate::fails ? "2" : "1";
    const auto outcome = world.bench.announce(order, [&]() -> PaymentResult<std::string> {
      world.store.next_commit(fate);
      return succeeded(std::string(" paid"));
    });
    CHECK(outcome.succeeded());
  }
  world.drain();
  CHECK(world.receiver.payloads() == Texts{"1 paid", "2 paid"});
}

TEST_CASE("the receiver tells a repeat from another message under the same id", "[relay]") {
  IdempotencyGuard guard{MemoryStore{}};
  int effects = 0;
  const auto handle = [&] {
    ++effects;
    return std::string("done");
  };
  const OutboxMessage message{7, "a", "receipt", "4.50 EUR"};
  CHECK(receive(guard, "shop", message, handle).succeeded());
  CHECK(receive(guard, "shop", message, handle).replayed());
  CHECK(receive(guard, "another shop", message, handle).succeeded());
  const auto other = receive(guard, "shop", {7, "a", "receipt", "9.99 EUR"}, handle);
  CHECK(other.status() == Status::key_reused);
  CHECK_THROWS_MATCHES(require_received(other), NotReceived, support::says<NotReceived>("key_reused"));
  CHECK(effects == 2);
}

TEST_CASE("a message that was handled by halves waits for proof", "[relay]") {
  IdempotencyGuard guard{MemoryStore{}};
  const OutboxMessage message{7, "a", "receipt", "4.50 EUR"};
  const auto fails = [&]() -> std::string { throw std::runtime_error("cut"); };
  const auto in_doubt = receive(guard, "shop", message, fails);
  CHECK_THROWS_MATCHES(require_received(in_doubt), NotReceived, support::says<NotReceived>("in_doubt"));
  const auto settled = receive(guard, "shop", message, fails, [](const Record&) {
    return PaymentResult<std::string>(succeeded("printed"));
  });
  CHECK_NOTHROW(require_received(settled));
  CHECK(settled.response() == "printed");
}

TEST_CASE("rows that a message causes are there once, and a handling that throws leaves none", "[relay]") {
  TransactionalMemoryStore books;
  IdempotencyGuard guard{books};
  using Transaction = TransactionalMemoryStore::Transaction;
  const OutboxMessage message{7, "a", "receipt", "4.50 EUR"};
  const auto book = [&](bool fails) {
    return receive_in_transaction(guard, "shop", message, [=](Attempt&, Transaction& transaction) {
      transaction.native()["booking"] += '1';
      if (fails) throw std::runtime_error("no such account");
      return std::string("booked");
    });
  };
  CHECK_THROWS_AS(require_received(book(true)), NotReceived);
  CHECK(books.rows().empty());
  CHECK(book(false).succeeded());
  CHECK(book(false).replayed());
  CHECK(books.rows() == TransactionalMemoryStore::Rows{{"booking", "1"}});
}
