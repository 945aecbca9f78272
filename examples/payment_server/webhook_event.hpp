#pragma once
// What an event of the gateway says (https://stripe.com/docs/api/events). Pure.

#include <optional>
#include <string>
#include <string_view>

#include <paidonce/fingerprint.hpp>

#include "ended.hpp"

namespace payment_server {

struct Event {
  std::string id;
  std::string type;
  std::optional<Ended> ended;  ///< none: of a type that ends no payment
  /// Of the body in its canonical form, without `pending_webhooks`, which counts down between deliveries.
  paidonce::Fingerprint fingerprint;
};

/// Of the bytes that were signed; nullopt for what is no event, or one of an end that its object does not
/// show.
std::optional<Event> read_event(std::string_view body);

}  // namespace payment_server
