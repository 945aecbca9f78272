// The snippets about trying again, and about many payments.

#include <paidonce/execute_many.hpp>
#include <paidonce/key_digest.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/retry/retry.hpp>
#include <paidonce/testing/instant_timer.hpp>

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "provider.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace trying_again {

using Guard = IdempotencyGuard<MemoryStore>;

struct Order {
  std::string id;
  std::string amount;
};

PaymentResult<std::string> charge(shop::Provider& provider, const Order& order, Attempt& attempt) {
  return succeeded(provider.charge(order.id, attempt.provider_key()).body);
}

// [retry_payment]
Outcome<std::string> pay(Guard& guard, shop::Provider& provider, const Order& order, RetryBudget& budget,
                         Stop& stop) {
  const IdempotencyKey key("coffee-shop", order.id);  // once, and outside of what is tried again
  RetryPolicy policy{.backoff = {.first = 200ms, .longest = 10s, .jitter = Jitter::full},
                     .attempts = 5,
                     .deadline = 30s,
                     .budget = &budget,
                     .stop = &stop};
  Retried<std::string> retried = retry(policy, [&] {
    return guard.execute(key, fingerprint(order.id, order.amount),
                         [&](Attempt& attempt) { return charge(provider, order, attempt); });
  });
  if (retried.end != RetryEnd::settled)  // logs carry the digest of a key, never the key
    std::fprintf(stderr, "payment %s: %s, tries: %u\n", key_digest(key).c_str(),
                 std::string(to_string(retried.end)).c_str(), unsigned{retried.tries});
  return std::move(retried).value();  // the last outcome, or the last error, thrown
}
// [/retry_payment]

// [execute_many]
std::vector<std::string> pay_all(Guard& guard, shop::Provider& provider, const std::vector<Order>& orders,
                                 RetryBudget& budget, Stop& stop) {
  auto results = execute_many(
      guard, orders, [&](Guard& by, const Order& order) { return pay(by, provider, order, budget, stop); },
      {.concurrency = 8,
       .progress =
           [](const BatchProgress& at) { std::fprintf(stderr, "%zu of %zu\n", at.finished, at.total); },
       .stop = &stop});

  std::vector<std::string> states;
  for (const Executed<std::string>& result : results)  // in the order of the orders
    if (!result.started())
      states.push_back("not started");
    else if (result.outcome)
      states.emplace_back(to_string(result.outcome->status()));
    else
      states.push_back("error");
  return states;
}
// [/execute_many]

}  // namespace trying_again

TEST_CASE("payments are tried again as the page says", "[docs]") {
  using namespace trying_again;
  Guard guard{MemoryStore{}};
  shop::Provider provider;
  RetryBudget budget;
  Stop stop;
  CHECK(pay(guard, provider, {"order-1", "4.50"}, budget, stop).succeeded());
  const std::vector<Order> orders = {{"order-1", "4.50"}, {"order-2", "5.00"}, {"order-1", "5.40"}};
  CHECK(pay_all(guard, provider, orders, budget, stop) ==
        std::vector<std::string>{"completed", "completed", "key_reused"});
  stop.request();
  CHECK(pay_all(guard, provider, orders, budget, stop) == std::vector<std::string>(3, "not started"));

  ManualClock clock;
  // [retry_tested]
  InstantTimer timer(clock);  // whoever waits finds that the time has passed
  std::minstd_rand random(1);
  auto retried = retry(Backoff{}, timer, random, [&] {
    return guard.execute(IdempotencyKey("coffee-shop", "order-3"), fingerprint("order-3"),
                         []() -> PaymentResult<int> { return not_executed("no connection"); });
  });
  CHECK(retried.end == RetryEnd::out_of_attempts);
  // [/retry_tested]
}
