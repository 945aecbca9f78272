#pragma once
// What a person should know of an order, as alerts. Part of the orders module.

#include <string_view>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/key.hpp>
#include <paidonce/key_digest.hpp>
#include <paidonce/recovery/alert.hpp>

namespace paidonce::inline v1::detail {

inline constexpr std::string_view order_contradicts_payment = "order_contradicts_payment";
inline constexpr std::string_view order_not_settled = "order_not_settled";

inline std::string_view order_alert_text(std::string_view rule) noexcept {
  return rule == order_contradicts_payment
             ? "money moved by a payment or refund that its order cannot account for, given up before it "
               "succeeded: a person has to look, and perhaps give it back"
             : "how a payment or refund ended is recorded, but its order could not be told: settle_orders, "
               "or "
               "the next call, does it";
}

/// Whatever the sink throws is lost.
[[gnu::cold]] inline void alert_about(const AlertSink& sink, std::string_view rule, const IdempotencyKey& key,
                                      Timestamp at) {
  if (!sink) return;
  try {
    sink({std::string(rule), Alert::Edge::raised, std::string(order_alert_text(rule)), key_digest(key), at});
  } catch (const ForcedUnwind&) {
    throw;
  } catch (...) {
  }
}

}  // namespace paidonce::inline v1::detail
