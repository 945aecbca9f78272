#pragma once
// What may happen to an order, decided without I/O, clock or lock. pay_order, refund_order, OrderStore and
// settle_orders all drive these functions and no others.
//
// An order goes by the record of its payment (or refund) in the store of payments. It remembers the version
// of the record that it went by last (`followed`); versions of a record rise strictly, so an old answer that
// comes late is known by its version, and moves nothing.
//
// | the record           | a payment's order                   | a refund of the order                        |
// | -------------------- | ----------------------------------- | -------------------------------------------- |
// | begins               | unpaid → paying                     | new, released → reserved (order → refunding) |
// | in progress, doubt   | stays paying                        | stays reserved                               |
// | succeeded            | paying → paid                       | reserved → done (order → paid or refunded)   |
// | declined, released   | paying → unpaid                     | reserved → released (order → paid)           |
//
// `declined` and `released` are proof that no money moved. Nothing else takes an order back.

#include <cstdint>
#include <optional>
#include <string>

#include <paidonce/money/codec.hpp>
#include <paidonce/orders/order.hpp>
#include <paidonce/orders/order_key.hpp>
#include <paidonce/record.hpp>

namespace paidonce::inline v1::order_rules {

/// Why something may not begin; null where it may.
using Refusal = std::optional<std::string>;

/// What following a record did to an order.
enum class Followed : std::uint8_t {
  nothing,      ///< the order is as the record says, or the record says nothing new
  moved,        ///< one move was made; ask again, there may be another
  contradicts,  ///< money moved, by this record, that the order cannot account for: a person has to look
};

namespace detail {

/// A begin's record as far as the rules look at it, for whoever has an attempt and no record.
inline Record begun(Version fence, std::uint32_t attempt, const Money& amount) {
  Record record;
  record.state = State::in_progress;
  record.version = fence;
  record.attempts = attempt;
  record.amount = amount.text();
  return record;
}

inline std::optional<Money> amount_of(const Record& record) {
  try {
    return Codec<Money>::decode(record.amount);
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// The state that follows from the refunds of an order that is `refunding`.
inline void after_refund(Order& order) {
  if (order.sum(RefundState::reserved).minor_units() > 0) return;
  if (order.sum(RefundState::done) == order.total)
    OrderMoves::move<OrderState::refunding, OrderState::refunded>(order.state);
  else
    OrderMoves::move<OrderState::refunding, OrderState::paid>(order.state);
}

/// Whether an attempt at something that has begun already may take it over: it is that very attempt, or a
/// later one of the same record, which the guard let begin only over a release or on its owner's promise.
inline bool takes_over(const Record& begun, Version followed) noexcept {
  return begun.version == followed || (begun.attempts > 1 && begun.version > followed);
}

inline Refusal begin_payment(Order& order, std::uint32_t payment, const Record& begun) {
  switch (order.state) {
    case OrderState::cancelled: return "the order is cancelled";
    case OrderState::paid: return "the order is paid already";
    case OrderState::refunding: return "the order was paid, and is being refunded";
    case OrderState::refunded: return "the order was paid, and is refunded";
    case OrderState::unpaid:
    case OrderState::paying: break;
  }
  if (order.payment != payment) return "another payment of this order was started meanwhile";
  // None where the payment was begun by execute_in_transaction, which takes no amount.
  if (!begun.amount.empty() && begun.amount != order.total.text()) return "the order's total is another one";
  if (order.state == OrderState::paying) {
    if (!takes_over(begun, order.followed))
      return "the order is being paid, and how that payment ended is not known";
  } else {
    if (begun.version <= order.followed)
      return "a later attempt at this payment has ended; a clock went back, or this one comes late";
    OrderMoves::move<OrderState::unpaid, OrderState::paying>(order.state);
  }
  order.followed = begun.version;
  return std::nullopt;
}

inline Refusal begin_refund(Order& order, const std::string& id, const Record& begun) {
  const bool was_paid = order.state == OrderState::paid || order.state == OrderState::refunding ||
                        order.state == OrderState::refunded;
  if (!was_paid) return "the order is not paid";
  const std::optional<Money> said = amount_of(begun);
  if (!said) return "the refund's record says no amount: begin refunds by refund_order";
  const Money& amount = *said;
  if (amount.currency() != order.total.currency()) return "the order was paid in another currency";
  Refund* const there = order.refund(id);
  if (there && !paidonce::detail::same_money(there->amount, amount))
    return "this refund was begun with another amount";
  if (there && there->state == RefundState::done) return "this refund is done already";
  if (there && there->state == RefundState::reserved) {
    if (!takes_over(begun, there->followed)) return "this refund is under way, and how it ended is not known";
    there->followed = begun.version;
    return std::nullopt;
  }
  if (amount > order.refundable())
    return order.refundable().minor_units() > 0 ? "more than what is left to be refunded"
                                                : "nothing is left to be refunded";
  if (there) {
    if (begun.version <= there->followed)
      return "a later attempt at this refund has ended; a clock went back, or this one comes late";
    RefundMoves::move<RefundState::released, RefundState::reserved>(there->state);
    there->followed = begun.version;
  } else {
    order.refunds.push_back({id, amount, RefundState::reserved, begun.version});
  }
  if (order.state == OrderState::paid) OrderMoves::move<OrderState::paid, OrderState::refunding>(order.state);
  return std::nullopt;
}

inline Followed follow_payment(Order& order, std::uint32_t payment, const Record& record) {
  const bool its_own = order.payment == payment;
  if (record.state == State::succeeded) {
    if (!its_own || order.state == OrderState::cancelled) return Followed::contradicts;
    if (order.state == OrderState::unpaid)  // given up for released, and succeeded late
      OrderMoves::move<OrderState::unpaid, OrderState::paying>(order.state);
    else if (order.state == OrderState::paying)
      OrderMoves::move<OrderState::paying, OrderState::paid>(order.state);
    else
      return Followed::nothing;
  } else {
    const bool nothing_happened = record.state == State::declined || record.state == State::released;
    if (!its_own || !nothing_happened || order.state != OrderState::paying || record.version < order.followed)
      return Followed::nothing;
    OrderMoves::move<OrderState::paying, OrderState::unpaid>(order.state);
  }
  if (record.version > order.followed) order.followed = record.version;
  return Followed::moved;
}

inline Followed follow_refund(Order& order, const std::string& id, const Record& record) {
  Refund* const there = order.refund(id);
  if (record.state == State::succeeded) {
    if (there && there->state == RefundState::done) return Followed::nothing;
    if (!there || there->state == RefundState::released) {  // given up for released, and succeeded late
      Record again = record;
      if (there && again.version <= there->followed) again.version = there->followed + 1;
      return begin_refund(order, id, again) ? Followed::contradicts : Followed::moved;
    }
    RefundMoves::move<RefundState::reserved, RefundState::done>(there->state);
  } else {
    const bool nothing_happened = record.state == State::declined || record.state == State::released;
    if (!there || !nothing_happened || there->state != RefundState::reserved ||
        record.version < there->followed)
      return Followed::nothing;
    RefundMoves::move<RefundState::reserved, RefundState::released>(there->state);
  }
  if (record.version > there->followed) there->followed = record.version;
  after_refund(order);
  return Followed::moved;
}

}  // namespace detail

/// `begun` is the record of an attempt that begins, and no money moves before this has been asked. Moves the
/// order, or says why not and changes nothing. Asked again for the same attempt it changes nothing more.
inline Refusal begin(Order& order, const OrderKey& key, const Record& begun) {
  if (key.of == OrderKey::Of::payment) return detail::begin_payment(order, key.payment, begun);
  return detail::begin_refund(order, key.refund, begun);
}

/// `record` is what the store has under the key. Makes at most one move.
inline Followed follow(Order& order, const OrderKey& key, const Record& record) {
  if (key.of == OrderKey::Of::payment) return detail::follow_payment(order, key.payment, record);
  return detail::follow_refund(order, key.refund, record);
}

/// Whether an attempt could begin, before anything is written: `there` is the record under the key, null
/// where there is none. A payment or refund that is under way is the guard's to decide about, and so let
/// through.
inline Refusal admit(Order order, const OrderKey& key, const Money& amount, const Record* there) {
  if (there)
    while (follow(order, key, *there) == Followed::moved) {
    }
  Record next = detail::begun(UINT64_MAX, 1, amount);
  const bool under_way = there && (there->state == State::in_progress || there->state == State::in_doubt ||
                                   there->state == State::released);
  if (under_way) next.attempts = there->attempts + 1;
  return begin(order, key, next);
}

/// Whether the order proves that the attempt in `record` never came to where money moves, although its record
/// says that it began: then it moves the order on, so that this attempt can never come there. To be asked
/// where the order is begun after the record (pay_order without OrderStore).
inline bool rule_out(Order& order, const OrderKey& key, const Record& record) {
  if (key.of == OrderKey::Of::payment) {
    if (order.payment != key.payment || order.state == OrderState::cancelled) return true;
    if (order.state != OrderState::unpaid) return false;
    if (record.version > order.followed) order.followed = record.version;
    return true;
  }
  Refund* there = order.refund(key.refund);
  if (there && there->state != RefundState::released) return false;
  if (!there) {
    const std::optional<Money> amount = detail::amount_of(record);
    if (!amount || amount->currency() != order.total.currency()) return false;
    order.refunds.push_back({key.refund, *amount, RefundState::released, record.version});
    return true;
  }
  if (record.version > there->followed) there->followed = record.version;
  return true;
}

/// No payment can be begun any more. Only for an order that is unpaid.
inline Refusal cancel(Order& order) {
  if (order.state == OrderState::cancelled) return std::nullopt;
  if (order.state == OrderState::paying) return "the order is being paid";
  if (order.state != OrderState::unpaid) return "the order was paid";
  OrderMoves::move<OrderState::unpaid, OrderState::cancelled>(order.state);
  return std::nullopt;
}

/// After a decline: the next payment of the order, by another card perhaps. `payment` is the one that was
/// declined: of several callers one starts the next.
inline Refusal pay_again(Order& order, std::uint32_t payment) {
  if (order.state == OrderState::cancelled) return "the order is cancelled";
  if (order.state == OrderState::paying) return "the order is being paid";
  if (order.state != OrderState::unpaid) return "the order was paid";
  if (order.payment != payment) return "the next payment was started already";
  if (payment == UINT32_MAX) return "the order has had all the payments that can be counted";
  ++order.payment;
  order.followed = 0;
  return std::nullopt;
}

/// Another total for an order that is unpaid. It gets a new payment: a request for the old total then neither
/// pays nor is told that it did.
inline Refusal change_total(Order& order, const Money& total) {
  if (paidonce::detail::same_money(order.total, total)) return std::nullopt;
  if (Refusal refusal = pay_again(order, order.payment)) return refusal;
  order.total = total;
  return std::nullopt;
}

}  // namespace paidonce::inline v1::order_rules
