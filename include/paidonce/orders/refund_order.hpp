#pragma once
// Gives money back once, and never more than was paid.

#include <paidonce/orders/order_call.hpp>

namespace paidonce::inline v1 {

namespace detail {

template <class GiveBack>
using refund_order_t =
    typename Paid<std::remove_reference_t<GiveBack>, Attempt&, const Order&, const Refund&>::R;

template <class Guard, class Orders, class GiveBack, class Reconcile>
Outcome<refund_order_t<GiveBack>> refund_order(Guard& guard, Orders& orders, const OrderKey& key,
                                               const Money& amount, GiveBack& give_back, Reconcile& reconcile,
                                               const OrderCallOptions& options) {
  static_assert(std::is_invocable_v<GiveBack&, Attempt&, const Order&, const Refund&>,
                "paidonce: a refund takes (Attempt&, const Order&, const Refund&)");
  using R = refund_order_t<GiveBack>;
  check_order_number(key.number);
  check_refund_id(key.refund);
  check_order_amount(amount);
  std::optional<Order> order = orders.find(key.number);
  if (!order) return refused_outcome<R>(OrderCall<Guard, Orders>::unknown_order());
  OrderCall<Guard, Orders> call(guard, orders, key, amount, *std::move(order), options);
  const auto act = [&](Attempt& attempt, const Order& begun) -> decltype(auto) {
    const Refund* const reserved = begun.refund(key.refund);
    return give_back(attempt, begun, reserved ? *reserved : Refund{key.refund, amount});
  };
  return run_order_call<R>(call, guard, fingerprint(key.number, key.refund, amount), act, reconcile);
}

}  // namespace detail

/// Gives `amount` of an order back, or says why not. `id` names this refund among those of the order: the
/// same id is the same refund, whoever asks how often. `give_back` is `(Attempt&, const Order&, const
/// Refund&)` and returns `R` or `PaymentResult<R>`; `reconcile` is `PaymentResult<R>(const Doubt&)`.
///
/// The amount is spoken for (`RefundState::reserved`) before any money moves, in one step with the check that
/// what was given back, what is spoken for and this come to no more than was paid. It becomes free again only
/// on proof that nothing was given back: declined, not executed, or reconciled as such. In doubt it stays
/// spoken for.
///
/// Refused, with nothing written: an unknown order, one that is not paid, another currency, more than is
/// left, a refund that was done before (and whose answer is not kept any more), or one that was begun with
/// another amount. Throws `Error{invalid_options}` for a bad number or id and for an amount that is not more
/// than zero, and what guard or repository throw before anything has begun.
template <class Guard, OrderRepository Orders, class GiveBack>
[[nodiscard]] Outcome<detail::refund_order_t<GiveBack>> refund_order(Guard& guard, Orders& orders,
                                                                     std::string_view number,
                                                                     std::string_view id, const Money& amount,
                                                                     GiveBack&& give_back,
                                                                     const OrderCallOptions& options = {}) {
  detail::NoReconcile none;
  return detail::refund_order(guard, orders, OrderKey::of_refund(number, id), amount, give_back, none,
                              options);
}
template <class Guard, OrderRepository Orders, class GiveBack, class Reconcile>
requires(!std::is_convertible_v<Reconcile&&, const OrderCallOptions&>)
    [[nodiscard]] Outcome<detail::refund_order_t<GiveBack>> refund_order(
        Guard& guard, Orders& orders, std::string_view number, std::string_view id, const Money& amount,
        GiveBack&& give_back, Reconcile&& reconcile, const OrderCallOptions& options = {}) {
  return detail::refund_order(guard, orders, OrderKey::of_refund(number, id), amount, give_back, reconcile,
                              options);
}

}  // namespace paidonce::inline v1
