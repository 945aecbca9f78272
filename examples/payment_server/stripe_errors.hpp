#pragma once
// Stripe's error objects (https://stripe.com/docs/api/errors), for what this server finds wrong itself.

#include <string>
#include <string_view>

#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>

namespace payment_server {

struct StripeError {
  int status = 400;
  std::string_view type = "invalid_request_error";
  std::string_view code = {};  ///< empty: none
  std::string message = {};
  std::string param = {};  ///< the parameter that is wrong; empty: none
};

paidonce::http::Response stripe_error(const StripeError& error);

/// What Stripe's libraries make of a problem:
///
/// | problem                                   | status | type                | Stripe-Should-Retry |
/// | ----------------------------------------- | ------ | ------------------- | ------------------- |
/// | in_progress                               |    409 | `idempotency_error` | true                |
/// | key_reused                                |    400 | `idempotency_error` | false               |
/// | in_doubt, not_executed, store_unavailable |    503 | `api_error`         | true                |
/// | internal                                  |    500 | `api_error`         | false               |
/// | all others                                |   its  | `invalid_request_error` | false           |
paidonce::http::Response stripe_problem(const paidonce::http::Problem& problem);

}  // namespace payment_server
