#pragma once
// Repairs what a crash left between a payment's record and its order, where the two are not in one database.

#include <cstddef>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/flow/terms.hpp>
#include <paidonce/orders/order_call.hpp>
#include <paidonce/recovery/doubt.hpp>

namespace paidonce::inline v1 {

struct SettleOrdersOptions {
  std::size_t batch = 100;  ///< orders read at a time
  AlertSink alert = {};     ///< `order_contradicts_payment`
};

/// What one pass met. Orders are counted, but for `settled` and below, which count payments and refunds.
struct SettleOrdersReport {
  std::size_t seen = 0;       ///< orders that were paying or refunding
  std::size_t settled = 0;    ///< their order was moved along
  std::size_t under_way = 0;  ///< in progress or in doubt: recovery's work, see recover.hpp
  std::size_t missing = 0;    ///< no record: another store, or swept before this pass came; a person looks
  std::size_t contradictions = 0;  ///< money moved that the order cannot account for
  std::size_t failed = 0;          ///< store or repository threw; another pass comes to it
  std::string failure = {};        ///< what the last of them said
};

namespace detail {

template <class Payments, class Orders>
void settle_one(Payments& payments, Orders& orders, const OrderKey& of, const SettleOrdersOptions& options,
                SettleOrdersReport& report) {
  using order_rules::Followed;
  try {
    const IdempotencyKey key = of.key();
    const std::optional<Record> record = payments.find(key);
    if (!record) {
      ++report.missing;
    } else if (record->state == State::in_progress || record->state == State::in_doubt) {
      ++report.under_way;
    } else {
      const Followed followed = follow_record(orders, of, *record);
      if (followed == Followed::moved) ++report.settled;
      if (followed == Followed::contradicts) {
        ++report.contradictions;
        alert_about(options.alert, order_contradicts_payment, key, SystemClock().now());
      }
    }
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
    ++report.failed;
    report.failure = flow::text_of(std::current_exception());
  }
}

}  // namespace detail

/// Has every order that is `paying` or `refunding` follow the record of its payment or refund. `payments` is
/// the guard, or its store. Asks no provider and pays nothing; what is in doubt stays so. May run beside
/// payments and beside other passes; a crash in its middle changes nothing that the next pass does not find.
/// Run it after a restart and then, at the longest, every half of the guard's retention: a record that was
/// swept cannot tell any more how its payment ended (`missing`).
///
/// Throws what `orders.open` throws, and `Error{invalid_options}` for a batch of zero.
template <class Payments, ListableOrders Orders>
SettleOrdersReport settle_orders(Payments& payments, Orders& orders,
                                 const SettleOrdersOptions& options = {}) {
  if (options.batch == 0)
    throw Error(errc::invalid_options, "settle_orders reads at least one order at a time: batch is zero");
  SettleOrdersReport report;
  std::string after;
  for (std::vector<Order> page; !(page = orders.open(after, options.batch)).empty();
       after = page.back().number) {
    for (const Order& order : page) {
      ++report.seen;
      if (order.state == OrderState::paying)
        detail::settle_one(payments, orders, OrderKey::of_payment(order.number, order.payment), options,
                           report);
      for (const Refund& refund : order.refunds)
        if (refund.state == RefundState::reserved)
          detail::settle_one(payments, orders, OrderKey::of_refund(order.number, refund.id), options, report);
    }
  }
  return report;
}

/// For recovery without OrderStore: a function that looks at the order before it asks the provider. An
/// attempt whose record was begun but whose order never was has not come to where money moves, and its order
/// is changed so that it never will: that is proof. `ask` is as for `recover`.
///
///     recover(guard, order_first(orders, ask));
///     settle_orders(guard, orders);
template <OrderRepository Orders, class Ask>
auto order_first(Orders& orders, Ask ask) {
  return
      [&orders, ask = std::move(ask)](const Doubt& doubt) -> std::invoke_result_t<const Ask&, const Doubt&> {
        if (const std::optional<OrderKey> of = OrderKey::from(doubt.key)) {
          bool proven = false;
          orders.change(of->number,
                        [&](Order& order) { proven = order_rules::rule_out(order, *of, doubt.record); });
          if (proven) return not_executed("its order was never begun");
        }
        return ask(doubt);
      };
}

}  // namespace paidonce::inline v1
