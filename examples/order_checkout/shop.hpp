#pragma once
// The shop: what an order goes through, over whatever database. Everything here may be repeated, by any
// process, at any time, and die at any point.

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/guard.hpp>
#include <paidonce/orders/orders.hpp>
#include <paidonce/orders/outbox_store.hpp>
#include <paidonce/provider_key.hpp>

#include "common/provider.hpp"
#include "plan.hpp"

namespace checkout {

using namespace paidonce;

/// A payment that succeeded is announced to its customer, in the transaction that says so. Its description
/// has the customer.
struct Receipts {
  std::optional<Announcement> operator()(const IdempotencyKey& key, const Record& record) const {
    const std::optional<OrderKey> of = OrderKey::from(key);
    if (!of || of->of != OrderKey::Of::payment || record.state != State::succeeded) return std::nullopt;
    return Announcement{record.description, "receipt", of->number};
  }
};

template <class Database>
class Shop {
 public:
  Shop(Database& database, const Provider& provider)
      : orders_(database.orders),
        provider_(provider),
        moving_(database.store, database.orders),
        announcing_(moving_, database.outbox, Receipts{}) {}

  /// Brings an order one step further; true once there is nothing more to be done.
  bool serve(const Wish& wish) {
    const Order order = *orders_.find(wish.order);
    switch (order.state) {
      case OrderState::cancelled:
      case OrderState::refunded: return true;
      case OrderState::unpaid:
      case OrderState::paying: return pay(wish, order) && !wish.returns_some;
      case OrderState::paid:
      case OrderState::refunding: break;
    }
    return pay(wish, order) && (!wish.returns_some || give_back(wish));
  }

 private:
  using Moving =
      OrderStore<decltype((std::declval<Database&>().store)), decltype((std::declval<Database&>().orders))>;
  using Announcing = OutboxStore<Moving&, decltype(Database::outbox), Receipts>;

  /// An impatient customer clicks twice. True: the order is paid, or given up.
  bool pay(const Wish& wish, const Order& before) {
    OrderCallOptions call;
    call.description = wish.customer;
    const auto click = [&] {
      return pay_order(
          guard_, orders_, wish.order,
          [&](Attempt& attempt, const Order& order) -> PaymentResult<std::string> {
            if (attempt.lease_lost()) return not_executed("the lease ran out before anything was sent");
            const bool bad_card = is_declined(wish, order.payment);
            return told(provider_.carry_out({bad_card ? Entry::Kind::declined : Entry::Kind::charged,
                                             std::string(attempt.provider_key()), attempt.number(),
                                             wish.order, cents(order.total)}));
          },
          call);
    };
    static_cast<void>(click());
    const Outcome<std::string> outcome = click();
    if (outcome.status() == Status::in_doubt) {
      ask(OrderKey::of_payment(wish.order, before.payment));
      return false;
    }
    if (outcome.declined()) {
      if (before.payment >= most_payments) return static_cast<bool>(cancel_order(orders_, wish.order));
      pay_again(orders_, wish.order, before.payment);  // another card; of several processes one gets there
      return false;
    }
    return outcome.succeeded();
  }

  bool give_back(const Wish& wish) {
    bool all = true;
    for (const char* const id : {"first", "second", "third"}) {
      const Outcome<std::string> outcome = refund_order(
          guard_, orders_, wish.order, id, refund_of(wish),
          [&](Attempt& attempt, const Order&, const Refund& refund) -> PaymentResult<std::string> {
            if (attempt.lease_lost()) return not_executed("the lease ran out before anything was sent");
            return told(provider_.carry_out({Entry::Kind::given_back, std::string(attempt.provider_key()),
                                             attempt.number(), wish.order, cents(refund.amount)}));
          });
      if (outcome.status() == Status::in_doubt) ask(OrderKey::of_refund(wish.order, id));
      // More than was paid is refused, and that is the end of it.
      all = all && (outcome.succeeded() || outcome.status() == Status::refused);
    }
    return all;
  }

  /// Somebody died in the middle of it: the provider knows how it went.
  void ask(const OrderKey& of) {
    const IdempotencyKey key = of.key();
    static_cast<void>(guard_.template reconcile<std::string>(key, [&](const Record& record) {
      return told(provider_.look_up(provider_key(key, record.created_at), record.attempts));
    }));
  }

  static PaymentResult<std::string> told(const Entry& answer) {
    switch (answer.kind) {
      case Entry::Kind::charged: return succeeded(std::string("charged"));
      case Entry::Kind::given_back: return succeeded(std::string("given back"));
      case Entry::Kind::declined: return declined(std::string("card declined"));
      case Entry::Kind::barred: break;
    }
    return not_executed("the provider will not carry this attempt out");
  }
  static std::int64_t cents(const Money& amount) { return static_cast<std::int64_t>(amount.minor_units()); }

  /// How long after a process died others may take over what it was doing. Short, because here they die
  /// often.
  static constexpr GuardOptions options{.lease = std::chrono::seconds(1)};

  decltype((std::declval<Database&>().orders)) orders_;
  const Provider& provider_;
  Moving moving_;
  Announcing announcing_;
  IdempotencyGuard<Announcing&> guard_{announcing_, options};
};

}  // namespace checkout
