#pragma once
// What the databases of orders share: how values stand in columns, and what is refused as damage.

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/money/value.hpp>
#include <paidonce/orders/order.hpp>

namespace paidonce::inline v1::detail {

[[noreturn, gnu::cold]] inline void throw_corrupt_order() {
  throw Error(errc::store_corrupt,
              "a stored order is not as this release writes it: something else has written to its tables");
}

/// "4.50" and "EUR": as many decimals as the currency has, so one of one's own reads back as well.
inline Money money_from_columns(std::string_view amount, std::string_view currency) {
  const auto dot = amount.find('.');
  const auto decimals = dot == std::string_view::npos ? 0 : amount.size() - dot - 1;
  if (decimals > static_cast<std::size_t>(Currency::max_exponent)) throw_corrupt_order();
  try {
    return Money::parse(amount, Currency(currency, static_cast<int>(decimals)));
  } catch (const MoneyError&) {
    throw_corrupt_order();
  }
}

inline OrderState order_state_from(std::int64_t number) {
  if (number < 1 || number > 6) throw_corrupt_order();
  return static_cast<OrderState>(number);
}

inline RefundState refund_state_from(std::int64_t number) {
  if (number < 1 || number > 3) throw_corrupt_order();
  return static_cast<RefundState>(number);
}

inline std::uint32_t payment_from(std::int64_t number) {
  if (number < 1 || number > UINT32_MAX) throw_corrupt_order();
  return static_cast<std::uint32_t>(number);
}

}  // namespace paidonce::inline v1::detail
