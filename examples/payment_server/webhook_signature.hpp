#pragma once
// Whether a webhook is the gateway's: its signature over the body as it came, in Stripe's scheme
// (https://stripe.com/docs/webhooks/signatures). Pure.

#include <chrono>
#include <string_view>

#include <paidonce/time.hpp>

namespace payment_server {

enum class Signature {
  valid,
  malformed,  ///< no time in it, or no `v1`
  wrong,      ///< made over other bytes, or with another secret
  old,        ///< or from the future: somebody may have kept it
};

/// How far the gateway's clock and this host's may be apart, with the time on the way. Long enough for bad
/// clocks, and short enough that a webhook which was read on its way is of little use. Every delivery is
/// signed anew, so a late one is not an old one.
inline constexpr std::chrono::minutes signature_tolerance{5};

/// `header` is `t=1700000000,v1=<hex>,v1=<hex>`: one of the signatures must fit, since a provider that
/// changes its secret signs with both for a while. What else is in it, as `v0`, counts for nothing. The time
/// that it takes does not tell how much of a signature was right.
Signature check_signature(std::string_view header, std::string_view body, std::string_view secret,
                          paidonce::Timestamp now);

}  // namespace payment_server
