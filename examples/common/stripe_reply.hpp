#pragma once
// What a reply of Stripe's charges API proves. No I/O: replies in, reports out.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/result.hpp>

#include "charge.hpp"

namespace shop {

/// What is to be charged.
struct ChargeRequest {
  std::string order = {};
  std::int64_t amount = 0;    ///< in minor units
  std::string currency = {};  ///< "EUR"
  std::string source = {};    ///< the card's token, never its number
  std::string description = {};
  std::string provider_key = {};  ///< `Attempt::provider_key()`
};

/// Whether sending the same request later may end otherwise.
enum class TryAgain { worthwhile, useless };

struct ChargeReport {
  paidonce::PaymentResult<Charge> result;
  TryAgain try_again = TryAgain::worthwhile;
};

/// What a reply to `POST /v1/charges` says about the money. https://stripe.com/docs/api/errors
///
/// | reply                                              | report       | because | |
/// -------------------------------------------------- | ------------ | --------------------------------------
/// | | 2xx, a charge that succeeded, for what was asked   | succeeded    | | | 2xx, a charge that failed; 402
/// with a `card_error` | declined     | the bank said no                       | | 429; 400, 401, 403, 404 as
/// `invalid_request_error` | not executed | refused before anything was charged    | | anything else: 5xx,
/// 409, `idempotency_error`,      | in doubt     | the charge, or an earlier one with the | | a body that is
/// no charge, or another one's         |              | same key, may have happened            |
ChargeReport report_of(const ChargeRequest& request, int status, std::string_view body);

/// A charge in a provider's list.
struct ListedCharge {
  Charge charge = {};
  std::string provider_key = {};  ///< from its metadata
};
struct ListPage {
  std::vector<ListedCharge> charges = {};
  std::string last_id = {};  ///< what the next page starts after; empty: there is none
};

/// A page of `GET /v1/charges`. Throws `std::runtime_error` for anything else.
ListPage page_of(int status, std::string_view body);

}  // namespace shop
