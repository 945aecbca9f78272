#pragma once
// How a payment ended, by the gateway's word. Pure.

#include <optional>
#include <string>
#include <string_view>

namespace payment_server {

enum class End { succeeded, failed };

/// What the gateway says of the end of one of its objects.
struct Ended {
  End end = End::succeeded;
  std::string payment_id = {};
  std::string object = {};  ///< as JSON; never more than the gateway shows of it
};

/// A charge or a payment intent, as the gateway shows it; nullopt: it has not ended, or is no such thing.
std::optional<Ended> ended_of(std::string_view object);

}  // namespace payment_server
