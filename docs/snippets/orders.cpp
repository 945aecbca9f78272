// The snippets about orders.

#include <paidonce/orders/orders.hpp>
#include <paidonce/orders/sqlite_orders.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/recover.hpp>

#include "provider.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

namespace ordering {

using namespace paidonce;

// [pay]
template <class Guard, class Orders>
Outcome<std::string> check_out(Guard& guard, Orders& orders, shop::Provider& provider,
                               std::string_view number) {
  return pay_order(guard, orders, number,
                   [&](Attempt& attempt, const Order& order) -> PaymentResult<std::string> {
                     try {
                       const auto reply = provider.charge(order.number, attempt.provider_key());
                       if (reply.declined) return declined(reply.body);
                       return succeeded(reply.body);
                     } catch (const shop::NotConnected& refused) {
                       return not_executed(refused.what());
                     }  // all else that is thrown leaves it in doubt, and the order paying
                   });
}
// [/pay]

// [refund]
template <class Guard, class Orders>
Outcome<std::string> give_back(Guard& guard, Orders& orders, shop::Provider& provider,
                               std::string_view number, std::string_view refund_id, const Money& amount) {
  return refund_order(guard, orders, number, refund_id, amount,
                      [&](Attempt& attempt, const Order& order, const Refund&) {
                        return provider.charge(order.number, attempt.provider_key()).body;
                      });
}
// [/refund]

// [another_card]
template <class Guard, class Orders>
Outcome<std::string> pay_with_another_card(Guard& guard, Orders& orders, shop::Provider& provider,
                                           const Order& declined) {
  pay_again(orders, declined.number, declined.payment);  // false: somebody has, or paid it meanwhile
  return check_out(guard, orders, provider, declined.number);
}
// [/another_card]

// [repair]
template <class Guard, class Orders, class Ask>
void settle_what_is_open(Guard& guard, Orders& orders, Ask ask) {
  recover(guard, order_first(orders, ask));  // what is in doubt: looks at the order, then asks the provider
  const SettleOrdersReport report = settle_orders(guard, orders);
  if (report.missing > 0 || report.contradictions > 0) throw std::runtime_error("a person has to look");
}
// [/repair]

}  // namespace ordering

TEST_CASE("an order is paid and refunded in one database", "[docs]") {
  using namespace ordering;
  const ScratchDirectory directory;
  shop::Provider provider;
  // [together]
  SqliteStore payments(directory / "shop.db");
  SqliteOrders orders(payments);
  IdempotencyGuard guard{OrderStore{payments, orders}};

  orders.insert(make_order("order-1001", Money::parse("10.00", "EUR")));  // false: the number is taken
  // [/together]
  REQUIRE(check_out(guard, orders, provider, "order-1001").succeeded());
  CHECK(check_out(guard, orders, provider, "order-1001").replayed());
  CHECK(provider.charges == 1);
  CHECK(orders.find("order-1001")->state == OrderState::paid);
  CHECK(give_back(guard, orders, provider, "order-1001", "damaged-cup", Money::parse("4.00", "EUR"))
            .succeeded());
  CHECK(give_back(guard, orders, provider, "order-1001", "all", Money::parse("10.00", "EUR")).status() ==
        Status::refused);
  CHECK(orders.find("order-1001")->refundable() == Money::parse("6.00", "EUR"));
}

TEST_CASE("an order is paid with another card, and one in doubt is settled by asking", "[docs]") {
  using namespace ordering;
  using Mood = shop::Provider::Mood;
  shop::Provider provider;
  // [apart]
  MemoryOrders orders;                    // any OrderRepository, in any place
  IdempotencyGuard guard{MemoryStore{}};  // any store
  // [/apart]
  orders.insert(make_order("order-1001", Money::parse("10.00", "EUR")));
  provider.mood = Mood::declines;
  REQUIRE(check_out(guard, orders, provider, "order-1001").declined());
  provider.mood = Mood::charges_and_hangs_up;
  const auto outcome = pay_with_another_card(guard, orders, provider, *orders.find("order-1001"));
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(orders.find("order-1001")->state == OrderState::paying);
  CHECK_FALSE(cancel_order(orders, "order-1001"));
  settle_what_is_open(guard, orders, [&](const Doubt& doubt) -> PaymentResult<std::string> {
    const auto found = provider.look_up(doubt.provider_key());
    if (!found) return in_doubt("the provider does not know it");
    return succeeded(found->body);
  });
  CHECK(orders.find("order-1001")->state == OrderState::paid);
  CHECK(provider.charges == 1);
}
