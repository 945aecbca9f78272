#pragma once
// How the payments and refunds of orders are named in the store of payments.
//
//   what                        scope    text
//   payment 2 of order-1001     order    order-1001/2
//   refund r-7 of order-1001    refund   order-1001/r-7
//
// The part behind the last '/' has none in it, so a text stands for one thing only.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <paidonce/key.hpp>
#include <paidonce/orders/order.hpp>

namespace paidonce::inline v1 {

inline constexpr std::string_view payment_scope = "order";
inline constexpr std::string_view refund_scope = "refund";

/// Which payment or refund of which order a key stands for.
struct OrderKey {
  enum class Of : std::uint8_t { payment, refund };
  Of of = Of::payment;
  std::string number = {};
  std::uint32_t payment = 0;  ///< of a payment
  std::string refund = {};    ///< of a refund: its id

  static OrderKey of_payment(std::string_view number, std::uint32_t payment) {
    return {Of::payment, std::string(number), payment, {}};
  }
  static OrderKey of_refund(std::string_view number, std::string_view id) {
    return {Of::refund, std::string(number), 0, std::string(id)};
  }

  /// The guard's key.
  IdempotencyKey key() const {
    std::string text = number + '/';
    text += of == Of::payment ? std::to_string(payment) : refund;
    return {of == Of::payment ? payment_scope : refund_scope, text};
  }

  /// Null for the keys of others.
  static std::optional<OrderKey> from(const IdempotencyKey& key) {
    const std::string_view text = key.text();
    const auto slash = text.rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const std::string_view number = text.substr(0, slash), last = text.substr(slash + 1);
    if (!detail::is_name(number, max_order_number)) return std::nullopt;
    if (key.scope() == refund_scope) {
      if (!detail::is_name(last, max_refund_id)) return std::nullopt;
      return of_refund(number, last);
    }
    std::uint32_t payment = 0;
    const auto read = std::from_chars(last.data(), last.data() + last.size(), payment);
    const bool plain = read.ec == std::errc() && read.ptr == last.data() + last.size() && last[0] != '0';
    if (key.scope() != payment_scope || !plain) return std::nullopt;
    return of_payment(number, payment);
  }

  friend bool operator==(const OrderKey&, const OrderKey&) = default;
};

}  // namespace paidonce::inline v1
