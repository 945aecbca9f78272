#include "stripe_errors.hpp"

#include <nlohmann/json.hpp>

namespace payment_server {

using paidonce::http::Problem;
using paidonce::http::ProblemKind;
using paidonce::http::Response;

Response stripe_error(const StripeError& error) {
  nlohmann::ordered_json told = {{"type", error.type}, {"message", error.message}};
  if (!error.code.empty()) told["code"] = error.code;
  if (!error.param.empty()) told["param"] = error.param;
  return {error.status,
          {{"Content-Type", "application/json"}},
          nlohmann::ordered_json{{"error", std::move(told)}}.dump(
              -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)};
}

Response stripe_problem(const Problem& problem) {
  StripeError error{problem.status, "invalid_request_error", {}, problem.detail, {}};
  std::string_view retry = "false";
  switch (problem.kind) {
    case ProblemKind::in_progress:
      error.type = "idempotency_error";
      error.code = "idempotency_key_in_use";
      retry = "true";
      break;
    case ProblemKind::key_reused:
      error.status = 400;
      error.type = "idempotency_error";
      break;
    case ProblemKind::in_doubt:
      error.type = "api_error";
      error.code = "payment_in_doubt";
      retry = "true";
      break;
    case ProblemKind::not_executed:
    case ProblemKind::store_unavailable:
      error.type = "api_error";
      retry = "true";
      break;
    case ProblemKind::internal: error.type = "api_error"; break;
    default: break;
  }
  Response response = stripe_error(error);
  response.set("Stripe-Should-Retry", retry);
  return response;
}

}  // namespace payment_server
