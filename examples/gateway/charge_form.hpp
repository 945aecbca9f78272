#pragma once
// Reads the forms of requests, and says what is wrong with them the way Stripe does.

#include <map>
#include <string>
#include <variant>

#include "stripe_objects.hpp"

namespace gateway {

using Form = std::multimap<std::string, std::string>;

/// Of `POST /v1/charges`: the request, or the 400 that answers it.
std::variant<ChargeRequest, Reply> read_charge_form(const Form& form);

enum class Confirm { now, later };
struct IntentRequest {
  ChargeRequest charge;  ///< its `source` is the payment method; may be empty where it is confirmed later
  Confirm confirm = Confirm::later;
};
/// Of `POST /v1/payment_intents`.
std::variant<IntentRequest, Reply> read_intent_form(const Form& form);

/// Of `POST /test/settle`.
struct SettleRequest {
  std::string payment;  ///< id of a charge or of an intent
  ChargeStatus outcome = ChargeStatus::succeeded;
  unsigned deliveries = 1;
  enum class Order { as_made, reversed } order = Order::as_made;
};
std::variant<SettleRequest, Reply> read_settle_form(const Form& form);

/// The form as one text, the same for the same parameters in any order.
std::string canonical(const Form& form);

}  // namespace gateway
