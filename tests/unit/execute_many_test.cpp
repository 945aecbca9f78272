#include <paidonce/execute_many.hpp>

#include <csignal>

#include <atomic>
#include <condition_variable>
#include <forward_list>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/retry/retry.hpp>

#include "guard_support.hpp"
#include "support/catch.hpp"

using namespace guard_tests;

namespace {

struct Order {
  std::string name;
  int cents = 0;
};

std::vector<Order> orders(int count) {
  std::vector<Order> all;
  for (int at = 0; at < count; ++at) all.push_back({"order-" + std::to_string(at), at});
  return all;
}

/// Pays an order with its cents as the receipt.
struct PayOrder {
  template <class Guard>
  Outcome<int> operator()(Guard& guard, const Order& order) const {
    return guard.execute(key(order.name), fingerprint(order.name), [&] { return order.cents; });
  }
};

/// Lets nobody through until so many are there.
class Meeting {
 public:
  explicit Meeting(int wanted) : wanted_(wanted) {}
  void wait() {
    std::unique_lock lock(mutex_);
    ++there_;
    all_.notify_all();
    all_.wait(lock, [&] { return there_ >= wanted_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_;
  int there_ = 0, wanted_;
};

}  // namespace

TEST_CASE("results of a batch stand in the order of its payments", "[execute_many]") {
  World<> world;
  const auto all = orders(500);
  const auto concurrency = GENERATE(1U, 3U, 16U, 1000U);
  const auto results = execute_many(world.guard, all, PayOrder(), {.concurrency = concurrency});
  static_assert(std::is_same_v<decltype(results), const std::vector<Executed<int>>>);
  REQUIRE(results.size() == 500);
  for (int at = 0; at < 500; ++at) {
    const Executed<int>& result = results[static_cast<std::size_t>(at)];
    REQUIRE(result.started());
    REQUIRE(result.error == nullptr);
    REQUIRE(result.outcome->response() == at);
  }
}

TEST_CASE("as many payments run at a time as the batch was told, and no more", "[execute_many]") {
  World<> world;
  const auto all = orders(40);
  constexpr int most = 5;
  Meeting meeting(most);  // goes on only when five are under way
  std::atomic<int> running = 0, peak = 0;
  const auto results =
      execute_many(world.guard, all,
                   [&](auto& guard, const Order& order) {
                     const int now = ++running;
                     for (int old = peak; old < now && !peak.compare_exchange_weak(old, now);) {
                     }
                     meeting.wait();
                     auto outcome = PayOrder()(guard, order);
                     --running;
                     return outcome;
                   },
                   {.concurrency = most});
  CHECK(peak == most);
  CHECK(results.back().started());
}

TEST_CASE("there are no more threads than payments, and none for a batch of one", "[execute_many]") {
  World<> world;
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const auto note_thread = [&](auto& guard, const Order& order) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    return PayOrder()(guard, order);
  };
  (void)execute_many(world.guard, orders(1), note_thread, {.concurrency = 8});
  CHECK(threads == std::set{std::this_thread::get_id()});

  Meeting meeting(3);
  threads.clear();
  (void)execute_many(world.guard, orders(3),
                     [&](auto& guard, const Order& order) {
                       meeting.wait();
                       return note_thread(guard, order);
                     },
                     {.concurrency = 1'000'000});
  CHECK(threads.size() == 3);
}

TEST_CASE("one payment that throws ends none of the others", "[execute_many]") {
  World<> world;
  auto results = execute_many(world.guard, orders(30), [&](auto& guard, const Order& order) {
    if (order.cents == 7) throw Error(errc::store_unavailable);
    if (order.cents == 8) throw std::runtime_error("a bug");
    if (order.cents == 9) throw 9;
    return PayOrder()(guard, order);
  });
  for (std::size_t at = 0; at < results.size(); ++at) {
    CHECK(results[at].started());
    CHECK((results[at].error != nullptr) == (at >= 7 && at <= 9));
  }
  CHECK_THROWS_MATCHES(std::move(results[7]).value(), Error,
                       support::has_code<Error>(errc::store_unavailable));
  CHECK_THROWS_WITH(std::move(results[8]).value(), "a bug");
  CHECK_THROWS_AS(std::move(results[9]).value(), int);
  CHECK(std::move(results[10]).value().response() == 10);
}

TEST_CASE("after a stop nothing starts, and what runs is finished", "[execute_many]") {
  World<> world;
  const auto all = orders(100);
  const std::size_t concurrency = GENERATE(1U, 4U);
  Stop stop;
  auto results = execute_many(world.guard, all,
                              [&](auto& guard, const Order& order) {
                                return guard.execute(key(order.name), fingerprint(order.name), [&] {
                                  if (order.cents == 20) stop.request();
                                  if (order.cents > 20)
                                    stop.wait(detail::Never());  // none gets ahead of the stop
                                  return order.cents;
                                });
                              },
                              {.concurrency = concurrency, .stop = &stop});
  std::size_t started = 0;
  for (std::size_t at = 0; at < results.size(); ++at) {
    const auto record = world.store.find(key(all[at].name));
    CHECK(results[at].started() == record.has_value());  // what did not start left nothing
    if (!results[at].started()) continue;
    ++started;
    CHECK(at < 20 + concurrency);  // they start in their order
    CHECK(record->state == State::succeeded);
    CHECK(results[at].outcome->succeeded());
  }
  CHECK(started >= 21);
  CHECK(started < 21 + concurrency);
  CHECK_THROWS_MATCHES(std::move(results.back()).value(), Error,
                       support::has_code<Error>(errc::shutting_down));

  // The same batch, without the stop, goes on where it was left.
  const auto rest = execute_many(world.guard, all, PayOrder());
  for (std::size_t at = 0; at < rest.size(); ++at) CHECK(rest[at].outcome->response() == int(at));
}

TEST_CASE("a batch that was stopped before does nothing", "[execute_many]") {
  World<> world;
  Stop stop;
  stop.request();
  const auto results = execute_many(world.guard, orders(5), PayOrder(), {.stop = &stop});
  REQUIRE(results.size() == 5);
  for (const auto& result : results) CHECK(!result.started());
  CHECK(!world.store.find(key("order-0")));
}

TEST_CASE("progress is told after each payment, one at a time", "[execute_many]") {
  World<> world;
  std::size_t calls = 0;  // not atomic: one thread at a time
  std::set<std::size_t> places;
  const auto results = execute_many(world.guard, orders(200), PayOrder(),
                                    {.concurrency = 8, .progress = [&](const BatchProgress& progress) {
                                       CHECK(progress.finished == ++calls);
                                       CHECK(progress.total == 200);
                                       places.insert(progress.payment);
                                     }});
  CHECK(calls == 200);
  CHECK(places.size() == 200);
  CHECK(*places.rbegin() == 199);
}

TEST_CASE("progress that throws does not end the batch", "[execute_many]") {
  World<> world;
  const auto results =
      execute_many(world.guard, orders(20), PayOrder(),
                   {.progress = [](const BatchProgress&) { throw std::runtime_error("no terminal"); }});
  for (const auto& result : results) CHECK(result.outcome->succeeded());
}

TEST_CASE("an empty range is no work, and no concurrency is an error", "[execute_many]") {
  World<> world;
  const std::vector<Order> none;
  CHECK(execute_many(world.guard, none, PayOrder()).empty());
  CHECK_THROWS_MATCHES(execute_many(world.guard, none, PayOrder(), {.concurrency = 0}), Error,
                       support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("payments with the same key are paid once", "[execute_many]") {
  World<> world({.wait = 10s});
  std::atomic<int> paid = 0;
  const std::vector<Order> same(64, Order{"the-one", 450});
  const auto results =
      execute_many(world.guard, same,
                   [&](auto& guard, const Order& order) {
                     return guard.execute(key(order.name), fingerprint(order.cents), [&] { return ++paid; });
                   },
                   {.concurrency = 8});
  CHECK(paid == 1);
  int fresh = 0;
  for (const auto& result : results) {
    CHECK(result.outcome->response() == 1);
    fresh += result.outcome->replayed() ? 0 : 1;
  }
  CHECK(fresh == 1);
}

TEST_CASE("a payment is referred to where it is, in any forward range", "[execute_many]") {
  World<> world;
  std::forward_list<Order> forward = {{"a", 1}, {"b", 2}, {"c", 3}};
  std::mutex mutex;
  std::set<const Order*> seen, there;
  for (const Order& order : forward) there.insert(&order);
  const auto results = execute_many(world.guard, forward, [&](auto& guard, Order& order) {
    {
      const std::lock_guard lock(mutex);
      seen.insert(&order);
    }
    auto outcome = PayOrder()(guard, order);
    order.cents = -1;
    return outcome;
  });
  CHECK(seen == there);
  CHECK(results[2].outcome->response() == 3);
  CHECK(forward.front().cents == -1);

  const int plain[] = {4, 5};
  CHECK(execute_many(world.guard, plain,
                     [](auto& guard, int cents) {
                       return guard.execute(key(std::to_string(cents)), request, [&] { return cents; });
                     })[1]
            .outcome->response() == 5);
  const std::vector<bool> proxies = {true, false};
  CHECK(execute_many(world.guard, proxies, [](auto& guard, bool which) {
          return guard.execute(key(which ? "true" : "false"), request, [] { return 1; });
        }).size() == 2);
}

TEST_CASE("responses that can only be moved are handed over", "[execute_many]") {
  using Boxed = std::unique_ptr<int>;
  World<> world;
  auto results = execute_many(world.guard, orders(9), [](auto&, const Order& order) {
    detail::OutcomeParts<Boxed> parts;
    parts.status = Status::completed;
    parts.value = std::make_unique<int>(order.cents);
    return Outcome<Boxed>(std::move(parts));
  });
  CHECK(*std::move(results[8]).value().response() == 8);
}

TEST_CASE("the application's signals are blocked on the threads of a batch", "[execute_many]") {
  World<> world;
  const auto caller = std::this_thread::get_id();
  Meeting meeting(2);
  std::atomic<int> unblocked = 0;
  (void)execute_many(world.guard, orders(2),
                     [&](auto& guard, const Order& order) {
                       meeting.wait();
                       sigset_t mask;
                       pthread_sigmask(SIG_SETMASK, nullptr, &mask);
                       if (std::this_thread::get_id() != caller && sigismember(&mask, SIGTERM) != 1)
                         ++unblocked;
                       return PayOrder()(guard, order);
                     },
                     {.concurrency = 2});
  CHECK(unblocked == 0);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGTERM) == 0);
}

TEST_CASE("a stop ends the retries within a batch, too", "[execute_many][retry]") {
  World<> world;
  Stop stop;
  std::atomic<int> tries = 0;
  const auto results =
      execute_many(world.guard, orders(10),
                   [&](auto& guard, const Order& order) {
                     return retry(RetryPolicy{.stop = &stop}, world.clock, SystemRandom(),
                                  [&] {
                                    return guard.execute(key(order.name), fingerprint(order.name),
                                                         [&]() -> PaymentResult<int> {
                                                           if (++tries == 2) stop.request();
                                                           return not_executed("no connection");
                                                         });
                                  })
                         .value();
                   },
                   {.concurrency = 2, .stop = &stop});
  CHECK(tries == 2);
  CHECK(results[0].outcome->status() == Status::not_executed);
  CHECK(results[1].outcome->status() == Status::not_executed);
  CHECK(!results[2].started());
}
