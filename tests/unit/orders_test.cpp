// Orders through the guard: apart from their payments, and beside them in one database.

#include <atomic>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/order_world.hpp"

using namespace order_tests;
using support::contains;
using support::has_code;

namespace {

Money eur(const char* amount) { return Money::parse(amount, "EUR"); }
const OrderKey first_payment = OrderKey::of_payment("o", 1);

template <class Build>
struct WithOrder : Shop<Build> {
  explicit WithOrder(const char* total = "10.00") { REQUIRE(this->rows.insert(make_order("o", eur(total)))); }

  /// With a callable, and without the ledger.
  template <class Pay>
  auto pay_by(Pay pay) {
    return pay_order(this->guard(), this->orders, "o", pay, this->call());
  }
  Outcome<std::string> pay_into_doubt() {
    return pay_by(
        [](Attempt&, const Order&) -> PaymentResult<std::string> { throw std::runtime_error("?"); });
  }
  Outcome<std::string> refund_into_doubt(const char* id, const char* amount) {
    return refund_order(this->guard(), this->orders, "o", id, eur(amount),
                        [](Attempt&, const Order&, const Refund&) -> PaymentResult<std::string> {
                          return in_doubt("no reply");
                        });
  }
  OrderState state() { return this->order().state; }
  /// What a person, or recovery, has settled, reaches orders apart by this.
  void settle() {
    if (!Build::one_database) settle_orders(this->guard(), this->orders);
    CHECK(disagreement(*this) == "");
  }
  void forget_records() {
    this->clock.advance(std::chrono::hours(25));
    if constexpr (SweepableStore<decltype(this->records)>)
      this->records.erase_expired(this->clock.now(), 100);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("an order is paid once, and its payment replayed", "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  const auto seen = shop.pay_by([](Attempt& attempt, const Order& order) {
    CHECK(order.number == "o");
    CHECK(order.total == eur("10.00"));
    CHECK(order.state == OrderState::paying);
    CHECK(attempt.key() == IdempotencyKey("order", "o/1"));
    return "paid";
  });
  REQUIRE(seen.succeeded());
  CHECK(shop.state() == OrderState::paid);
  const auto again = shop.pay();
  CHECK(again.replayed());
  CHECK(again.response() == "paid");
  CHECK(shop.ledger.entries.empty());
  CHECK(shop.record(first_payment)->amount == "10.00 EUR");
  CHECK(shop.alerts.empty());
}

TEMPLATE_TEST_CASE("what is not payable is refused before anything is written", "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  CHECK(shop.pay("unknown").status() == Status::refused);
  CHECK_FALSE(shop.record(OrderKey::of_payment("unknown", 1)));
  REQUIRE(cancel_order(shop.orders, "o"));
  CHECK(cancel_order(shop.orders, "o"));
  const auto cancelled = shop.pay();
  CHECK(cancelled.status() == Status::refused);
  CHECK_THAT(cancelled.reason(), contains("cancelled"));
  CHECK_FALSE(shop.record(first_payment));
  CHECK(shop.ledger.entries.empty());
  for (const std::string& bad : {std::string(), std::string(129, 'x'), std::string("a b")}) {
    CHECK_THROWS_MATCHES(shop.pay(bad), Error, has_code<Error>(errc::invalid_options));
    CHECK_THROWS_MATCHES(shop.refund("r", "1.00", bad), Error, has_code<Error>(errc::invalid_options));
    CHECK_THROWS_MATCHES(cancel_order(shop.orders, bad), Error, has_code<Error>(errc::invalid_options));
  }
  CHECK_FALSE(cancel_order(shop.orders, "unknown"));
  CHECK_FALSE(cancel_order(shop.orders, "unknown").order.has_value());
}

TEMPLATE_TEST_CASE("an order that was paid long ago is refused when its answer is forgotten", "[orders]",
                   Apart, Together) {
  WithOrder<TestType> shop;
  REQUIRE(shop.pay().succeeded());
  REQUIRE(shop.refund("r", "1.00").succeeded());
  shop.forget_records();
  const auto late = shop.pay();
  CHECK(late.status() == Status::refused);
  CHECK_THAT(late.reason(), contains("paid already"));
  const auto again = shop.refund("r", "1.00");
  CHECK(again.status() == Status::refused);
  CHECK_THAT(again.reason(), contains("done already"));
  CHECK(shop.refund("r", "2.00").status() == Status::refused);
  CHECK(shop.ledger.count("") == 2);
}

TEMPLATE_TEST_CASE("a decline is replayed until the next payment is started", "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  shop.ledger.declines = 1;
  REQUIRE(shop.pay().declined());
  CHECK(shop.state() == OrderState::unpaid);
  CHECK(shop.pay().replayed());
  CHECK(shop.ledger.count("declined") == 1);

  CHECK(pay_again(shop.orders, "o", 1));
  const OrderAnswer second = pay_again(shop.orders, "o", 1);
  CHECK_FALSE(second);
  CHECK(second.order->payment == 2);
  const auto paid = shop.pay();
  CHECK(paid.succeeded());
  CHECK_FALSE(paid.replayed());
  CHECK(shop.state() == OrderState::paid);
  CHECK_FALSE(pay_again(shop.orders, "o", 2));
  CHECK(shop.pay().replayed());
  CHECK(shop.ledger.count("paid") == 1);
  CHECK_FALSE(cancel_order(shop.orders, "o"));
}

TEMPLATE_TEST_CASE("a payment that was not executed leaves its order unpaid, and runs again", "[orders]",
                   Apart, Together) {
  WithOrder<TestType> shop;
  const auto outcome = shop.pay_by(
      [](Attempt&, const Order&) -> PaymentResult<std::string> { return not_executed("no connection"); });
  CHECK(outcome.status() == Status::not_executed);
  CHECK(shop.state() == OrderState::unpaid);

  SECTION("for the same total") {
    CHECK(shop.pay().succeeded());
    CHECK(shop.record(first_payment)->attempts == 2);
  }
  SECTION("for another total, as another payment") {
    REQUIRE(change_total(shop.orders, "o", eur("12.00")));
    CHECK_THROWS_MATCHES(change_total(shop.orders, "o", eur("0.00")), Error,
                         has_code<Error>(errc::invalid_options));
    CHECK(shop.order().payment == 2);
    CHECK(shop.pay().succeeded());
    CHECK(shop.ledger.count("paid 12.00 EUR") == 1);
    CHECK_FALSE(change_total(shop.orders, "o", eur("13.00")));
  }
  SECTION("or never") {
    REQUIRE(cancel_order(shop.orders, "o"));
    CHECK(shop.pay().status() == Status::refused);
  }
  CHECK(shop.ledger.count("") <= 1);
}

TEMPLATE_TEST_CASE("in doubt an order stays paying, until somebody knows", "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  REQUIRE(shop.pay_into_doubt().status() == Status::in_doubt);
  CHECK(shop.state() == OrderState::paying);
  CHECK(shop.pay().status() == Status::in_doubt);
  for (const OrderAnswer& answer : {cancel_order(shop.orders, "o"), pay_again(shop.orders, "o", 1),
                                    change_total(shop.orders, "o", eur("1.00"))}) {
    CHECK_FALSE(answer);
    CHECK(answer.refusal == "the order is being paid");
  }
  CHECK(shop.refund("r", "1.00").status() == Status::refused);
  CHECK(shop.state() == OrderState::paying);
  const IdempotencyKey key = first_payment.key();

  SECTION("a person: it was paid") {
    shop.guard().resolve(key, succeeded("paid"), "anna", "seen in the provider's list");
    shop.settle();
    CHECK(shop.state() == OrderState::paid);
  }
  SECTION("a person: it was declined") {
    shop.guard().resolve(key, declined("declined"), "anna", "seen in the provider's list");
    shop.settle();
    CHECK(shop.state() == OrderState::unpaid);
    CHECK(shop.pay().declined());
  }
  SECTION("a person: it never happened") {
    shop.guard().resolve(key, PaymentResult<std::string>::not_executed("unknown there"), "anna",
                         "asked them");
    shop.settle();
    CHECK(shop.state() == OrderState::unpaid);
    CHECK(shop.pay().succeeded());
  }
  SECTION("a tool that knows no types") {
    shop.guard().resolve(key, State::succeeded, "paid", Codec<std::string>::format, "anna", "by the tool");
    shop.settle();
    CHECK(shop.state() == OrderState::paid);
  }
  SECTION("the provider, asked by the next call") {
    CHECK(shop.pay_or_ask().succeeded());
    CHECK(shop.state() == OrderState::paid);
    CHECK(shop.ledger.count("paid") == 1);
  }
  CHECK(disagreement(shop) == "");
}

TEMPLATE_TEST_CASE("refunds never exceed what was paid", "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  CHECK(shop.refund("early", "1.00").status() == Status::refused);
  REQUIRE(shop.pay().succeeded());

  const auto part = shop.refund("r1", "4.00");
  CHECK(part.succeeded());
  CHECK(shop.state() == OrderState::paid);
  CHECK(shop.refund("r1", "4.00").replayed());
  CHECK(shop.refund("r1", "5.00").status() == Status::key_reused);
  CHECK_THAT(shop.refund("r2", "6.01").reason(), contains("more than what is left"));
  const auto dollars = refund_order(shop.guard(), shop.orders, "o", "usd", Money::parse("1.00", "USD"),
                                    [](Attempt&, const Order&, const Refund&) { return "never"; });
  CHECK(dollars.status() == Status::refused);
  for (const char* bad : {"0.00", "-1.00"})
    CHECK_THROWS_MATCHES(shop.refund("bad", bad), Error, has_code<Error>(errc::invalid_options));
  for (const char* bad : {"", "a/b", "a b"})
    CHECK_THROWS_MATCHES(shop.refund(bad, "1.00"), Error, has_code<Error>(errc::invalid_options));

  const auto refused =
      refund_order(shop.guard(), shop.orders, "o", "no", eur("6.00"),
                   [](Attempt&, const Order& order, const Refund& refund) -> PaymentResult<std::string> {
                     CHECK(order.state == OrderState::refunding);
                     CHECK(refund.id == "no");
                     CHECK(refund.state == RefundState::reserved);
                     CHECK(order.refundable().minor_units() == 0);
                     return declined("the card is closed");
                   });
  CHECK(refused.declined());
  CHECK(shop.state() == OrderState::paid);
  CHECK(shop.refund("r2", "6.00").succeeded());
  CHECK(shop.state() == OrderState::refunded);
  CHECK_THAT(shop.refund("r3", "0.01").reason(), contains("nothing is left"));
  CHECK(shop.refund("no", "6.00").replayed());
  CHECK(shop.ledger.count("back") == 2);
  CHECK(disagreement(shop) == "");
}

TEMPLATE_TEST_CASE("a refund in doubt keeps its amount, until somebody knows", "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  REQUIRE(shop.pay().succeeded());
  REQUIRE(shop.refund_into_doubt("r1", "6.00").status() == Status::in_doubt);
  CHECK(shop.state() == OrderState::refunding);
  CHECK(shop.refund("r2", "5.00").status() == Status::refused);
  CHECK(shop.refund("r3", "1.00").succeeded());
  CHECK(shop.state() == OrderState::refunding);
  const IdempotencyKey key = OrderKey::of_refund("o", "r1").key();
  SECTION("it was given back") {
    shop.guard().resolve(key, succeeded("back"), "anna", "seen");
    shop.settle();
    CHECK(shop.state() == OrderState::paid);
    CHECK(shop.refund("r2", "5.00").status() == Status::refused);
    CHECK(shop.refund("r4", "3.00").succeeded());
    CHECK(shop.state() == OrderState::refunded);
  }
  SECTION("it was not") {
    shop.guard().resolve(key, PaymentResult<std::string>::not_executed("no"), "anna", "seen");
    shop.settle();
    CHECK(shop.refund("r2", "5.00").succeeded());
    CHECK(shop.refund("r1", "6.00").status() == Status::refused);
    CHECK(shop.ledger.count("back 6.00") == 0);
  }
  SECTION("the provider, asked by the next call") {
    CHECK(shop.refund_or_ask("r1", "6.00").succeeded());
    CHECK(shop.order().sum(RefundState::done) == eur("7.00"));
    CHECK(shop.ledger.count("back 6.00") == 1);
  }
  CHECK(disagreement(shop) == "");
}

TEMPLATE_TEST_CASE("an order that is cancelled while its payment begins is not paid", "[orders]", Apart,
                   Together) {
  WithOrder<TestType> shop;
  shop.orders.after_find = [&] {
    if (shop.orders.finds == 2) cancel_order(shop.rows, "o");  // it was seen unpaid under the lock
  };
  const auto outcome = shop.pay();
  shop.orders.after_find = nullptr;
  CHECK(outcome.status() == Status::refused);
  CHECK_THAT(outcome.reason(), contains("cancelled"));
  CHECK(shop.ledger.entries.empty());
  CHECK(shop.state() == OrderState::cancelled);
  CHECK(disagreement(shop) == "");
}

TEMPLATE_TEST_CASE("an order that gets another total while its payment begins is not paid", "[orders]", Apart,
                   Together) {
  WithOrder<TestType> shop;
  const int when = GENERATE(1, 2);
  shop.orders.after_find = [&] {
    if (shop.orders.finds == when) change_total(shop.rows, "o", eur("99.00"));
  };
  CHECK(shop.pay().status() == Status::refused);
  shop.orders.after_find = nullptr;
  CHECK(shop.ledger.entries.empty());
  CHECK(shop.pay().succeeded());
  CHECK(shop.ledger.count("paid 99.00 EUR") == 1);
}

TEMPLATE_TEST_CASE("an order whose next payment is started while this one begins is not paid by this one",
                   "[orders]", Apart, Together) {
  WithOrder<TestType> shop;
  shop.orders.after_find = [&] {
    if (shop.orders.finds == 2) pay_again(shop.rows, "o", 1);
  };
  CHECK(shop.pay().status() == Status::refused);
  shop.orders.after_find = nullptr;
  CHECK(shop.ledger.entries.empty());
  CHECK(shop.state() == OrderState::unpaid);
  CHECK(shop.pay().succeeded());
  CHECK(shop.record(OrderKey::of_payment("o", 2))->state == State::succeeded);
}

TEST_CASE("a process that died before its order was begun is ruled out without the provider", "[orders]") {
  WithOrder<Apart> shop;
  shop.orders.before_change = [&] { shop.steps.arm(1, Steps::Fails::before, Steps::Then::dies); };
  CHECK(shop.pay().status() != Status::completed);
  shop.restart();
  REQUIRE(shop.record(first_payment)->state == State::in_progress);
  REQUIRE(shop.state() == OrderState::unpaid);
  CHECK(shop.pay().succeeded());  // although no reconcile was given
  CHECK(shop.ledger.count("paid") == 1);
  CHECK(disagreement(shop) == "");
}

TEST_CASE("a holder that wakes up after it was ruled out finds its order begun by another", "[orders]") {
  WithOrder<Apart> shop;
  const bool to_the_end = GENERATE(true, false);
  Apart::Store& store = shop.store;
  Shop<Apart>::Guard other(store, KeyedMutex(), shop.clock, Shop<Apart>::options());
  int charges = 0;
  shop.orders.before_change = [&] {
    shop.clock.advance(Shop<Apart>::options().lease + Duration(1));
    const auto outcome =
        pay_order(other, shop.orders, "o", [&](Attempt&, const Order&) -> PaymentResult<std::string> {
          ++charges;
          if (to_the_end) return succeeded("paid by the other");
          return in_doubt("no reply");
        });
    CHECK(outcome.status() == (to_the_end ? Status::completed : Status::in_doubt));
  };
  const auto outcome = shop.pay_by([&](Attempt&, const Order&) {
    ++charges;
    return "paid by the first";
  });
  CHECK(outcome.status() != Status::completed);
  CHECK(charges == 1);
  CHECK(shop.state() == (to_the_end ? OrderState::paid : OrderState::paying));
  CHECK(disagreement(shop) == "");
}

TEST_CASE("an old answer that comes late does not take back what a later attempt began", "[orders]") {
  WithOrder<Apart> shop;
  // The first attempt was not executed. Before its order is told, a second one begins, and is in doubt.
  const auto first = shop.pay_by([&](Attempt&, const Order&) -> PaymentResult<std::string> {
    shop.orders.before_change = [&] {
      Shop<Apart>::Guard other(shop.store, KeyedMutex(), shop.clock, Shop<Apart>::options());
      const auto second = pay_order(
          other, shop.orders, "o",
          [](Attempt&, const Order&) -> PaymentResult<std::string> { return in_doubt("no reply"); });
      CHECK(second.status() == Status::in_doubt);
    };
    return not_executed("no connection");
  });
  CHECK(first.status() == Status::not_executed);
  CHECK(shop.state() == OrderState::paying);
  CHECK_FALSE(pay_again(shop.orders, "o", 1));
}

TEMPLATE_TEST_CASE("money that moves after it was given up is never lost sight of", "[orders]", Apart,
                   Together) {
  WithOrder<TestType> shop;
  const bool cancelled = GENERATE(true, false);
  const auto late = shop.pay_by([&](Attempt& attempt, const Order&) {
    shop.clock.advance(Shop<Apart>::options().lease + Duration(1));
    typename Shop<TestType>::Guard desk(shop.store, KeyedMutex(), shop.clock, Shop<TestType>::options());
    desk.resolve(attempt.key(), PaymentResult<std::string>::not_executed("gave up"), "anna", "wrongly");
    if (!TestType::one_database) settle_orders(desk, shop.orders);
    if (cancelled) CHECK(cancel_order(shop.orders, "o"));
    return "charged after all";
  });
  CHECK(late.succeeded());
  CHECK(shop.record(first_payment)->state == State::succeeded);
  CHECK(shop.state() == (cancelled ? OrderState::cancelled : OrderState::paid));
  if (!std::is_same_v<TestType, Together> && cancelled)
    CHECK(shop.alerts == std::vector<std::string>{"order_contradicts_payment"});
}

TEST_CASE("an OrderStore alerts about money that its order cannot account for", "[orders]") {
  TransactionalMemoryStore records;
  RowOrders<TransactionalMemoryStore> rows(records, records);
  std::vector<std::string> alerts;
  OrderStore store{records, rows, OrderStoreOptions{[&](const Alert& alert) {
                     alerts.push_back(alert.rule);
                     throw std::runtime_error("what a sink throws is lost");
                   }}};
  const IdempotencyKey key = first_payment.key();
  Record record;
  record.state = State::succeeded;
  record.version = 5;
  CHECK_FALSE(store.insert(key, record));
  CHECK(records.find(key) == record);
  CHECK(alerts == std::vector<std::string>{"order_contradicts_payment"});
}

TEST_CASE("an OrderStore refuses what begins past pay_order, and lets other keys through", "[orders]") {
  WithOrder<Together> shop;
  REQUIRE(cancel_order(shop.orders, "o"));
  const auto pay = [] { return "paid"; };
  CHECK_THROWS_AS(shop.guard().execute(first_payment.key(), fingerprint(1), pay, {.amount = "10.00 EUR"}),
                  OrderRefused);
  CHECK_FALSE(shop.record(first_payment));
  CHECK_THROWS_AS(shop.guard().execute(OrderKey::of_payment("p", 1).key(), fingerprint(1), pay),
                  OrderRefused);
  CHECK(shop.guard().execute(IdempotencyKey("shop", "o/1"), fingerprint(1), pay).succeeded());
  CHECK(shop.guard().execute(IdempotencyKey("order", "no-payment"), fingerprint(1), pay).succeeded());
}

TEST_CASE("an order moves with a payment in a transaction of the store", "[orders]") {
  WithOrder<Together> shop;
  const IdempotencyKey key = first_payment.key();
  const auto in_transaction = [&](auto&& pay) {
    return shop.guard().execute_in_transaction(key, fingerprint(1), pay);
  };
  using Transaction = Together::Store::Transaction;
  const auto rolled_back = in_transaction([](Attempt&, Transaction&) -> PaymentResult<std::string> {
    throw std::runtime_error("a business rule");
  });
  CHECK(rolled_back.status() == Status::not_executed);
  CHECK(shop.state() == OrderState::unpaid);
  const bool cancelled = GENERATE(true, false);
  if (cancelled) {
    REQUIRE(cancel_order(shop.orders, "o"));
    CHECK_THROWS_AS(in_transaction([](Attempt&, Transaction&) { return "never"; }), OrderRefused);
    CHECK_FALSE(shop.record(first_payment));
  } else {  // a voucher, say, of the same database
    CHECK(in_transaction([](Attempt&, Transaction&) { return "paid"; }).succeeded());
    CHECK(shop.state() == OrderState::paid);
    CHECK(disagreement(shop) == "");
  }
}

TEST_CASE("an order whose payment's record was swept before it was settled is left to a person", "[orders]") {
  WithOrder<Apart> shop;
  const auto outcome = shop.pay_by([&](Attempt&, const Order&) {
    shop.orders.before_change = [] { throw Error(errc::store_unavailable, "the orders are away"); };
    return "paid";
  });
  CHECK(outcome.succeeded());
  CHECK(shop.alerts == std::vector<std::string>{"order_not_settled"});
  REQUIRE(shop.state() == OrderState::paying);
  SECTION("in time, a pass settles it") {
    const SettleOrdersReport report = settle_orders(shop.guard(), shop.orders);
    CHECK(report.seen == 1);
    CHECK(report.settled == 1);
    CHECK(shop.state() == OrderState::paid);
  }
  SECTION("in time, the next call does") {
    CHECK(shop.pay().replayed());
    CHECK(shop.state() == OrderState::paid);
  }
  SECTION("even an answer that is kept no longer, but there, settles it") {
    shop.clock.advance(std::chrono::hours(25));
    CHECK(shop.pay().status() == Status::refused);
    CHECK(shop.state() == OrderState::paid);
  }
  SECTION("too late") {
    shop.forget_records();
    const auto refused = shop.pay();
    CHECK(refused.status() == Status::refused);
    CHECK_THAT(refused.reason(), contains("not known"));
    const SettleOrdersReport report = settle_orders(shop.guard(), shop.orders);
    CHECK(report.missing == 1);
    CHECK(shop.state() == OrderState::paying);
    CHECK(shop.ledger.entries.empty());
  }
}

TEST_CASE("settle_orders goes through all pages, and on where one order fails", "[orders]") {
  WithOrder<Apart> shop;
  REQUIRE(shop.pay().succeeded());
  for (int i = 0; i < 25; ++i) {
    Order order = make_order("x-" + std::to_string(10 + i), eur("5.00"));
    order.state = i % 2 == 0 ? OrderState::paying : OrderState::refunding;
    if (i % 2 == 1) order.refunds = {{"a", eur("1.00")}, {"b", eur("1.00")}};
    REQUIRE(shop.rows.insert(order));
    Record record;
    record.state = i == 2 ? State::in_doubt : State::declined;
    record.version = 10;
    if (i % 2 == 0 && i != 4) shop.records.insert(OrderKey::of_payment(order.number, 1).key(), record);
    if (i % 2 == 1) shop.records.insert(OrderKey::of_refund(order.number, "a").key(), record);
  }
  const SettleOrdersReport report = settle_orders(shop.guard(), shop.orders, {.batch = 4});
  CHECK(report.seen == 25);
  CHECK(report.settled == 11 + 12);
  CHECK(report.missing == 1 + 12);
  CHECK(report.under_way == 1);
  CHECK(report.failed == 0);
  CHECK_THROWS_MATCHES(settle_orders(shop.guard(), shop.orders, {.batch = 0}), Error,
                       has_code<Error>(errc::invalid_options));
  shop.steps.arm(1, Steps::Fails::before, Steps::Then::goes_on);
  CHECK(settle_orders(shop.guard(), shop.orders).failed == 1);
}

namespace {

/// Many threads over one guard, and a ledger that all of them write to.
template <class Guard, class Orders>
void crowd(Guard& guard, Orders& orders) {
  constexpr int threads = 6, numbers = 8;
  for (int n = 0; n < numbers; ++n)
    REQUIRE(orders.insert(make_order("o-" + std::to_string(n), eur("10.00"))));
  std::mutex mutex;
  std::vector<int> charged(numbers), back(numbers);
  std::atomic<int> errors{0};
  const auto all = [&](auto&& body) {
    std::vector<std::thread> crowd;
    for (int thread = 0; thread < threads; ++thread)
      crowd.emplace_back([&, thread] {
        for (int i = 0; i < numbers; ++i) try {
            body(thread, (thread + i) % numbers);
          } catch (...) {
            ++errors;
          }
      });
    for (std::thread& thread : crowd) thread.join();
  };
  all([&](int, int n) {
    for (Status status = Status::in_progress;
         status == Status::in_progress || status == Status::not_executed;)
      status = pay_order(guard, orders, "o-" + std::to_string(n), [&](Attempt&, const Order&) {
                 std::lock_guard lock(mutex);
                 ++charged[static_cast<std::size_t>(n)];
                 return "paid";
               }).status();
  });
  all([&](int thread, int n) {
    const std::string id = "r" + std::to_string(thread);
    for (Status status = Status::in_progress;
         status == Status::in_progress || status == Status::not_executed;)
      status = refund_order(guard, orders, "o-" + std::to_string(n), id, eur("3.00"),
                            [&](Attempt&, const Order&, const Refund&) -> PaymentResult<std::string> {
                              if (thread == 0) return declined("a closed account");
                              std::lock_guard lock(mutex);
                              back[static_cast<std::size_t>(n)] += 3;
                              return succeeded("back");
                            })
                   .status();
  });
  CHECK(errors == 0);
  for (int n = 0; n < numbers; ++n) {
    CAPTURE(n);
    CHECK(charged[static_cast<std::size_t>(n)] == 1);
    CHECK(back[static_cast<std::size_t>(n)] <= 9);
    CHECK(back[static_cast<std::size_t>(n)] >= 6);  // one place may have been spoken for by the declined one
    const Order order = orders.find("o-" + std::to_string(n)).value();
    CHECK(order.state == OrderState::paid);
    CHECK(order.sum(RefundState::done).minor_units() == 100 * back[static_cast<std::size_t>(n)]);
    CHECK(order.sum(RefundState::reserved).minor_units() == 0);
  }
}

}  // namespace

TEST_CASE("many threads pay and refund the same orders once", "[orders][threads]") {
  SECTION("apart, optimistic") {
    MemoryOrders orders;
    IdempotencyGuard guard{MemoryStore{}};
    crowd(guard, orders);
  }
  SECTION("apart, pessimistic, without a lock") {
    MemoryOrders orders(MemoryOrdersOptions{.locking = OrderLocking::pessimistic});
    IdempotencyGuard guard{MemoryStore{}, NoLock{}};
    crowd(guard, orders);
  }
  SECTION("together") {
    TransactionalMemoryStore records;
    RowOrders<TransactionalMemoryStore> rows(records, records);
    IdempotencyGuard guard{OrderStore{records, rows}};
    crowd(guard, rows);
  }
}
