#pragma once
// An order and its refunds: a plain value, and what must always be true of it. Needs paidonce::money.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/money/value.hpp>
#include <paidonce/orders/order_state.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// Money on its way back, or given back.
struct Refund {
  std::string id;  ///< unique within its order; the caller's
  Money amount;
  RefundState state = RefundState::reserved;
  Version followed = 0;  ///< version of the refund's record that `state` goes by
};

/// Regular, and without secrets: no card data, no customer. What else belongs to an order is the
/// application's, in tables of its own. Thread safety: that of a string.
struct Order {
  std::string number;  ///< unique; the caller's
  Money total;
  OrderState state = OrderState::unpaid;
  std::uint32_t payment = 1;  ///< which payment this is: after a decline another one may be started
  Version followed = 0;       ///< version of the payment's record that `state` goes by; 0: none yet
  std::vector<Refund> refunds = {};
  Version version = 0;  ///< grows with every change; the repository's own

  const Refund* refund(std::string_view id) const noexcept {
    for (const Refund& each : refunds)
      if (each.id == id) return &each;
    return nullptr;
  }
  Refund* refund(std::string_view id) noexcept {
    return const_cast<Refund*>(std::as_const(*this).refund(id));
  }

  /// What the refunds in this state come to.
  Money sum(RefundState of) const {
    Money sum = Money::minor(0, total.currency());
    for (const Refund& each : refunds)
      if (each.state == of) sum += each.amount;
    return sum;
  }
  /// What may still be given back: the total without what was given back and what is spoken for. Nothing of
  /// an order that is not paid.
  Money refundable() const {
    if (state != OrderState::paid && state != OrderState::refunding) return Money::minor(0, total.currency());
    return total - sum(RefundState::done) - sum(RefundState::reserved);
  }
};

namespace detail {

inline bool same_money(const Money& a, const Money& b) noexcept {
  return a.currency() == b.currency() && a.minor_units() == b.minor_units();
}

inline void require_order(bool holds, const char* otherwise) {
  if (!holds) throw Error(errc::invalid_options, otherwise);
}

/// Printable ASCII without blanks, so that it is a text in every database and a part of a key.
inline bool is_name(std::string_view text, std::size_t longest) noexcept {
  return !text.empty() && text.size() <= longest &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

}  // namespace detail

inline bool operator==(const Refund& a, const Refund& b) noexcept {
  return a.id == b.id && a.state == b.state && a.followed == b.followed &&
         detail::same_money(a.amount, b.amount);
}
inline bool operator==(const Order& a, const Order& b) noexcept {
  return a.number == b.number && a.state == b.state && a.payment == b.payment && a.followed == b.followed &&
         a.version == b.version && detail::same_money(a.total, b.total) && a.refunds == b.refunds;
}

inline constexpr std::size_t max_order_number = 128;  ///< bytes
inline constexpr std::size_t max_refund_id = 64;      ///< bytes

/// Throws `Error{invalid_options}` unless it has 1..128 printable ASCII characters, blanks not among them.
/// The error does not repeat it.
inline void check_order_number(std::string_view number) {
  detail::require_order(
      detail::is_name(number, max_order_number),
      "an order number has 1 to 128 printable ASCII characters and no blanks; use a digest for others");
}

/// Throws `Error{invalid_options}` unless it has 1..64 printable ASCII characters, blanks and '/' not among
/// them. The error does not repeat it.
inline void check_refund_id(std::string_view id) {
  detail::require_order(
      detail::is_name(id, max_refund_id) && id.find('/') == std::string_view::npos,
      "a refund's id has 1 to 64 printable ASCII characters and neither blanks nor '/' among them");
}

/// Throws `Error{invalid_options}` unless the amount is greater than zero.
inline void check_order_amount(const Money& amount) {
  detail::require_order(amount.minor_units() > 0, "an order's total, and a refund, is more than zero");
}

/// An order to be inserted. Throws `Error{invalid_options}` for a bad number and for a total that is not more
/// than zero.
inline Order make_order(std::string number, Money total) {
  check_order_number(number);
  check_order_amount(total);
  return {.number = std::move(number), .total = std::move(total)};
}

/// What holds for every order, whoever changed it. Throws `Error{wrong_state}`; repositories call it before
/// they store anything.
///
/// - Its number and amounts are as `make_order` and `check_refund_id` want them; refunds have ids of their
///   own.
/// - What was given back and what is spoken for is in the order's currency and never exceeds its total.
/// - It is `refunding` exactly while a refund is reserved, and `refunded` exactly when all was given back.
/// - Nothing is given back of what is not paid.
inline void check_order(const Order& order) {
  check_order_number(order.number);
  check_order_amount(order.total);
  const auto require = [](bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::wrong_state, otherwise);
  };
  require(order.payment > 0, "an order's payments are counted from 1");
  for (std::size_t i = 0; i < order.refunds.size(); ++i) {
    const Refund& each = order.refunds[i];
    check_refund_id(each.id);
    check_order_amount(each.amount);
    require(each.amount.currency() == order.total.currency(), "a refund is in the order's currency");
    for (std::size_t j = 0; j < i; ++j)
      require(order.refunds[j].id != each.id, "two refunds of an order have different ids");
  }
  const Money done = order.sum(RefundState::done), reserved = order.sum(RefundState::reserved);
  const bool was_paid = order.state == OrderState::paid || order.state == OrderState::refunding ||
                        order.state == OrderState::refunded;
  require(was_paid || (done + reserved).minor_units() == 0, "nothing is given back of what is not paid");
  require(done + reserved <= order.total, "a refund never exceeds what was paid");
  require((order.state == OrderState::refunding) == (reserved.minor_units() > 0),
          "an order is refunding exactly while a refund is under way");
  require((order.state == OrderState::refunded) == (done == order.total),
          "an order is refunded exactly when all of it was given back");
}

/// What holds for every change of an order. Throws `Error{wrong_state}`; repositories call it before they
/// store `after` over `before`.
///
/// - `after` is an order as `check_order` wants it, and its state is reached by a move of `OrderMoves`.
/// - Its number stays. Its total changes only while it is unpaid, and then its payment has a new number.
/// - Payments are counted up, and only while it is unpaid.
/// - Refunds are never forgotten, keep their amount, and move by `RefundMoves`.
inline void check_change(const Order& before, const Order& after) {
  check_order(after);
  const auto require = [](bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::wrong_state, otherwise);
  };
  OrderMoves::require(before.state, after.state);
  require(before.number == after.number, "an order keeps its number");
  const bool stays_unpaid = before.state == OrderState::unpaid && after.state == OrderState::unpaid;
  require(after.payment == before.payment || (stays_unpaid && after.payment > before.payment),
          "another payment is started only while an order is unpaid");
  require(after.payment > before.payment || detail::same_money(before.total, after.total),
          "an order's total changes only while it is unpaid, together with the number of its payment");
  for (const Refund& each : before.refunds) {
    const Refund* kept = after.refund(each.id);
    require(kept && detail::same_money(kept->amount, each.amount), "a refund is kept, and keeps its amount");
    RefundMoves::require(each.state, kept->state);
  }
}

}  // namespace paidonce::inline v1
