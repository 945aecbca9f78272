#pragma once
// Pays an order once. See docs/orders.md for what a crash leaves at each step.

#include <paidonce/orders/order_call.hpp>

namespace paidonce::inline v1 {

namespace detail {

template <class Pay>
using pay_order_t = typename Paid<std::remove_reference_t<Pay>, Attempt&, const Order&>::R;

template <class Guard, class Orders, class Pay, class Reconcile>
Outcome<pay_order_t<Pay>> pay_order(Guard& guard, Orders& orders, std::string_view number, Pay& pay,
                                    Reconcile& reconcile, const OrderCallOptions& options) {
  static_assert(std::is_invocable_v<Pay&, Attempt&, const Order&>,
                "paidonce: the payment of an order takes (Attempt&, const Order&)");
  using R = pay_order_t<Pay>;
  check_order_number(number);
  std::optional<Order> order = orders.find(number);
  if (!order) return refused_outcome<R>(OrderCall<Guard, Orders>::unknown_order());
  const Money total = order->total;
  const std::uint32_t payment = order->payment;
  OrderCall<Guard, Orders> call(guard, orders, OrderKey::of_payment(number, payment), total,
                                *std::move(order), options);
  return run_order_call<R>(call, guard, fingerprint(number, payment, total), pay, reconcile);
}

}  // namespace detail

/// Pays the order, or says why not. `pay` is `(Attempt&, const Order&)` and returns `R` or
/// `PaymentResult<R>`, as for `IdempotencyGuard::execute`; `reconcile` is `PaymentResult<R>(const Doubt&)`,
/// as for `recover`: ask the provider about `doubt.provider_key()`, and about nothing else of the order.
///
/// | outcome        | and the order                                                                        |
/// | -------------- | ------------------------------------------------------------------------------------ |
/// | `completed`    | is `paid`; declined: `unpaid` again, and the decline is replayed until `pay_again`   |
/// | `not_executed` | is `unpaid`: no money moved; call again                                              |
/// | `in_doubt`     | stays `paying`, until it is reconciled or resolved                                   |
/// | `in_progress`  | is being paid by another call                                                        |
/// | `refused`      | is as it was: it is unknown, cancelled, or paid before (and the answer is not kept   |
/// |                | any more). Nothing was written and nothing charged                                   |
/// | `key_reused`   | has another total than this payment was begun with: see `change_total`               |
///
/// Throws `Error{invalid_options}` for a number that cannot be one, and what the guard or the repository
/// throw before anything has begun. Thread safety: as guard and repository.
///
/// The keys of the scopes `order` and `refund` belong to this module: do not use them past it.
template <class Guard, OrderRepository Orders, class Pay>
[[nodiscard]] Outcome<detail::pay_order_t<Pay>> pay_order(Guard& guard, Orders& orders,
                                                          std::string_view number, Pay&& pay,
                                                          const OrderCallOptions& options = {}) {
  detail::NoReconcile none;
  return detail::pay_order(guard, orders, number, pay, none, options);
}
template <class Guard, OrderRepository Orders, class Pay, class Reconcile>
requires(!std::is_convertible_v<Reconcile&&, const OrderCallOptions&>)
    [[nodiscard]] Outcome<detail::pay_order_t<Pay>> pay_order(Guard& guard, Orders& orders,
                                                              std::string_view number, Pay&& pay,
                                                              Reconcile&& reconcile,
                                                              const OrderCallOptions& options = {}) {
  return detail::pay_order(guard, orders, number, pay, reconcile, options);
}

}  // namespace paidonce::inline v1
