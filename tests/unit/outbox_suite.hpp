#pragma once
// What holds for every outbox, and for relays on it. The source that includes this says which there are:
// `constexpr int benches` of them, and `bench_of(number)` makes one.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/orders/receive.hpp>
#include <paidonce/stores/memory.hpp>

#include "outbox_world.hpp"

namespace outbox_suite {

/// An outbox whose relay dies before it can settle: the claims are dropped.
class DiesBeforeSettling : public OutboxOf<AnyOutbox&> {
 public:
  struct Death {};
  explicit DiesBeforeSettling(AnyOutbox& outbox) : OutboxOf(outbox) {}
  std::size_t settle(ClaimId, std::span<const SettledKey>) override { throw Death{}; }
};

}  // namespace outbox_suite

namespace {

using namespace outbox_suite;

TEST_CASE("a message commits with the payment that it is about", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  enum class Way { pays, says_no, throws };
  const auto pay = [&](Way way) {
    return world.bench.book("order-1001", [&](const Put& put) -> PaymentResult<std::string> {
      put("customer-7", "receipt", "4.50 EUR");
      if (way == Way::throws) throw std::runtime_error("no such account");
      if (way == Way::says_no) return not_executed("not today");
      return succeeded("paid");
    });
  };
  CHECK(pay(Way::says_no).status() == Status::not_executed);
  CHECK(pay(Way::throws).status() == Status::not_executed);
  CHECK(world.drain().keys == 0);
  CHECK(pay(Way::pays).succeeded());
  CHECK(pay(Way::pays).replayed());
  CHECK(world.drain().delivered == 1);
  CHECK(world.receiver.of("customer-7") == Texts{"4.50 EUR"});
  CHECK(world.receiver.messages.front().topic == "receipt");
  CHECK(world.drain().keys == 0);
}

TEST_CASE("a payment at a provider is announced in the transaction that records how it ended", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  using Result = PaymentResult<std::string>;
  const auto pay = [&](const std::string& order, Result result) {
    return world.bench.announce(order, [&] {
      CHECK(world.drain().keys == 0);  // nothing is said before
      return result;
    });
  };
  CHECK(pay("1", declined(std::string("no"))).declined());
  CHECK(pay("2", not_executed("later")).status() == Status::not_executed);
  CHECK(pay("3", in_doubt("cut")).status() == Status::in_doubt);
  CHECK(world.drain().keys == 0);
  CHECK(pay("2", succeeded(std::string(" paid"))).succeeded());
  CHECK(pay("2", succeeded(std::string(" paid"))).replayed());
  CHECK(world.bench.resolve("3", " found").succeeded());
  CHECK(world.bench.announce_in_transaction("4", " booked").succeeded());
  world.drain();
  CHECK(world.receiver.of("customer-7") == Texts{"2 paid", "3 found", "4 booked"});
}

TEST_CASE("messages of a key are delivered in their order, any bytes of them", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  const std::string odd("'\0\xff\n;--", 7);
  for (int n = 0; n < 40; ++n)
    for (const std::string& key : {std::string("a"), odd}) world.put(key, odd + std::to_string(n), odd);
  CHECK(world.drain().delivered == 80);
  for (const std::string& key : {std::string("a"), odd}) {
    Texts expected;
    for (int n = 0; n < 40; ++n) expected.push_back(odd + std::to_string(n));
    CHECK(world.receiver.of(key) == expected);
  }
  CHECK(world.receiver.messages.front().topic == odd);
}

TEST_CASE("what no message may be is refused before it is written", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  const std::string key(255, 'k'), topic(255, 't'), payload(std::size_t{1} << 20, 'p');
  CHECK_THROWS_MATCHES(world.put("", "x"), Error, has_code<Error>(errc::invalid_key));
  CHECK_THROWS_MATCHES(world.put(key + "k", "x"), Error, has_code<Error>(errc::invalid_key));
  CHECK_THROWS_MATCHES(world.put("k", "x", topic + "t"), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(world.put("k", payload + "p"), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(world.outbox.set_aside(1, "", "why"), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(world.outbox.set_aside(1, "who", ""), Error, has_code<Error>(errc::invalid_options));
  world.put(key, payload, topic);
  world.put("k", "", "");
  CHECK(world.drain().delivered == 2);
  CHECK(world.receiver.of(key) == Texts{payload});
  CHECK(world.receiver.of("k") == Texts{""});
}

TEST_CASE("a message that fails holds back its key and no other, and is tried again after a pause",
          "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  world.put("a", "a1");
  world.put("a", "a2");
  world.put("b", "b1");
  world.receiver.refused = {"a1"};
  const RelayReport report = world.drain();
  CHECK(report.failed == 1);
  CHECK(report.delivered == 1);
  CHECK(world.receiver.payloads() == Texts{"b1"});
  world.receiver.refused.clear();
  CHECK(world.drain().keys == 0);
  world.put("a", "a3");  // makes nothing due
  CHECK(world.drain().keys == 0);
  world.pass(1min - slack);
  CHECK(world.drain().keys == 0);
  world.pass(slack);
  world.drain();
  CHECK(world.receiver.of("a") == Texts{"a1", "a2", "a3"});
}

TEST_CASE("the pauses of a message grow, and begin anew with the next one", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  world.put("a", "a1");
  world.put("a", "a2");
  world.receiver.refused = {"a1"};
  for (const Duration pause : {1min, 2min, 4min}) {
    CHECK(world.drain().failed == 1);
    world.pass(pause - slack);
    CHECK(world.drain().keys == 0);
    world.pass(slack);
  }
  world.receiver.refused = {"a2"};
  CHECK(world.drain().delivered == 1);
  world.pass(1min);
  CHECK(world.drain().failed == 1);
}

TEST_CASE("a poisoned message raises one alert and blocks its key until it is delivered", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  const std::int64_t id = world.put("a", "a1");
  world.put("a", "a2");
  world.receiver.refused = {"a1"};
  for (int n = 0; n < 6; ++n) {
    world.drain();
    CHECK(world.told().size() == (n < 2 ? 0 : 1));
    world.pass(1h);
  }
  CHECK(world.told() == Texts{"raised " + std::to_string(id)});
  CHECK(world.receiver.messages.empty());
  CHECK(world.outbox.stuck(7, 10).empty());
  const auto stuck = world.outbox.stuck(3, 10);
  REQUIRE(stuck.size() == 1);
  CHECK(stuck[0].id == id);
  CHECK(stuck[0].topic == "receipt");
  CHECK(stuck[0].failures == 6);
  CHECK(stuck[0].failure == "refused");
  CHECK(world.alerts[0].text.find("a1") == std::string::npos);
  world.receiver.refused.clear();
  world.drain();
  CHECK(world.told() == Texts{"raised " + std::to_string(id), "cleared " + std::to_string(id)});
  CHECK(world.receiver.of("a") == Texts{"a1", "a2"});
  CHECK(world.outbox.stuck(1, 10).empty());
}

TEST_CASE("a message that a person sets aside is skipped, and those after it go on", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  const std::int64_t id = world.put("a", "a1");
  const std::int64_t second = world.put("a", "a2");
  world.put("a", "a3");
  const std::int64_t alone = world.put("b", "b1");
  world.receiver.refused = {"a1", "b1"};
  for (int n = 0; n < 3; ++n) {
    world.drain();
    world.pass(1h);
  }
  CHECK(world.told().size() == 2);
  world.alerts.clear();
  CHECK_FALSE(world.outbox.set_aside(id + 1000, "ann", "no such message"));
  CHECK(world.outbox.set_aside(id, "ann", "the address is wrong"));
  CHECK_FALSE(world.outbox.set_aside(id, "ann", "again"));
  CHECK(world.outbox.set_aside(second, "ann", "not needed"));
  CHECK(world.outbox.set_aside(alone, "ann", "the address is wrong"));
  CHECK(world.outbox.stuck(1, 10).empty());
  world.drain();
  CHECK(world.receiver.payloads() == Texts{"a3"});
  auto told = world.told();
  std::sort(told.begin(), told.end());
  Texts cleared{"cleared " + std::to_string(id), "cleared " + std::to_string(alone)};
  std::sort(cleared.begin(), cleared.end());
  CHECK(told == cleared);
  world.pass(24h);
  CHECK(world.drain().keys == 0);
  CHECK(world.outbox.erase_delivered(100) == 0);  // what was set aside stays
  CHECK_FALSE(world.outbox.set_aside(id, "ann", "again"));
}

TEST_CASE("setting a message aside takes its key from the relay that sends it, when the lease is over",
          "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  const std::int64_t id = world.put("a", "a1");
  world.put("a", "a2");
  const auto claimed = world.outbox.claim(77, limits);
  REQUIRE(claimed.size() == 1);
  CHECK(world.outbox.set_aside(id, "ann", "the address is wrong"));
  SettledKey settled{"a"};
  settled.failure = SettledKey::Failure{1, "refused"};
  CHECK(world.outbox.settle(77, std::vector{settled}) == 0);
  CHECK(world.drain().keys == 0);
  world.pass(lease);
  world.drain();
  CHECK(world.receiver.payloads() == Texts{"a2"});
}

TEST_CASE("setting a later message aside leaves the first one as it is", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  world.put("a", "a1");
  const std::int64_t second = world.put("a", "a2");
  world.receiver.refused = {"a1"};
  world.drain();
  CHECK(world.outbox.set_aside(second, "ann", "not needed"));
  CHECK(world.drain().keys == 0);
  CHECK(world.outbox.stuck(1, 10).size() == 1);
  world.pass(1min);
  world.receiver.refused.clear();
  world.drain();
  CHECK(world.receiver.payloads() == Texts{"a1"});
}

TEST_CASE("a relay that dies after its claim delays its keys for one lease", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  world.put("a", "a1");
  const auto claimed = world.outbox.claim(77, limits);
  REQUIRE(claimed.size() == 1);
  REQUIRE(claimed[0].messages.size() == 1);
  world.put("a", "a2");
  world.put("b", "b1");
  world.drain();
  CHECK(world.receiver.payloads() == Texts{"b1"});
  world.pass(lease - slack);
  CHECK(world.drain().keys == 0);
  world.pass(slack);
  world.drain();
  CHECK(world.receiver.of("a") == Texts{"a1", "a2"});
}

TEST_CASE("a relay that dies before it settles has its messages sent again, with one effect", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  IdempotencyGuard guard{MemoryStore{}};
  std::map<std::string, int> effects;
  world.receiver.before = [&](const OutboxMessage& message) {
    require_received(receive(guard, "shop.outbox", message, [&] {
      ++effects[message.payload];
      return std::string("printed");
    }));
  };
  for (int n = 0; n < 5; ++n) world.put("a", std::to_string(n));
  DiesBeforeSettling dying(world.outbox);
  auto relay = world.relay(dying, world.options());
  CHECK_THROWS_AS(relay.deliver_once(world.stop), DiesBeforeSettling::Death);
  CHECK(world.receiver.messages.size() == 5);
  CHECK(world.drain().keys == 0);
  world.pass(lease);
  CHECK(world.drain().delivered == 5);
  CHECK(world.receiver.payloads() == Texts{"0", "1", "2", "3", "4", "0", "1", "2", "3", "4"});
  CHECK(effects == std::map<std::string, int>{{"0", 1}, {"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}});
}

TEST_CASE("the word of a relay that has lost its claim changes nothing", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  world.put("a", "a1");
  world.put("a", "a2");
  world.put("a", "a3");
  const auto first = world.outbox.claim(77, {1, 2, lease});
  REQUIRE(first.size() == 1);
  REQUIRE(first[0].messages.size() == 2);
  world.pass(lease);
  const auto second = world.outbox.claim(78, {1, 2, lease});
  REQUIRE(second.size() == 1);
  CHECK(second[0].messages == first[0].messages);

  SettledKey late{"a"};
  SECTION("that it delivered") { late.delivered = {first[0].messages[0].id, first[0].messages[1].id}; }
  SECTION("that it failed") { late.failure = SettledKey::Failure{9, "late"}; }
  late.pause = 24h;
  CHECK(world.outbox.settle(77, std::vector{late}) == 0);
  SettledKey own{"a"};
  own.delivered = {second[0].messages[0].id};
  CHECK(world.outbox.settle(78, std::vector{own}) == 1);
  CHECK(world.outbox.settle(78, std::vector{own}) == 0);
  world.drain();
  CHECK(world.receiver.payloads() == Texts{"a2", "a3"});
  CHECK(world.alerts.empty());
}

TEST_CASE("a relay that is paused for longer than its lease repeats, and overtakes nothing", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  for (int n = 1; n <= 4; ++n) world.put("a", std::to_string(n));
  auto other = world.relay();
  bool paused = false;
  world.receiver.before = [&](const OutboxMessage& message) {
    if (message.payload != "2" || paused) return;
    paused = true;
    world.pass(lease + 1s);  // in the middle of the send; meanwhile another relay takes over
    CHECK(other.drain(world.stop).delivered == 4);
  };
  const RelayReport report = world.relay().deliver_once(world.stop);
  CHECK(report.delivered == 2);  // it begins nothing more
  CHECK(report.lost == 1);
  CHECK(world.receiver.payloads() == Texts{"1", "1", "2", "3", "4", "2"});
  world.pass(24h);
  CHECK(world.drain().keys == 0);
}

TEST_CASE("two relays share the keys, and never have the same one", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  for (int n = 0; n < 12; ++n) world.put("k" + std::to_string(n % 6), std::to_string(n));
  const auto one = world.outbox.claim(77, {3, 8, lease});
  const auto two = world.outbox.claim(78, {8, 8, lease});
  CHECK(one.size() == 3);
  CHECK(two.size() == 3);
  CHECK(world.outbox.claim(79, {8, 8, lease}).empty());
  std::set<std::string> all;
  for (const auto* claimed : {&one, &two})
    for (const ClaimedKey& key : *claimed) {
      all.insert(key.key);
      REQUIRE(key.messages.size() == 2);
      CHECK(key.messages[0].id < key.messages[1].id);
      CHECK(key.messages[0].key == key.key);
    }
  CHECK(all.size() == 6);
}

TEST_CASE("a relay that is stopped in the middle of a batch keeps what it delivered, and leaves the rest",
          "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  for (int n = 1; n <= 4; ++n) world.put("a", std::to_string(n));
  world.put("b", "5");
  world.receiver.before = [&](const OutboxMessage& message) {
    if (message.payload == "2") world.stop.request();
  };
  CHECK(world.drain().delivered == 2);
  CHECK(world.drain().keys == 0);  // it stays stopped
  Stop going_on;
  CHECK(world.relay().drain(going_on).delivered == 3);
  CHECK(world.receiver.of("a") == Texts{"1", "2", "3", "4"});
  CHECK(world.receiver.of("b") == Texts{"5"});
}

TEST_CASE("no message of a batch is begun after its deadline", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  for (int n = 1; n <= 6; ++n) world.put("a", std::to_string(n));
  world.receiver.before = [&](const OutboxMessage&) { world.pass(2min); };
  CHECK(world.relay().deliver_once(world.stop).delivered == 3);  // begun after 0, 2 and 4 of 5 minutes
  CHECK(world.relay().deliver_once(world.stop).delivered == 3);
  CHECK(world.receiver.payloads() == Texts{"1", "2", "3", "4", "5", "6"});
}

TEST_CASE("a key that was emptied is used again, and no id is given twice", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  std::set<std::int64_t> ids;
  for (int n = 0; n < 3; ++n) {
    CHECK(ids.insert(world.put("a", std::to_string(n))).second);
    CHECK(world.drain().delivered == 1);
  }
  CHECK(*ids.begin() > 0);
  CHECK(world.receiver.of("a") == Texts{"0", "1", "2"});
}

TEST_CASE("delivered messages are kept for as long as was said, and go in batches", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  auto& keeping = world.bench.keeping(1h);
  for (int n = 1; n <= 5; ++n) world.put("a", std::to_string(n));
  const std::int64_t aside = world.put("b", "6");
  auto relay = world.relay(keeping, world.options());
  CHECK(keeping.set_aside(aside, "ann", "not needed"));
  CHECK(relay.drain(world.stop).delivered == 5);
  CHECK(relay.drain(world.stop).keys == 0);
  world.pass(59min);
  CHECK(keeping.erase_delivered(100) == 0);
  world.pass(1min);
  CHECK(keeping.erase_delivered(3) == 3);
  CHECK(keeping.erase_delivered(3) == 2);
  CHECK(keeping.erase_delivered(3) == 0);
  CHECK_FALSE(keeping.set_aside(aside, "ann", "it is still there, and set aside"));
  world.put("a", "7");
  CHECK(relay.drain(world.stop).delivered == 1);
}

TEST_CASE("an outbox tells what waits and for how long", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  CHECK(world.outbox.backlog().messages == 0);
  CHECK(world.outbox.backlog().oldest == 0ms);
  world.put("a", "1");
  world.pass(10min);
  world.put("b", "2");
  CHECK(world.outbox.backlog().messages == 2);
  CHECK(world.outbox.backlog().oldest >= 10min);
  CHECK(world.outbox.backlog().oldest < 15min);
  world.drain();
  CHECK(world.outbox.backlog().messages == 0);
}

TEST_CASE("ten thousand messages pass through bounded memory, each key in its order", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  constexpr int keys = 40, messages = 10'000;
  world.bench.transact([&](const Put& put) {
    for (int n = 0; n < messages; ++n) put("k" + std::to_string(n % keys), "receipt", std::to_string(n));
  });
  RelayOptions options = world.options();
  options.keys = 10;
  options.messages_per_key = 50;
  std::vector<int> next(keys);
  for (int key = 0; key < keys; ++key) next[static_cast<std::size_t>(key)] = key;
  int out_of_order = 0;
  world.receiver.before = [&](const OutboxMessage& message) {
    int& expected = next[static_cast<std::size_t>(std::stoi(message.payload) % keys)];
    out_of_order += std::stoi(message.payload) == expected ? 0 : 1;
    expected += keys;
    world.receiver.messages.clear();
  };
  auto relay = world.relay(options);
  int delivered = 0;
  while (delivered < messages) {
    const RelayReport batch = relay.deliver_once(world.stop);
    REQUIRE(batch.keys > 0);
    CHECK(batch.keys <= 10);
    CHECK(batch.delivered <= 500);
    delivered += static_cast<int>(batch.delivered);
  }
  CHECK(delivered == messages);
  CHECK(out_of_order == 0);
  CHECK(relay.drain(world.stop).keys == 0);
}

TEST_CASE("writers that race on one key are delivered as they committed, while relays run", "[outbox]") {
  World world(bench_of(GENERATE(range(0, benches))));
  constexpr int writers = 4, each = 25;
  std::atomic<int> writing{writers};
  Threads threads;
  for (int writer = 0; writer < writers; ++writer)
    threads.start([&, writer] {
      for (int n = 0; n < each; ++n)
        world.bench.transact([&](const Put& put) {
          put("a", std::to_string(writer), std::to_string(n));
          std::this_thread::yield();  // the others may commit before
        });
      --writing;
    });
  RelayOptions options = world.options();
  options.messages_per_key = 3;
  auto relay = world.relay(options);
  std::size_t delivered = 0;
  while (delivered < writers * each) {
    const bool last = writing.load() == 0;
    const std::size_t now = relay.drain(world.stop).delivered;
    delivered += now;
    if (now > 0) continue;
    world.pass(500ms);  // it is looked again at a key that somebody may write to
    if (last && relay.drain(world.stop).delivered == 0) break;
  }
  threads.join();
  CHECK(world.receiver.messages.size() == writers * each);
  std::int64_t before = 0;
  std::map<std::string, int> next;
  int out_of_order = 0;
  for (const OutboxMessage& message : world.receiver.messages) {
    if (message.id <= before || message.payload != std::to_string(next[message.topic]++)) ++out_of_order;
    before = message.id;
  }
  CHECK(out_of_order == 0);
}

}  // namespace
