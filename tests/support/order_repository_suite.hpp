#pragma once
// What a repository of orders promises, checked. One line for each repository:
//
//   TEST_CASE("MemoryOrders keep orders", "[orders]") { check_order_repository<Memory>(); }
//
// A fixture has make(OrderLocking, OrderConflicts), whose answer is a repository, or a reference to one, over
// the same orders each time.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/orders/order_locking.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/rules.hpp>

#include "support/catch.hpp"

namespace order_suite {

using namespace paidonce;
using support::has_code;

inline Money eur(const char* amount) { return Money::parse(amount, "EUR"); }

/// An order with everything that there can be in it.
inline Order furnished(std::string number) {
  const Currency points("PTS", 30);
  Order order = make_order(std::move(number), Money::minor(max_minor_units, points));
  order.state = OrderState::refunding;
  order.payment = UINT32_MAX;
  order.followed = UINT64_MAX;
  order.refunds = {{"z", Money::minor(1, points), RefundState::done, 1},
                   {"a", Money::minor(2, points), RefundState::reserved, UINT64_MAX},
                   {std::string(max_refund_id, '~'), Money::minor(3, points), RefundState::released, 0}};
  return order;
}

template <class Orders>
Order stored(Orders& orders, std::string_view number) {
  return orders.find(number).value();
}

template <class Orders>
void basics(Orders& orders) {
  CHECK_FALSE(orders.find("nothing").has_value());
  Order order = make_order("order-1001", eur("4.50"));
  REQUIRE(orders.insert(order));
  order.version = 1;
  CHECK(stored(orders, "order-1001") == order);
  CHECK_FALSE(orders.insert(make_order("order-1001", eur("9.00"))));
  CHECK(stored(orders, "order-1001") == order);
  Order bad = make_order("bad", eur("4.50"));
  bad.state = OrderState::refunded;
  CHECK_THROWS_AS(orders.insert(bad), Error);
  bad.number.clear();
  CHECK_THROWS_AS(orders.insert(bad), Error);
  CHECK_FALSE(orders.find("bad").has_value());

  for (const char* hostile : {"'); DROP TABLE x;--", "a/b", "%", "\\"}) {
    const std::string number = std::string(hostile).substr(0, std::string_view(hostile).find(' '));
    CHECK(orders.insert(make_order(number, Money::parse("12", "JPY"))));
    CHECK(stored(orders, number).total.text() == "12 JPY");
  }
  Order all = furnished(std::string(max_order_number, 'x'));
  REQUIRE(orders.insert(all));
  all.version = 1;
  CHECK(stored(orders, all.number) == all);
}

template <class Orders>
void changes(Orders& orders) {
  const auto never = [](Order&) { throw std::logic_error("there is nothing to change"); };
  CHECK_FALSE(orders.change("nothing", never).has_value());
  REQUIRE(orders.insert(make_order("o", eur("4.50"))));
  REQUIRE(orders.insert(make_order("other", eur("1.00"))));
  const Order fresh = stored(orders, "o");

  CHECK(orders.change("o", [](Order&) {}) == fresh);
  CHECK(stored(orders, "o") == fresh);
  CHECK_THROWS_MATCHES(orders.change("o",
                                     [](Order& order) {
                                       order.state = OrderState::cancelled;
                                       throw std::runtime_error("not this one");
                                     }),
                       std::runtime_error, support::says<std::runtime_error>("not this one"));
  CHECK(stored(orders, "o") == fresh);
  CHECK_THROWS_MATCHES(orders.change("o", [](Order& order) { order.state = OrderState::paid; }), Error,
                       has_code<Error>(errc::wrong_state));
  CHECK_THROWS_MATCHES(orders.change("o", [](Order& order) { order.total = eur("1.00"); }), Error,
                       has_code<Error>(errc::wrong_state));
  CHECK(stored(orders, "o") == fresh);

  Order repriced = orders
                       .change("o",
                               [](Order& order) {
                                 order.total = Money::parse("17", "JPY");
                                 ++order.payment;
                               })
                       .value();
  CHECK(repriced.total.text() == "17 JPY");
  CHECK(repriced.version > fresh.version);
  CHECK(stored(orders, "o") == repriced);
  const auto move = [&](OrderState to) {
    const Order moved = orders.change("o", [&](Order& order) { order.state = to; }).value();
    CHECK(moved.state == to);
    CHECK(stored(orders, "o") == moved);
    return moved;
  };
  move(OrderState::paying);
  move(OrderState::paid);
  CHECK_THROWS_AS(orders.change("o", [](Order& order) { order.state = OrderState::unpaid; }), Error);
  const Money part = Money::parse("7", "JPY");
  for (const char* id : {"z", "a"})
    orders.change("o", [&](Order& order) {
      order.state = OrderState::refunding;
      order.refunds.push_back({id, part, RefundState::reserved, 3});
    });
  const Order both =
      orders.change("o", [](Order& order) { order.refunds[1].state = RefundState::done; }).value();
  CHECK(both.refunds.size() == 2);
  CHECK(stored(orders, "o") == both);
  const Order paid = orders
                         .change("o",
                                 [](Order& order) {
                                   order.refunds[0].state = RefundState::released;
                                   order.refunds[0].followed = 9;
                                   order.state = OrderState::paid;
                                 })
                         .value();
  CHECK(stored(orders, "o") == paid);
  CHECK(stored(orders, "other").version == 1);
}

template <class Orders>
void lists_what_is_open(Orders& orders) {
  if constexpr (ListableOrders<Orders>) {
    CHECK(orders.open("", 10).empty());
    for (int i = 0; i < 30; ++i) {
      Order order = make_order("o-" + std::to_string(10 + i), eur("5.00"));
      order.state = i % 3 == 0 ? OrderState::unpaid : i % 3 == 1 ? OrderState::paying : OrderState::refunding;
      if (i % 3 == 2)
        order.refunds = {{"b", eur("1.00"), RefundState::reserved, 1},
                         {"a", eur("1.00"), RefundState::done, 2}};
      REQUIRE(orders.insert(order));
    }
    std::vector<std::string> seen;
    std::string after;
    for (std::vector<Order> page; !(page = orders.open(after, 7)).empty(); after = page.back().number) {
      CHECK(page.size() <= 7);
      for (const Order& order : page) {
        CHECK(is_open(order.state));
        CHECK(order == stored(orders, order.number));
        seen.push_back(order.number);
      }
    }
    CHECK(seen.size() == 20);
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  }
}

/// Of many threads each change counts.
template <class Orders>
void no_change_is_lost(Orders& one, Orders& other) {
  REQUIRE(one.insert(make_order("o", eur("1000.00"))));
  one.change("o", [](Order& order) { order.state = OrderState::paying; });
  one.change("o", [](Order& order) { order.state = OrderState::paid; });
  constexpr int threads = 4, each = 5;
  std::atomic<int> failed{0};
  std::vector<std::thread> crowd;
  for (int thread = 0; thread < threads; ++thread)
    crowd.emplace_back([&, thread] {
      Orders& orders = thread % 2 == 0 ? one : other;
      for (int i = 0; i < each; ++i) try {
          orders.change("o", [&](Order& order) {
            ++order.followed;
            order.state = OrderState::refunding;
            order.refunds.push_back({std::to_string(thread) + '-' + std::to_string(i), eur("1.00")});
          });
        } catch (...) {
          ++failed;
        }
    });
  for (std::thread& thread : crowd) thread.join();
  CHECK(failed == 0);
  const Order order = stored(one, "o");
  CHECK(order.followed == threads * each);
  CHECK(order.refunds.size() == threads * each);
  CHECK(order == stored(other, "o"));
  for (int thread = 0; thread < threads; ++thread)
    for (int i = 0; i < each; ++i)
      CHECK(order.refund(std::to_string(thread) + '-' + std::to_string(i)) != nullptr);
}

/// Who was slower is called again with what the faster one left, and told so where that has no end.
template <class Orders>
void meets_others(Orders& slow, Orders& fast) {
  REQUIRE(slow.insert(make_order("o", eur("5.00"))));
  int calls = 0;
  const Order order = slow.change("o",
                                  [&](Order& seen) {
                                    if (calls++ == 0)
                                      fast.change("o", [](Order& same) { same.followed = 41; });
                                    ++seen.followed;
                                  })
                          .value();
  CHECK(calls == 2);
  CHECK(order.followed == 42);
  CHECK(stored(slow, "o") == order);
  calls = 0;
  CHECK_THROWS_MATCHES(slow.change("o",
                                   [&](Order& seen) {
                                     ++calls;
                                     fast.change("o", [](Order& same) { ++same.followed; });
                                     seen.state = OrderState::cancelled;
                                   }),
                       Error, has_code<Error>(errc::store_busy));
  CHECK(calls == 3);
  CHECK(stored(slow, "o").state == OrderState::unpaid);
}

}  // namespace order_suite

template <class Fixture>
void check_order_repository() {
  using namespace order_suite;
  Fixture fixture;
  const OrderConflicts few{.tries = 3, .backoff = {.first = Duration(1), .longest = Duration(1)}};
  for (const OrderLocking locking : {OrderLocking::optimistic, OrderLocking::pessimistic}) {
    DYNAMIC_SECTION((locking == OrderLocking::optimistic ? "optimistic" : "pessimistic")) {
      SECTION("keeps what it is given") {
        auto&& orders = fixture.make(locking, {});
        basics(orders);
      }
      SECTION("changes what the function changes, and only that") {
        auto&& orders = fixture.make(locking, {});
        changes(orders);
      }
      SECTION("lists what is open") {
        auto&& orders = fixture.make(locking, {});
        lists_what_is_open(orders);
      }
      SECTION("loses no change of many threads") {
        auto&& one = fixture.make(locking, {});
        auto&& other = fixture.make(locking, {});
        no_change_is_lost(one, other);
      }
    }
  }
  SECTION("optimistic, meets others") {
    auto&& slow = fixture.make(OrderLocking::optimistic, few);
    auto&& fast = fixture.make(OrderLocking::optimistic, few);
    meets_others(slow, fast);
  }
  SECTION("options that cannot work are refused") {
    for (const OrderConflicts& bad :
         {OrderConflicts{.tries = 0}, OrderConflicts{.backoff = {.first = Duration(0)}}})
      CHECK_THROWS_MATCHES(fixture.make(OrderLocking::optimistic, bad), Error,
                           has_code<Error>(errc::invalid_options));
  }
}
