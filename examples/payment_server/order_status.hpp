#pragma once
// What a customer may be told about an order, from what the store knows. Pure.

#include <optional>
#include <string>
#include <string_view>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

namespace payment_server {

enum class OrderStatus {
  unpaid,         ///< nothing was begun, or it is proven that nothing happened
  paying,         ///< the gateway is being asked right now
  awaiting_bank,  ///< taken on; the money comes, or does not, later: "processing"
  paid,
  declined,
  being_verified,  ///< nobody knows; it is being found out, and must not be paid again
};

struct OrderView {
  OrderStatus status = OrderStatus::unpaid;
  std::string payment_id = {};  ///< the gateway's; empty while it is not known
  std::string message = {};     ///< why it was declined, in the gateway's words for customers; else empty
};

/// The gateway's object or error in a stored response's body; the id is empty where it has none.
struct StoredPayment {
  std::string id = {};
  std::string status = {};  ///< "succeeded", "processing", "failed", ...
  std::string message = {};
};
StoredPayment stored_payment(const paidonce::Record& record);

/// Under which a webhook records how a payment ended that was "processing" when it was answered.
paidonce::IdempotencyKey settlement_key(std::string_view payment_id);

/// `payment` is the record of the request that was made for the order; `settlement` that of
/// `settlement_key(stored_payment(*payment).id)`, where it was looked for.
OrderView order_view(const std::optional<paidonce::Record>& payment,
                     const std::optional<paidonce::Record>& settlement);

}  // namespace payment_server
