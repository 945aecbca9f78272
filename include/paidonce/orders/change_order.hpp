#pragma once
// What else happens to an order: it is cancelled, paid another way, or gets another total.

#include <optional>
#include <string_view>

#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/rules.hpp>

namespace paidonce::inline v1 {

/// The order after the call, and why it was not changed, if it was not.
struct OrderAnswer {
  std::optional<Order> order = {};          ///< null where there is none
  std::optional<std::string> refusal = {};  ///< null: done
  explicit operator bool() const noexcept { return !refusal; }
};

namespace detail {

template <OrderRepository Orders, class Rule>
OrderAnswer change_order(Orders& orders, std::string_view number, Rule&& rule) {
  check_order_number(number);
  OrderAnswer answer;
  answer.order = orders.change(number, [&](Order& order) { answer.refusal = rule(order); });
  if (!answer.order) answer.refusal = "there is no such order";
  return answer;
}

}  // namespace detail

/// Nobody can pay the order any more. Refused while it is being paid, and once it was paid; cancelled again
/// it stays cancelled.
template <OrderRepository Orders>
OrderAnswer cancel_order(Orders& orders, std::string_view number) {
  return detail::change_order(orders, number, [](Order& order) { return order_rules::cancel(order); });
}

/// After a decline: the next payment of an unpaid order, with another card perhaps. `payment` is the one that
/// was declined (`Order::payment`): of several callers that give the same, one starts the next, and the
/// others are refused and see it in the order.
template <OrderRepository Orders>
OrderAnswer pay_again(Orders& orders, std::string_view number, std::uint32_t payment) {
  return detail::change_order(orders, number,
                              [&](Order& order) { return order_rules::pay_again(order, payment); });
}

/// Another total for an unpaid order, and with it its next payment.
template <OrderRepository Orders>
OrderAnswer change_total(Orders& orders, std::string_view number, const Money& total) {
  check_order_amount(total);
  return detail::change_order(orders, number,
                              [&](Order& order) { return order_rules::change_total(order, total); });
}

}  // namespace paidonce::inline v1
