#pragma once
// Reads the forms of `POST /v1/charges` and `POST /v1/payment_intents`, and says what is wrong with them as
// Stripe does. Pure: what it says depends on the form alone.

#include <string_view>
#include <variant>

#include <paidonce/http/message.hpp>

#include "payment.hpp"

namespace payment_server {

/// The payment, or the 400 that answers. Throws `BodyMalformed` for what is no form.
std::variant<Payment, paidonce::http::Response> read_payment(Kind kind, std::string_view tenant,
                                                             std::string_view body);

}  // namespace payment_server
