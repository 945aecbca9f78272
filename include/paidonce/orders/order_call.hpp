#pragma once
// What pay_order and refund_order share: one payment or refund of an order, through the guard, with the order
// moved along. Their rules are in rules.hpp; here is the order of the steps.
//
//   order → guard: look, admit, begin → order begins → money moves → guard records → order follows
//
// Over an OrderStore the two moves of the order are part of the guard's own writes, and are skipped here.

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <paidonce/attempt.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/no_reconcile.hpp>
#include <paidonce/fingerprint.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/options.hpp>
#include <paidonce/orders/order_alert.hpp>
#include <paidonce/orders/order_refused.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/rules.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/recovery/doubt.hpp>

namespace paidonce::inline v1 {

/// What one call has of its own; what is not set is as in the guard's options.
struct OrderCallOptions {
  std::optional<Duration> lease = {}, retention = {}, wait = {};
  std::string description = {};  ///< kept in the record, for people; never card data
  /// Told when the order could not be moved along after the payment (`order_not_settled`), and when money
  /// moved that the order cannot account for (`order_contradicts_payment`).
  AlertSink alert = {};
};

namespace detail {

/// Whether a store moves the orders itself, in the transactions of its writes.
template <class S>
constexpr bool moves_orders() {
  if constexpr (requires { std::remove_reference_t<S>::moves_orders; })
    return std::remove_reference_t<S>::moves_orders;
  else
    return false;
}

template <class R>
Outcome<R> refused_outcome(std::string reason) {
  OutcomeParts<R> parts;
  parts.status = Status::refused;
  parts.reason = std::move(reason);
  return Outcome<R>(std::move(parts));
}

/// Has the order follow a record, move by move.
template <class Orders>
order_rules::Followed follow_record(Orders& orders, const OrderKey& key, const Record& record) {
  using order_rules::Followed;
  for (Followed last = Followed::nothing;;) {
    const Followed before = last;
    std::optional<Order> order =
        orders.change(key.number, [&](Order& stored) { last = order_rules::follow(stored, key, record); });
    if (!order) return record.state == State::succeeded ? Followed::contradicts : Followed::nothing;
    if (last != Followed::moved) return last == Followed::contradicts ? last : before;
    if (order_rules::follow(*order, key, record) == Followed::nothing) return Followed::moved;
  }
}

/// One call, but for the type of its result.
template <class Guard, OrderRepository Orders>
class OrderCall {
  using Store = std::remove_reference_t<decltype(std::declval<Guard&>().store())>;
  static constexpr bool store_moves_it = moves_orders<Store>();

 public:
  OrderCall(Guard& guard, Orders& orders, OrderKey key, const Money& amount, Order order,
            const OrderCallOptions& options)
      : guard_(guard),
        orders_(orders),
        order_key_(std::move(key)),
        key_(order_key_.key()),
        amount_(amount),
        order_(std::move(order)),
        options_(options) {}

  const IdempotencyKey& key() const noexcept { return key_; }

  CallOptions call_options() {
    CallOptions call{options_.lease, options_.retention, options_.wait};
    call.refuse_if = [this] { return admit(); };
    call.amount = amount_.text();
    call.description = options_.description;
    return call;
  }

  /// In the callable: moves the order before any money moves. Null: go on, with `order()`.
  std::optional<std::string> begin(Attempt& attempt) {
    fence_ = attempt.fence();
    const Record begun = order_rules::detail::begun(attempt.fence(), attempt.number(), amount_);
    if constexpr (store_moves_it) {
      if (order_rules::begin(order_, order_key_, begun))  // what was read of it is out of date
        if (std::optional<Order> now = orders_.find(order_key_.number)) order_ = *std::move(now);
    } else {
      order_rules::Refusal refusal;
      std::optional<Order> order = orders_.change(order_key_.number, [&](Order& stored) {
        Order moved = stored;
        refusal = order_rules::begin(moved, order_key_, begun);
        if (!refusal) stored = std::move(moved);
      });
      if (!order) refusal = unknown_order();
      if (refusal) {
        refused_ = *refusal;
        return refusal;
      }
      order_ = *std::move(order);
    }
    began_ = true;
    return std::nullopt;
  }
  const Order& order() const noexcept { return order_; }
  /// Why `begin` refused, if it did: others were faster than what `admit` saw.
  const std::optional<std::string>& refused() const noexcept { return refused_; }

  /// After the call. What it cannot do is left to `settle_orders`, and never hides how the payment ended.
  template <class R>
  void settle(const Outcome<R>& outcome) {
    if constexpr (store_moves_it) return;
    try {
      const std::optional<Record> ended = record_of(outcome);
      if (ended && follow_record(orders_, order_key_, *ended) == order_rules::Followed::contradicts)
        alert(order_contradicts_payment);
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
      alert(order_not_settled);
    }
  }

  /// In doubt, and not by this call: whether the order proves that the attempt in doubt never came to where
  /// money moves. Then the guard is told so, and the payment may be run.
  template <class R>
  bool rule_out() {
    if constexpr (store_moves_it) return false;
    if (began_) return false;
    try {
      std::optional<Order> order = orders_.find(order_key_.number);
      if (!order || under_way(*order)) return false;
      const Outcome<R> outcome =
          guard_.template reconcile<R>(key_, [this](const Record& record) -> PaymentResult<R> {
            bool proven = false;
            orders_.change(order_key_.number, [&](Order& stored) {
              proven = order_rules::rule_out(stored, order_key_, record);
            });
            if (proven) return not_executed("its order was never begun");
            return in_doubt("its order was begun");
          });
      return outcome.status() == Status::not_executed;
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
      return false;
    }
  }

  static std::string unknown_order() { return "there is no such order"; }

 private:
  /// Under the guard's lock, when the payment is about to begin. Nothing is written, but for an order that
  /// lags behind a payment that has ended.
  std::optional<std::string> admit() {
    std::optional<Order> order = orders_.find(order_key_.number);
    if (!order) return unknown_order();
    std::optional<Record> there;
    if (under_way(*order)) {
      there = guard_.find(key_);
      if constexpr (!store_moves_it) {
        if (there && follow_record(orders_, order_key_, *there) == order_rules::Followed::moved)
          order = orders_.find(order_key_.number);
        if (!order) return unknown_order();
      }
    }
    order_ = *std::move(order);
    return order_rules::admit(order_, order_key_, amount_, there ? &*there : nullptr);
  }

  bool under_way(const Order& order) const noexcept {
    if (order_key_.of == OrderKey::Of::payment)
      return order.state == OrderState::paying && order.payment == order_key_.payment;
    const Refund* refund = order.refund(order_key_.refund);
    return refund && refund->state == RefundState::reserved;
  }

  /// What the order has to follow; null where there is nothing new.
  template <class R>
  std::optional<Record> record_of(const Outcome<R>& outcome) {
    Record ended = order_rules::detail::begun(fence_, 1, amount_);
    switch (outcome.status()) {
      case Status::completed: {
        ended.state = outcome.succeeded() ? State::succeeded : State::declined;
        if (!outcome.replayed() && began_) return ended;
        Order copy = order_;
        ended.version = UINT64_MAX;
        if (order_rules::follow(copy, order_key_, ended) == order_rules::Followed::nothing)
          return std::nullopt;
        return guard_.find(key_);
      }
      case Status::not_executed:
        if (!began_) return guard_.find(key_);
        ended.state = State::released;
        return ended;
      case Status::in_doubt: return guard_.find(key_);
      case Status::in_progress:
      case Status::key_reused:
      case Status::refused: break;
    }
    return std::nullopt;
  }

  [[gnu::cold]] void alert(std::string_view rule) {
    Timestamp now{};
    try {
      now = guard_.clock().now();
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
    }
    alert_about(options_.alert, rule, key_, now);
  }

  Guard& guard_;
  Orders& orders_;
  const OrderKey order_key_;
  const IdempotencyKey key_;
  const Money amount_;
  Order order_;  // as it was read last
  const OrderCallOptions& options_;
  Version fence_ = 0;
  bool began_ = false;
  std::optional<std::string> refused_ = {};
};

template <class R, class Guard, class Orders, class Act, class Reconcile>
Outcome<R> run_order_call(OrderCall<Guard, Orders>& call, Guard& guard, const Fingerprint& fingerprint,
                          Act& act, Reconcile& reconcile) {
  const auto pay = [&](Attempt& attempt) -> PaymentResult<R> {
    std::optional<std::string> refusal;
    try {
      refusal = call.begin(attempt);
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {  // whether it was stored is unknown; no money moved
      return not_executed("the order could not be begun: " + flow::text_of(std::current_exception()));
    }
    if (refusal) return not_executed(*std::move(refusal));
    return report_of<R>([&]() -> decltype(auto) { return act(attempt, call.order()); });
  };
  const CallOptions options = call.call_options();
  const auto execute = [&]() -> Outcome<R> {
    if constexpr (std::is_same_v<Reconcile, NoReconcile>)
      return guard.execute(call.key(), fingerprint, pay, options);
    else {
      static_assert(std::is_invocable_r_v<PaymentResult<R>, Reconcile&, const Doubt&>,
                    "paidonce: the function that asks about an order's payment or refund takes const Doubt& "
                    "and returns PaymentResult<R> with the R of the payment");
      const auto ask = [&](const Record& record) -> PaymentResult<R> {
        return reconcile(Doubt{call.key(), record, Duration(0), protocol::Holder::may_live, 1});
      };
      return guard.execute(call.key(), fingerprint, pay, ask, options);
    }
  };
  try {
    Outcome<R> outcome = execute();
    if (outcome.status() == Status::in_doubt && !outcome.evidence() && call.template rule_out<R>())
      outcome = execute();
    call.settle(outcome);
    if (outcome.status() == Status::not_executed && call.refused())
      return refused_outcome<R>(*call.refused());
    return outcome;
  } catch (const OrderRefused& refused) {
    return refused_outcome<R>(refused.reason());
  }
}

}  // namespace detail

}  // namespace paidonce::inline v1
