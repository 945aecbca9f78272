// The rules of orders are pure: every combination of what they look at is tried, against tables that say it
// again in other words.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/orders/rules.hpp>

#include "support/catch.hpp"

using namespace paidonce;
using order_rules::Followed;
using support::has_code;

namespace {

constexpr OrderState all_states[] = {OrderState::unpaid,    OrderState::paying,   OrderState::paid,
                                     OrderState::refunding, OrderState::refunded, OrderState::cancelled};
constexpr State all_record_states[] = {State::in_progress, State::succeeded, State::declined, State::in_doubt,
                                       State::released};

Money eur(const char* amount) { return Money::parse(amount, "EUR"); }

/// An order of 10.00 EUR in this state, as it would have come there.
Order order_in(OrderState state) {
  Order order = make_order("order-1001", eur("10.00"));
  order.state = state;
  order.payment = 2;
  order.followed = 100;
  order.version = 7;
  if (state == OrderState::refunding)
    order.refunds = {{"old", eur("4.00"), RefundState::done, 110},
                     {"running", eur("2.00"), RefundState::reserved, 120}};
  if (state == OrderState::refunded) order.refunds = {{"all", eur("10.00"), RefundState::done, 110}};
  return order;
}

Record record_in(State state, Version version, std::uint32_t attempts = 1, const char* amount = "10.00 EUR") {
  Record record;
  record.state = state;
  record.version = version;
  record.attempts = attempts;
  record.amount = amount;
  return record;
}

bool changed_lawfully(const Order& before, const Order& after) {
  check_change(before, after);
  return true;
}

const OrderKey payment2 = OrderKey::of_payment("order-1001", 2);
OrderKey refund(const char* id) { return OrderKey::of_refund("order-1001", id); }

using M = OrderMoves;
static_assert(M::allows(OrderState::unpaid, OrderState::paying));
static_assert(!M::allows(OrderState::unpaid, OrderState::paid), "nothing is paid that was not begun");
static_assert(!M::allows(OrderState::paying, OrderState::cancelled), "what is being paid is not cancelled");
static_assert(!M::allows(OrderState::cancelled, OrderState::unpaid), "cancelled is final");

}  // namespace

TEST_CASE("an order makes the moves of the list and no others", "[orders][rules]") {
  const std::vector<std::pair<OrderState, OrderState>> list = {
      {OrderState::unpaid, OrderState::paying},    {OrderState::paying, OrderState::paid},
      {OrderState::paid, OrderState::refunding},   {OrderState::refunding, OrderState::refunded},
      {OrderState::unpaid, OrderState::cancelled}, {OrderState::paying, OrderState::unpaid},
      {OrderState::refunding, OrderState::paid}};
  for (const OrderState from : all_states)
    for (const OrderState to : all_states) {
      const bool listed = std::find(list.begin(), list.end(), std::pair(from, to)) != list.end();
      CAPTURE(to_string(from), to_string(to));
      CHECK(M::allows(from, to) == listed);
      if (listed || from == to)
        CHECK_NOTHROW(M::require(from, to));
      else
        CHECK_THROWS_MATCHES(M::require(from, to), Error, has_code<Error>(errc::wrong_state));
    }
  OrderState state = OrderState::paid;
  CHECK_THROWS_MATCHES((M::move<OrderState::unpaid, OrderState::paying>(state)), Error,
                       has_code<Error>(errc::wrong_state));
  CHECK(state == OrderState::paid);
}

TEST_CASE("a payment begins on an unpaid order, or takes over what it began itself", "[orders][rules]") {
  for (const OrderState state : all_states)
    for (const std::uint32_t payment : {1U, 2U, 3U})
      for (const Version version : {Version{99}, Version{100}, Version{101}})
        for (const std::uint32_t attempts : {1U, 2U})
          for (const char* amount : {"10.00 EUR", "10.01 EUR", "10.00 USD", ""}) {
            CAPTURE(to_string(state), payment, version, attempts, amount);
            const Order before = order_in(state);
            Order order = before;
            const auto refusal = order_rules::begin(order, OrderKey::of_payment("order-1001", payment),
                                                    record_in(State::in_progress, version, attempts, amount));
            const bool right = payment == 2 && (std::string(amount) == "10.00 EUR" || !*amount);
            const bool fresh = state == OrderState::unpaid && version == 101;
            const bool again =
                state == OrderState::paying && (version == 100 || (version == 101 && attempts == 2));
            CHECK(!refusal == (right && (fresh || again)));
            if (refusal) {
              CHECK(order == before);
              CHECK_FALSE(refusal->empty());
            } else {
              CHECK(order.state == OrderState::paying);
              CHECK(order.followed == version);
              CHECK(changed_lawfully(before, order));
            }
          }
}

TEST_CASE("an order follows the record of its payment, and no older answer", "[orders][rules]") {
  for (const OrderState state : all_states)
    for (const State record : all_record_states)
      for (const std::uint32_t payment : {1U, 2U, 3U})
        for (const Version version : {Version{99}, Version{100}, Version{101}}) {
          CAPTURE(to_string(state), to_string(record), payment, version);
          const Order before = order_in(state);
          Order order = before;
          const Followed followed = order_rules::follow(order, OrderKey::of_payment("order-1001", payment),
                                                        record_in(record, version));
          if (record == State::succeeded && (payment != 2 || state == OrderState::cancelled)) {
            CHECK(followed == Followed::contradicts);
            CHECK(order == before);
          } else if (record == State::succeeded && state == OrderState::paying) {
            CHECK(order.state == OrderState::paid);
          } else if (record == State::succeeded && state == OrderState::unpaid) {
            CHECK(order.state == OrderState::paying);  // and paid by the next step
          } else if ((record == State::declined || record == State::released) && payment == 2 &&
                     state == OrderState::paying && version >= 100) {
            CHECK(order.state == OrderState::unpaid);
          } else {
            CHECK(followed == Followed::nothing);
            CHECK(order == before);
          }
          CHECK((followed == Followed::moved) == !(order == before));
          CHECK(changed_lawfully(before, order));
          if (followed == Followed::moved) {
            CHECK(order.followed >= before.followed);
            while (order_rules::follow(order, OrderKey::of_payment("order-1001", payment),
                                       record_in(record, version)) == Followed::moved) {
            }
            CHECK(order.state == (record == State::succeeded ? OrderState::paid : OrderState::unpaid));
          }
        }
}

TEST_CASE("a refund begins within what is left, and in the order's currency", "[orders][rules]") {
  for (const OrderState state : all_states)
    for (const char* amount :
         {"0.01 EUR", "4.00 EUR", "4.01 EUR", "10.00 EUR", "10.01 EUR", "1.00 USD", "?"}) {
      CAPTURE(to_string(state), amount);
      const Order before = order_in(state);
      Order order = before;
      const auto refusal =
          order_rules::begin(order, refund("new"), record_in(State::in_progress, 5, 1, amount));
      const std::string asked = amount;
      const bool fits_paid =
          asked == "0.01 EUR" || asked == "4.00 EUR" || asked == "4.01 EUR" || asked == "10.00 EUR";
      const bool fits_refunding = asked == "0.01 EUR" || asked == "4.00 EUR";
      CHECK(!refusal ==
            ((state == OrderState::paid && fits_paid) || (state == OrderState::refunding && fits_refunding)));
      CHECK((order == before) == refusal.has_value());
      CHECK(changed_lawfully(before, order));
      if (!refusal) {
        CHECK(order.state == OrderState::refunding);
        CHECK(order.refund("new")->state == RefundState::reserved);
      }
    }
}

TEST_CASE("a refund is taken over by a later attempt of its own record alone", "[orders][rules]") {
  const auto begin = [](RefundState there, Version version, std::uint32_t attempts, const char* amount) {
    Order order = order_in(OrderState::refunding);
    order.refunds[0] = {"r", eur("4.00"), there, 50};
    return order_rules::begin(order, refund("r"), record_in(State::in_progress, version, attempts, amount));
  };
  CHECK(begin(RefundState::done, 51, 2, "4.00 EUR").has_value());
  CHECK(begin(RefundState::reserved, 51, 1, "4.00 EUR").has_value());
  CHECK_FALSE(begin(RefundState::reserved, 50, 1, "4.00 EUR").has_value());
  CHECK_FALSE(begin(RefundState::reserved, 51, 2, "4.00 EUR").has_value());
  CHECK(begin(RefundState::reserved, 49, 2, "4.00 EUR").has_value());
  CHECK_FALSE(begin(RefundState::released, 51, 1, "4.00 EUR").has_value());
  CHECK(begin(RefundState::released, 50, 1, "4.00 EUR").has_value());
  for (const RefundState there : {RefundState::reserved, RefundState::done, RefundState::released})
    CHECK(begin(there, 51, 2, "3.00 EUR").has_value());
}

TEST_CASE("a released refund that is tried again needs room again", "[orders][rules]") {
  Order order = order_in(OrderState::refunding);
  order.refunds.push_back({"mine", eur("6.00"), RefundState::released, 50});
  CHECK(order_rules::begin(order, refund("mine"), record_in(State::in_progress, 51, 2, "6.00 EUR")));
  CHECK(order.refund("mine")->state == RefundState::released);
}

TEST_CASE("a refund follows its record, and its order follows the refunds", "[orders][rules]") {
  for (const State record : all_record_states)
    for (const RefundState there : {RefundState::reserved, RefundState::done, RefundState::released})
      for (const bool another : {false, true})
        for (const bool all : {false, true})
          for (const Version version : {Version{49}, Version{50}, Version{51}}) {
            Order before = order_in(OrderState::paid);
            const Money amount = all ? eur(another ? "8.00" : "10.00") : eur("3.00");
            before.refunds = {{"r", amount, there, 50}};
            if (another) before.refunds.push_back({"running", eur("2.00"), RefundState::reserved, 60});
            const bool reserved = another || there == RefundState::reserved;
            before.state = reserved                                        ? OrderState::refunding
                           : all && !another && there == RefundState::done ? OrderState::refunded
                                                                           : OrderState::paid;
            CAPTURE(to_string(record), to_string(there), another, all, version);
            check_order(before);
            Order order = before;
            const Record ended = record_in(record, version, 1, (amount.text()).c_str());
            Followed followed = order_rules::follow(order, refund("r"), ended);
            CHECK(changed_lawfully(before, order));
            CHECK((followed == Followed::moved) == !(order == before));
            for (Order step = order; followed == Followed::moved; step = order) {
              followed = order_rules::follow(order, refund("r"), ended);
              CHECK(changed_lawfully(step, order));
            }
            const bool nothing_happened = record == State::declined || record == State::released;
            RefundState expected = there;
            if (record == State::succeeded) expected = RefundState::done;
            if (nothing_happened && there == RefundState::reserved && version >= 50)
              expected = RefundState::released;
            CHECK(order.refund("r")->state == expected);
            const bool still = another || expected == RefundState::reserved;
            CHECK(order.state == (still                                              ? OrderState::refunding
                                  : all && !another && expected == RefundState::done ? OrderState::refunded
                                                                                     : OrderState::paid));
          }
}

TEST_CASE("a refund that succeeds late, with its room taken, contradicts its order", "[orders][rules]") {
  Order order = order_in(OrderState::refunding);  // 4.00 done, 2.00 reserved
  order.refunds.push_back({"late", eur("5.00"), RefundState::released, 50});
  const Order before = order;
  CHECK(order_rules::follow(order, refund("late"), record_in(State::succeeded, 60, 1, "5.00 EUR")) ==
        Followed::contradicts);
  CHECK(order == before);
  CHECK(order_rules::follow(order, refund("unknown"), record_in(State::succeeded, 60, 1, "3.00 EUR")) ==
        Followed::moved);
  CHECK(order_rules::follow(order, refund("nameless"), record_in(State::succeeded, 60, 1, "")) ==
        Followed::contradicts);
}

TEST_CASE("what may begin is known before anything is written", "[orders][rules]") {
  const auto admit = [](OrderState state, std::optional<State> there) {
    const Record record = record_in(there.value_or(State::in_progress), 100, 1);
    return !order_rules::admit(order_in(state), payment2, eur("10.00"), there ? &record : nullptr);
  };
  CHECK(admit(OrderState::unpaid, std::nullopt));
  for (const OrderState state :
       {OrderState::paid, OrderState::refunding, OrderState::refunded, OrderState::cancelled})
    CHECK_FALSE(admit(state, std::nullopt));
  CHECK_FALSE(admit(OrderState::paying, std::nullopt));      // its record is gone: nobody knows
  CHECK_FALSE(admit(OrderState::paying, State::succeeded));  // it lags behind, and is paid
  CHECK(admit(OrderState::paying, State::declined));
  CHECK(admit(OrderState::paying, State::released));
  CHECK(admit(OrderState::paying, State::in_doubt));  // the guard decides
  CHECK(admit(OrderState::paying, State::in_progress));
  CHECK(order_rules::admit(order_in(OrderState::unpaid), payment2, eur("11.00"), nullptr));
}

TEST_CASE("an order that was never begun rules out the attempt that its record tells of", "[orders][rules]") {
  const Record doubtful = record_in(State::in_doubt, 150);
  for (const OrderState state : all_states)
    for (const std::uint32_t payment : {1U, 2U}) {
      CAPTURE(to_string(state), payment);
      const Order before = order_in(state);
      Order order = before;
      const bool proven = order_rules::rule_out(order, OrderKey::of_payment("order-1001", payment), doubtful);
      CHECK(proven == (payment == 1 || state == OrderState::cancelled || state == OrderState::unpaid));
      CHECK(changed_lawfully(before, order));
      // The attempt, should it still live, finds the door shut.
      if (proven)
        CHECK(order_rules::begin(order, OrderKey::of_payment("order-1001", payment),
                                 record_in(State::in_progress, 149, 2)));
    }
  for (const RefundState there : {RefundState::reserved, RefundState::done, RefundState::released}) {
    Order order = order_in(OrderState::refunding);
    order.refunds.push_back({"r", eur("1.00"), there, 100});
    CHECK(order_rules::rule_out(order, refund("r"), record_in(State::in_doubt, 150, 1, "1.00 EUR")) ==
          (there == RefundState::released));
  }
  Order order = order_in(OrderState::paid);
  const Order before = order;
  REQUIRE(order_rules::rule_out(order, refund("r"), record_in(State::in_doubt, 150, 1, "1.00 EUR")));
  CHECK(changed_lawfully(before, order));
  CHECK(order_rules::begin(order, refund("r"), record_in(State::in_progress, 149, 1, "1.00 EUR")));
  CHECK_FALSE(order_rules::begin(order, refund("r"), record_in(State::in_progress, 151, 2, "1.00 EUR")));
}

TEST_CASE("an order is cancelled, paid again or repriced while it is unpaid alone", "[orders][rules]") {
  for (const OrderState state : all_states) {
    CAPTURE(to_string(state));
    const Order before = order_in(state);
    Order cancelled = before, again = before, repriced = before;
    const bool unpaid = state == OrderState::unpaid;
    CHECK(!order_rules::cancel(cancelled) == (unpaid || state == OrderState::cancelled));
    CHECK((cancelled.state == OrderState::cancelled) == (unpaid || state == OrderState::cancelled));
    CHECK(!order_rules::pay_again(again, 2) == unpaid);
    CHECK(again.payment == (unpaid ? 3 : 2));
    CHECK(!order_rules::change_total(repriced, eur("11.00")) == unpaid);
    CHECK(repriced.total == (unpaid ? eur("11.00") : eur("10.00")));
    CHECK(repriced.payment == again.payment);
    CHECK_FALSE(order_rules::change_total(repriced, repriced.total));
    for (const Order& after : {cancelled, again, repriced}) CHECK(changed_lawfully(before, after));
  }
  Order order = order_in(OrderState::unpaid);
  CHECK(order_rules::pay_again(order, 1));
  CHECK(order_rules::pay_again(order, 3));
  order.payment = UINT32_MAX;
  CHECK(order_rules::pay_again(order, UINT32_MAX));
}

TEST_CASE("a key says which payment or refund of which order it is", "[orders][key]") {
  for (const char* number : {"order-1001", "a/b", "a/1", "/", "x"}) {
    for (const std::uint32_t payment : {1U, 2U, UINT32_MAX}) {
      const OrderKey key = OrderKey::of_payment(number, payment);
      CHECK(OrderKey::from(key.key()) == key);
    }
    const OrderKey key = OrderKey::of_refund(number, "r-7");
    CHECK(OrderKey::from(key.key()) == key);
  }
  CHECK(OrderKey::of_payment("order-1001", 2).key() == IdempotencyKey("order", "order-1001/2"));
  CHECK(OrderKey::of_refund("order-1001", "r-7").key() == IdempotencyKey("refund", "order-1001/r-7"));
  for (const char* text : {"order-1001", "order-1001/", "/1", "order-1001/02", "order-1001/-1",
                           "order-1001/x", "order-1001/4294967296", "a b/1"})
    CHECK_FALSE(OrderKey::from(IdempotencyKey("order", text)));
  CHECK_FALSE(OrderKey::from(IdempotencyKey("refund", "order-1001")));
  CHECK_FALSE(OrderKey::from(IdempotencyKey("shop", "order-1001/1")));
}

TEST_CASE("an order that cannot be one is not made", "[orders]") {
  for (const std::string& number : {std::string(), std::string(129, 'x'), std::string("a b"),
                                    std::string("a\n"), std::string("\0", 1), std::string("\xc3\xa4")}) {
    CHECK_THROWS_MATCHES(make_order(number, eur("1.00")), Error, has_code<Error>(errc::invalid_options));
    CHECK_THROWS_MATCHES(check_refund_id(number), Error, has_code<Error>(errc::invalid_options));
  }
  CHECK_NOTHROW(make_order(std::string(128, 'x'), eur("1.00")));
  CHECK_THROWS_MATCHES(make_order("x", eur("0.00")), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(make_order("x", eur("-1.00")), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(check_refund_id("a/b"), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(check_refund_id(std::string(65, 'x')), Error, has_code<Error>(errc::invalid_options));
}

TEST_CASE("a change that no rule would make is refused", "[orders]") {
  const auto refused = [](OrderState state, auto change) {
    const Order before = order_in(state);
    Order after = before;
    change(after);
    CHECK_THROWS_MATCHES(check_change(before, after), Error, has_code<Error>(errc::wrong_state));
  };
  refused(OrderState::unpaid, [](Order& order) { order.state = OrderState::paid; });
  refused(OrderState::paying, [](Order& order) { order.state = OrderState::cancelled; });
  refused(OrderState::cancelled, [](Order& order) { order.state = OrderState::unpaid; });
  refused(OrderState::unpaid, [](Order& order) { order.number = "other"; });
  refused(OrderState::unpaid, [](Order& order) { order.total = eur("11.00"); });
  refused(OrderState::paying, [](Order& order) { order.total = eur("11.00"); });
  refused(OrderState::paying, [](Order& order) { ++order.payment; });
  refused(OrderState::unpaid, [](Order& order) { --order.payment; });
  refused(OrderState::paid, [](Order& order) { order.state = OrderState::refunding; });
  refused(OrderState::paid, [](Order& order) { order.refunds = {{"r", eur("1.00")}}; });
  refused(OrderState::refunding, [](Order& order) { order.state = OrderState::paid; });
  refused(OrderState::refunding, [](Order& order) { order.refunds.clear(); });
  refused(OrderState::refunding, [](Order& order) { order.refunds[0].amount = eur("3.00"); });
  refused(OrderState::refunding, [](Order& order) { order.refunds[0].state = RefundState::released; });
  refused(OrderState::refunding, [](Order& order) { order.refunds.push_back({"r", eur("4.01")}); });
  refused(OrderState::refunding, [](Order& order) { order.refunds.push_back({"old", eur("1.00")}); });
  refused(OrderState::refunding, [](Order& order) {
    order.refunds.push_back({"usd", Money::parse("1.00", "USD")});
  });
  refused(OrderState::unpaid, [](Order& order) {
    order.state = OrderState::paying;
    order.refunds = {{"r", eur("1.00"), RefundState::done}};
  });
}
