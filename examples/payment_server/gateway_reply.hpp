#pragma once
// What a reply of the gateway proves about the money. No I/O: replies in, reports out.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/http/stored_response.hpp>
#include <paidonce/result.hpp>

#include "payment.hpp"

namespace payment_server {

struct GatewayReport {
  paidonce::PaymentResult<paidonce::http::Response> result;
  /// Where it was turned away for what the client sent, or for how often: what the gateway said. Nothing
  /// happened; it is not for the store.
  std::optional<paidonce::http::Response> refusal = {};
};

/// Of the reply to `POST /v1/charges` or `POST /v1/payment_intents`. https://stripe.com/docs/api/errors
///
/// | reply                                             | report       | because                                  |
/// | ------------------------------------------------- | ------------ | ---------------------------------------- |
/// | 2xx, an object for what was asked, that is paid,  | succeeded    | it was taken on; how it ends later comes |
/// |   processing, pending, or waits for its customer  |              |   by a webhook                           |
/// | 2xx, an object that failed; 402 `card_error`      | declined     | the bank said no                         |
/// | 429; 400, 404 `invalid_request_error`             | not executed | refused before anything was charged; the |
/// |                                                   |              |   client is told                         |
/// | 401, 403                                          | not executed | this server's own key is not good        |
/// | anything else: 5xx, 409, another one's object     | in doubt     | it may have happened                     |
GatewayReport report_of(const Payment& payment, std::string_view provider_key, int status,
                        std::string_view body);

/// What a payment that the gateway lists has to be, to be the one that is looked for.
struct Sought {
  Kind kind = Kind::charge;
  std::string provider_key = {};
  std::int64_t amount = 0;    ///< in minor units; 0: not known, and anything will do
  std::string currency = {};  ///< "eur"; as with the amount
};

/// A page of a list of the gateway's.
struct FoundInPage {
  /// Of the objects with that provider key: the first that is paid or taken on, else the first that failed.
  std::optional<paidonce::PaymentResult<paidonce::http::Response>> report = {};
  bool several_paid = false;
  bool of_another_amount = false;  ///< one of them is: somebody has to look
  std::string last_id = {};        ///< what the next page starts after; empty: there is none
  std::int64_t last_created = 0;
};
/// Throws `std::runtime_error` for what is no such page.
FoundInPage find_in_page(const Sought& sought, std::string_view body);

/// Whether `metadata[tenant]` of an object is that tenant. False for what is no object.
bool is_of_tenant(std::string_view body, std::string_view tenant);

/// The objects of a page that are that tenant's, each as JSON with its id; throws as `find_in_page` does.
struct TenantPage {
  std::vector<std::string> objects = {};
  std::string last_id = {};
};
TenantPage of_tenant(std::string_view body, std::string_view tenant);

}  // namespace payment_server
