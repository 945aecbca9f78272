#pragma once
// A client of Stripe's charges API, careful about what it knows: see `report_of` for what a reply proves.

#include <chrono>
#include <string>
#include <string_view>

#include <paidonce/result.hpp>

#include "gateway_http.hpp"
#include "stripe_reply.hpp"

namespace shop {

/// Safe to use from any number of threads, as `common::GatewayHttp` is.
class StripeClient {
 public:
  /// `url` as in http://127.0.0.1:8000; throws `std::invalid_argument` for anything else,
  /// and for https:// where httplib was built without TLS. `timeout` is for a whole request.
  StripeClient(std::string_view url, const std::string& api_key, std::chrono::milliseconds timeout);

  /// `POST /v1/charges`. "Not executed" is reported only when no connection came about, so that nothing was
  /// sent, and for the documented refusals. A timeout, a lost connection and half a reply are in doubt. The
  /// charge carries the order and the provider key in its metadata, and the provider key is the
  /// `Idempotency-Key`.
  ChargeReport charge(const ChargeRequest& request) const;

  /// Asks `GET /v1/charges`, page by page, what became of an order: the answer to a payment in doubt. One
  /// success is a success. A failed charge says "declined" only when it was made with this provider key:
  /// others may be of an earlier payment. A charge that is not there is still in doubt, since the request may
  /// be under way; so are two successes, and one for another amount. Throws `std::runtime_error` when the
  /// provider does not answer.
  paidonce::PaymentResult<Charge> find_charge_by_order(const ChargeRequest& request) const;

 private:
  common::GatewayHttp http_;
};

}  // namespace shop
