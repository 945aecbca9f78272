#pragma once
// The gateway that moves the money: anything that speaks Stripe's charges and payment intents.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/attempt.hpp>
#include <paidonce/http/stored_response.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>

#include "common/gateway_http.hpp"
#include "gateway_reply.hpp"
#include "payment.hpp"

namespace payment_server {

/// What the gateway's list says of a payment.
struct LookedUp {
  /// In doubt where it is not listed, where several are paid, and where one is of another amount.
  paidonce::PaymentResult<paidonce::http::Response> result;
  bool listed = false;  ///< something is, under that provider key: it is not so that nothing happened
};

/// Safe to use from any number of threads, as `common::GatewayHttp` is.
///
/// A response is what a client of this server gets, and what the store keeps: 200 and the gateway's object
/// (paid, or "processing" and "pending" where the money comes later), or 402 and its error where it was
/// declined.
class Gateway {
 public:
  /// `url` as in http://127.0.0.1:8000; throws `Error{invalid_options}` for anything else, and
  /// `std::invalid_argument` for https:// where this was built without TLS.
  Gateway(std::string_view url, const std::string& api_key, std::chrono::milliseconds timeout);

  /// Asks for the money, under `attempt.provider_key()`. Not executed only with proof.
  paidonce::PaymentResult<paidonce::http::Response> pay(paidonce::Attempt& attempt,
                                                        const Payment& payment) const {
    return ask(attempt, payment).result;
  }
  /// The same, and with it what a client may be told that the gateway has turned away.
  GatewayReport ask(paidonce::Attempt& attempt, const Payment& payment) const;

  /// What became of the payment that was asked for under that provider key: to reconcile with. In doubt where
  /// the gateway does not list it, since the request may be under way. Throws where it does not answer.
  /// What was made long before `begun` is not looked through.
  LookedUp look_up(const Sought& sought, paidonce::Timestamp begun = {}) const;

  /// The gateway's object of that id, as it answers, if it is of that tenant's payments; nullopt otherwise.
  /// Throws `std::runtime_error` where the gateway does not answer.
  std::optional<paidonce::http::Response> find(Kind kind, std::string_view id, std::string_view tenant) const;
  /// The same of anybody's.
  std::optional<paidonce::http::Response> fetch(Kind kind, std::string_view id) const;

  /// A page of the objects of that tenant, newest first, behind the one of that id: `limit` of them at most.
  /// Throws `std::runtime_error` where the gateway does not answer.
  paidonce::http::Response list(Kind kind, std::string_view tenant, std::size_t limit,
                                std::string_view starting_after) const;

 private:
  std::string get(const std::string& path) const;

  common::GatewayHttp http_;
};

/// The payment of a record, by its provider key and amount.
LookedUp look_up(const Gateway& gateway, const paidonce::IdempotencyKey& key, const paidonce::Record& record);

/// What became of the payment of a record, for whoever settles it: the call that meets it, recovery, a
/// person. Throws where the gateway does not answer.
paidonce::PaymentResult<paidonce::http::Response> ask_about(const Gateway& gateway,
                                                            const paidonce::IdempotencyKey& key,
                                                            const paidonce::Record& record);

}  // namespace payment_server
