// What a PaymentWorker makes of messages, over a queue in memory.

#include <paidonce/queue/payment_worker.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/guard.hpp>
#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/stores/memory.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/instant_timer.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"

namespace {

using namespace paidonce;
using namespace std::chrono_literals;

/// A source whose calls can be made to fail, and that stops the worker when `until` holds.
struct Source {
  std::optional<Message> receive(Duration pause, Stop& stop) {
    if (until && until()) {
      stop.request();
      return std::nullopt;
    }
    if (failing_receives > 0 && failing_receives-- > 0) down();
    auto message = queue.receive(pause, stop);
    if (message && stop_after_receive) stop.request();
    return message;
  }
  void ack(const Message& message) {
    if (failing_acks > 0 && failing_acks-- > 0) {
      queue.retry_later(message, 0ms);
      down();
    }
    queue.ack(message);
  }
  void retry_later(const Message& message, Duration pause) {
    pauses.push_back(pause);
    queue.retry_later(message, pause);
  }
  void dead_letter(const Message& message, std::string_view reason) { queue.dead_letter(message, reason); }

  [[noreturn]] static void down() { throw Error(errc::store_unavailable, "the broker is away"); }

  ManualClock clock;
  MemoryQueue<InstantTimer> queue{1000, InstantTimer(clock)};
  std::function<bool()> until = [this] { return queue.size() == 0; };
  int failing_receives = 0, failing_acks = 0;
  bool stop_after_receive = false;
  std::vector<Duration> pauses = {};  // of retries
};

/// A body is "KEY AMOUNT".
PaymentRequest<int> read_order(const Message& message) {
  const std::size_t space = message.body.find(' ');
  if (space == std::string::npos) throw std::runtime_error("cannot read: " + message.body);
  const int cents = std::stoi(message.body.substr(space));
  return {{"shop", message.body.substr(0, space)}, fingerprint(cents), cents};
}

/// A guard, a queue, and a worker with one thread that is this one: time passes where it waits.
struct World {
  using Text = PaymentResult<std::string>;

  /// Until the queue is empty, or what `source.until` says.
  PaymentWorkerStats work(PaymentWorkerOptions options = {}) {
    options.threads = 1;
    options.seed = 1;
    options.alert = [this](const Alert& alert) { alerts.push_back(alert); };
    Stop stop;
    PaymentWorker worker(
        guard, source, read, [this](Attempt& attempt, int cents) { return pay(attempt, cents); }, options,
        InstantTimer(source.clock), source.clock);
    worker.run(stop);
    return worker.stats();
  }

  std::vector<std::string> told() const {
    std::vector<std::string> all;
    for (const Alert& alert : alerts)
      all.push_back((alert.edge == Alert::Edge::raised ? "+" : "-") + alert.rule);
    return all;
  }
  std::string reason_of_dead_letter() const {
    const auto letters = source.queue.dead_letters();
    return letters.size() == 1 ? letters[0].reason : std::to_string(letters.size()) + " dead letters";
  }

  Source source;
  FaultStore<MemoryStore> store{MemoryStore()};
  IdempotencyGuard<FaultStore<MemoryStore>&, KeyedMutex, ManualClock> guard{store, KeyedMutex(),
                                                                            source.clock};
  int paid = 0;
  std::function<PaymentRequest<int>(const Message&)> read = read_order;
  std::function<Text(Attempt&, int)> pay = [this](Attempt&, int) {
    ++paid;
    return succeeded(std::string("paid"));
  };
  std::vector<Alert> alerts;
};

using detail::Counts;
using detail::decide;
using detail::Decision;
using detail::Happened;
using detail::Settle;
using detail::Then;

}  // namespace

TEST_CASE("What becomes of a message follows from what happened", "[queue]") {
  PaymentWorkerOptions options;
  options.backoff = {1s, 8s, Jitter::none};
  options.outage = {100ms, 400ms, Jitter::none};
  options.doubt_pause = 60s;
  options.most_deliveries = 3;
  std::minstd_rand random;
  struct Row {
    Happened happened;
    Settle settle;
    Duration pause;
    Counts counts;
    std::string_view reason;
    Then then;
  };
  for (const Row& row : {
           Row{Happened::handed_out, Settle::run, 0s, Counts::yes, "", Then::goes_on},
           Row{Happened::stopped, Settle::give_back, 0s, Counts::no, "", Then::ends},
           Row{Happened::undecodable, Settle::dead_letter, 0s, Counts::yes, "undecodable", Then::goes_on},
           Row{Happened::completed, Settle::ack, 0s, Counts::yes, "", Then::goes_on},
           Row{Happened::in_progress, Settle::retry, 31s, Counts::no, "", Then::goes_on},
           Row{Happened::key_reused, Settle::dead_letter, 0s, Counts::yes, "key_reused", Then::goes_on},
           Row{Happened::in_doubt, Settle::retry, 60s, Counts::no, "", Then::goes_on},
           Row{Happened::not_executed, Settle::retry, 4s, Counts::yes, "", Then::goes_on},
           Row{Happened::refused, Settle::dead_letter, 0s, Counts::yes, "refused", Then::goes_on},
           Row{Happened::store_down, Settle::retry, 200ms, Counts::no, "", Then::pauses},
           Row{Happened::shut_down, Settle::give_back, 0s, Counts::no, "", Then::ends},
           Row{Happened::wrong_options, Settle::dead_letter, 0s, Counts::yes, "invalid_options",
               Then::goes_on},
           Row{Happened::unreadable, Settle::retry, 4s, Counts::yes, "", Then::goes_on},
           Row{Happened::store_broken, Settle::retry, 400ms, Counts::no, "", Then::pauses},
       }) {
    const Decision decision = decide(row.happened, {3, 30s, 2}, options, random);
    INFO("happened: " << static_cast<int>(row.happened));
    CHECK(decision.settle == row.settle);
    CHECK(decision.pause == row.pause);
    CHECK((decision.counts == row.counts || row.settle == Settle::ack));
    CHECK(decision.reason == row.reason);
    CHECK(decision.then == row.then);
  }
  const Decision poison = decide(Happened::handed_out, {4, 0s, 0}, options, random);
  CHECK(poison.settle == Settle::dead_letter);
  CHECK(poison.reason == "too_many_deliveries");
}

TEST_CASE("What was thrown is told apart by whose fault it is", "[queue]") {
  for (const auto& [code, what] : {
           std::pair{errc::store_unavailable, Happened::store_down},
           {errc::lock_unavailable, Happened::store_down},
           {errc::store_full, Happened::store_down},
           {errc::store_busy, Happened::store_down},
           {errc::shutting_down, Happened::shut_down},
           {errc::invalid_options, Happened::store_broken},
           {errc::invalid_key, Happened::store_broken},
           {errc::codec_failure, Happened::unreadable},
           {errc::unsupported_format, Happened::unreadable},
           {errc::store_corrupt, Happened::store_broken},
           {errc::store_poisoned, Happened::store_broken},
           {errc::unsafe_config, Happened::store_broken},
       })
    CHECK(detail::happened(Error(code)) == what);
}

TEST_CASE("A message is forgotten once its payment is completed and its repeat is a replay", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.source.queue.put("a", "order-1 450");
  world.source.queue.put("b", "order-2 100");
  world.pay = [&](Attempt&, int cents) -> World::Text {
    CHECK(world.source.queue.size() >= 1);  // not before it is paid
    ++world.paid;
    if (cents == 100) return declined(std::string("no cover"));
    return succeeded(std::string("paid"));
  };
  const PaymentWorkerStats stats = world.work();
  CHECK(world.paid == 2);
  CHECK(stats.received == 3);
  CHECK(stats.completed == 3);
  CHECK(stats.replayed == 1);
  CHECK(stats.declined == 1);
  CHECK(world.alerts.empty());
  CHECK(world.source.queue.size() == 0);
}

TEST_CASE("A message whose acknowledgement is lost comes again and is replayed", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.source.failing_acks = 1;
  const PaymentWorkerStats stats = world.work();
  CHECK(world.paid == 1);
  CHECK(stats.received == 2);
  CHECK(stats.replayed == 1);
  CHECK(stats.unsettled == 1);
  CHECK(stats.broker_errors == 1);
  CHECK(world.alerts.empty());  // once is not an outage
  CHECK(world.source.queue.size() == 0);
}

TEST_CASE("What cannot be read is set aside with the class of the reason and nothing of the message",
          "[queue]") {
  World world;
  world.source.queue.put("secret-key", "4111111111111111");
  CHECK(world.work().dead_letters == 1);
  CHECK(world.paid == 0);
  CHECK(world.reason_of_dead_letter() == "undecodable");
  REQUIRE(world.told() == std::vector<std::string>{"+queue_dead_letter"});
  CHECK(world.alerts[0].text == "message 1 was set aside: undecodable");
}

TEST_CASE("A message that was handed out too often is set aside before anything is run", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  Stop stop;
  for (int death = 0; death < 3; ++death)
    MemoryQueue<InstantTimer>::Consumer(world.source.queue).receive(0s, stop);
  world.read = [](const Message&) -> PaymentRequest<int> { throw std::logic_error("was read"); };
  CHECK(world.work({.most_deliveries = 3}).dead_letters == 1);
  CHECK(world.reason_of_dead_letter() == "too_many_deliveries");
  CHECK(world.store.operations() == 0);
  REQUIRE(world.alerts.size() == 1);
  CHECK(
      world.alerts[0].text ==
      "message 1 was set aside: too_many_deliveries; if its payment was begun, recovery settles its record");
}

TEST_CASE("Requests that can never be paid are set aside", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.work();
  SECTION("since the key stands for another one") {
    world.source.queue.put("a", "order-1 540");
    world.work();
    CHECK(world.reason_of_dead_letter() == "key_reused");
  }
  SECTION("since the application refuses it") {
    world.source.queue.put("a", "order-2 450");
    world.read = [](const Message& message) {
      PaymentRequest<int> request = read_order(message);
      request.options.refuse_if = [] { return std::optional<std::string>("card 4111111111111111"); };
      return request;
    };
    world.work();
    CHECK(world.reason_of_dead_letter() == "refused");
  }
  SECTION("since its options cannot work") {
    world.source.queue.put("a", "order-2 450");
    world.read = [](const Message& message) {
      PaymentRequest<int> request = read_order(message);
      request.options.lease = 0s;
      return request;
    };
    world.work();
    CHECK(world.reason_of_dead_letter() == "invalid_options");
  }
  CHECK(world.paid == 1);
}

TEST_CASE("What was not executed is tried again with growing pauses and in the end set aside", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.pay = [&](Attempt&, int) -> World::Text {
    ++world.paid;
    if (world.paid == 4 && world.source.queue.dead_letters().empty()) return succeeded(std::string("paid"));
    return not_executed("the provider is away");
  };
  PaymentWorkerOptions options{.most_deliveries = 4, .backoff = {1s, 3s, Jitter::none}};
  SECTION("it is paid when the provider is back") {
    const PaymentWorkerStats stats = world.work(options);
    CHECK(stats.retried == 3);
    CHECK(stats.completed == 1);
    CHECK(world.source.pauses == std::vector<Duration>{1s, 2s, 3s});
  }
  SECTION("or it was tried often enough") {
    options.most_deliveries = 3;
    world.work(options);
    CHECK(world.paid == 3);
    CHECK(world.reason_of_dead_letter() == "too_many_deliveries");
  }
}

TEST_CASE("A payment in doubt is never set aside as poison and its doubt is told once", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.source.queue.put("a", "order-2 100");
  world.source.queue.put("b", "order-3 100");
  std::vector<std::string> doubts;
  std::vector<int> paid;
  world.pay = [&](Attempt&, int cents) -> World::Text {
    paid.push_back(cents);
    if (cents == 450) throw std::runtime_error("no reply");
    return succeeded(std::string("paid"));
  };
  const IdempotencyKey doubtful{"shop", "order-1"};
  world.source.until = [&, settled = false]() mutable {
    if (world.source.pauses.size() == 50 && !std::exchange(settled, true))
      world.guard.resolve<std::string>(doubtful, succeeded(std::string("paid")), "ops", "the books say so");
    return world.source.queue.size() == 0;
  };
  PaymentWorkerOptions options{.most_deliveries = 2};
  options.on_doubt = [&](const IdempotencyKey& key, std::string_view) { doubts.emplace_back(key.text()); };
  const PaymentWorkerStats stats = world.work(options);
  CHECK(doubts == std::vector<std::string>{"order-1"});
  CHECK(paid ==
        std::vector<int>{450, 100, 100});  // the third before the second, which waits behind the first
  CHECK(stats.in_doubt == 50);
  CHECK(stats.replayed == 1);
  CHECK(world.source.queue.dead_letters().empty());
  CHECK(world.source.pauses[0] == options.doubt_pause);
}

TEST_CASE("A payment that another runs is looked at again when its lease is over and does not count",
          "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  Record running;
  running.fingerprint = fingerprint(450);
  running.attempt_id = 7;
  running.attempts = 1;
  running.version = 1;
  running.created_at = running.updated_at = world.source.clock.now();
  running.lease_until = running.created_at + 1h;
  REQUIRE_FALSE(world.store.insert({"shop", "order-1"}, running));
  world.source.until = [&] { return world.source.pauses.size() == 5; };
  world.work({.most_deliveries = 1, .backoff = {1s, 8s, Jitter::none}});
  CHECK(world.paid == 0);
  CHECK(world.source.queue.dead_letters().empty());
  CHECK(world.source.pauses.front() == 31s);  // a lease of the guard's, and the first pause
}

TEST_CASE("While the store is away messages wait and one alert stands", "[queue]") {
  World world;
  for (int order = 0; order < 3; ++order)
    world.source.queue.put("", "order-" + std::to_string(order) + " 100");
  SECTION("for a while") {
    world.store.inject({.kind = FaultKind::throws_before, .times = 40});
    const PaymentWorkerStats stats = world.work({.most_deliveries = 2});
    CHECK(stats.completed == 3);
    CHECK(stats.store_errors >= 3);
    CHECK(world.told() == std::vector<std::string>{"+queue_store_failing", "-queue_store_failing"});
  }
  SECTION("for a person to mend it") {
    world.store.inject({.kind = FaultKind::throws_before, .times = 5, .code = errc::store_corrupt});
    const PaymentWorkerStats stats = world.work({.most_deliveries = 2, .outage = {1s, 20s, Jitter::none}});
    CHECK(stats.completed == 3);
    CHECK(world.told() == std::vector<std::string>{"+queue_store_failing", "-queue_store_failing"});
    CHECK(world.source.pauses[0] == 20s);
    CHECK(world.source.clock.elapsed() >= 100s);  // the thread pauses after each of the five
  }
  SECTION("for its password was changed, which is no fault of any message") {
    world.store.inject({.kind = FaultKind::throws_before, .times = 5, .code = errc::invalid_options});
    const PaymentWorkerStats stats = world.work({.most_deliveries = 2});
    CHECK(stats.completed == 3);
    CHECK(world.told() == std::vector<std::string>{"+queue_store_failing", "-queue_store_failing"});
  }
  CHECK(world.paid == 3);
  CHECK(world.source.queue.dead_letters().empty());
}

TEST_CASE("While the broker is out of reach the worker pauses and one alert stands", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.source.failing_receives = 8;
  const Duration before = world.source.clock.elapsed();
  const PaymentWorkerStats stats = world.work({.outage = {100ms, 1s, Jitter::none}});
  CHECK(stats.broker_errors == 8);
  CHECK(world.source.clock.elapsed() - before >= 5500ms);  // 0.1 + 0.2 + 0.4 + 0.8 + 4 × 1
  CHECK(world.paid == 1);
  REQUIRE(world.told() == std::vector<std::string>{"+queue_out_of_reach", "-queue_out_of_reach"});
  CHECK(world.alerts[0].text.find("the broker is away") != std::string::npos);
}

TEST_CASE("A stop while the broker is out of reach is no all-clear", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  world.source.failing_receives = 3;
  SECTION("where a receive ends with nothing") {
    world.source.until = [&] { return !world.alerts.empty(); };
    CHECK(world.work().received == 0);
  }
  SECTION("where it still hands out what it had, and that is given back") {
    world.source.stop_after_receive = true;
    CHECK(world.work().given_back == 1);
  }
  CHECK(world.told() == std::vector<std::string>{"+queue_out_of_reach"});
}

TEST_CASE("The broker is back once it has nothing to hand out", "[queue]") {
  World world;
  world.source.failing_receives = 3;
  world.source.until = [&] { return world.alerts.size() == 2; };
  world.work();
  CHECK(world.told() == std::vector<std::string>{"+queue_out_of_reach", "-queue_out_of_reach"});
}

TEST_CASE("Settling a message is no proof that the broker is back", "[queue]") {
  // Hands out one message, and is out of reach from then on; settling is only noted.
  struct Silent {
    std::optional<Message> receive(Duration, Stop& stop) {
      const std::lock_guard lock(mutex);
      if (!std::exchange(handed_out, true)) return message;
      if (settled && ++looks == 3) stop.request();
      Source::down();
    }
    void ack(const Message&) {
      const std::lock_guard lock(mutex);
      settled = true;
    }
    void retry_later(const Message& given, Duration) { ack(given); }
    void dead_letter(const Message& given, std::string_view) { ack(given); }

    const Message message{"1", "a", "order-1 450"};
    std::mutex mutex = {};
    bool handed_out = false, settled = false;
    int looks = 0;
  };
  Silent source;
  MemoryStore store;
  IdempotencyGuard guard{store};
  std::mutex mutex;
  std::condition_variable raised;
  std::vector<Alert::Edge> told;
  const auto pay = [&](Attempt&, int) {
    std::unique_lock lock(mutex);
    raised.wait(lock, [&] { return !told.empty(); });
    return std::string("paid");
  };
  PaymentWorkerOptions options{.threads = 2, .outage = {1ms, 1ms, Jitter::none}};
  options.alert = [&](const Alert& alert) {
    const std::lock_guard lock(mutex);
    told.push_back(alert.edge);
    raised.notify_all();
  };
  PaymentWorker worker(guard, source, read_order, pay, options);
  Stop stop;
  worker.run(stop);
  CHECK(worker.stats().completed == 1);
  CHECK(told == std::vector<Alert::Edge>{Alert::Edge::raised});
}

TEST_CASE("The alert for dead letters is cleared when there was none for a while", "[queue]") {
  World world;
  world.source.queue.put("a", "unreadable");
  world.source.queue.put("a", "unreadable, too");
  world.source.until = [&] { return world.alerts.size() == 2; };
  world.work({.dead_letters_stand = 10min});
  CHECK(world.told() == std::vector<std::string>{"+queue_dead_letter", "-queue_dead_letter"});
  CHECK(world.alerts[1].at - world.alerts[0].at >= 10min);
}

TEST_CASE("What was received and not begun when the worker is stopped is given back uncounted", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  SECTION("by a stop") {
    world.source.stop_after_receive = true;
    CHECK(world.work().given_back == 1);
  }
  SECTION("by a guard that was shut down") {
    world.source.until = nullptr;  // it ends by itself
    world.guard.shut_down();
    CHECK(world.work().given_back == 1);
  }
  CHECK(world.paid == 0);
  CHECK(world.source.queue.out() == 0);
  Stop stop;
  const auto again = world.source.queue.receive(0s, stop);
  REQUIRE(again);
  CHECK(again->deliveries == 1);
}

TEST_CASE("So many payments run at a time and those that run are finished when the worker is stopped",
          "[queue]") {
  MemoryQueue<> queue;
  for (int order = 0; order < 10; ++order) queue.put("", "order-" + std::to_string(order) + " 100");
  MemoryStore store;
  IdempotencyGuard guard{store};
  std::mutex mutex;
  std::condition_variable all_here;
  int running = 0;
  bool stopped = false;
  const auto pay = [&](Attempt&, int) {
    std::unique_lock lock(mutex);
    ++running;
    all_here.notify_all();
    all_here.wait(lock, [&] { return stopped; });
    return std::string("paid");
  };
  PaymentWorker worker(guard, queue, read_order, pay, {.threads = 3});
  Stop stop;
  std::thread working([&] { worker.run(stop); });
  {
    std::unique_lock lock(mutex);
    all_here.wait(lock, [&] { return running == 3; });
    stop.request();
    stopped = true;
    all_here.notify_all();
  }
  working.join();
  CHECK(running == 3);
  CHECK(worker.stats().completed == 3);
  CHECK(queue.size() == 7);
  CHECK(queue.out() == 0);
}

TEST_CASE("A reconcile function settles a doubt when the message comes again", "[queue]") {
  World world;
  world.source.queue.put("a", "order-1 450");
  Stop stop;
  PaymentWorker worker(
      world.guard, world.source, read_order,
      [](Attempt&, int) -> World::Text { throw std::runtime_error("no reply"); },
      [](const Record&, const PaymentRequest<int>& of) -> World::Text {
        return succeeded("paid " + std::to_string(of.value));
      },
      {.threads = 1}, InstantTimer(world.source.clock));
  worker.run(stop);
  CHECK(worker.stats().completed == 1);
  CHECK(world.guard.find({"shop", "order-1"})->state == State::succeeded);
}

TEST_CASE("Options that cannot work are refused by name", "[queue]") {
  World world;
  CHECK_THROWS_WITH(world.work({.most_deliveries = 0}), support::contains("most_deliveries"));
  CHECK_THROWS_WITH(world.work({.backoff = {1s, 2s, Jitter::decorrelated}}),
                    support::contains("decorrelated"));
  CHECK_THROWS_WITH(world.work({.doubt_pause = 0s}), support::contains("doubt_pause"));
  CHECK_THROWS_WITH(world.work({.alert_after = 0}), support::contains("alert_after"));
  CHECK_THROWS_WITH(world.work({.dead_letters_stand = 0s}), support::contains("dead_letters_stand"));
}
