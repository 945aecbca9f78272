#pragma once
// What is to be paid, in the words of the gateway's API, which is Stripe's.

#include <cstdint>
#include <map>
#include <string>

namespace payment_server {

enum class Kind { charge, payment_intent };

/// A request that has been checked.
struct Payment {
  Kind kind = Kind::charge;
  std::string tenant = {};    ///< whose account takes the money
  std::string order = {};     ///< what the tenant calls it; may be empty
  std::int64_t amount = 0;    ///< in minor units
  std::string currency = {};  ///< "eur"
  std::string source = {};    ///< the token of a card, or of another means; never a card's number
  std::string description = {};
  std::map<std::string, std::string> metadata = {};  ///< the tenant's own
};

/// "4.50 EUR", for records, surveys and people.
std::string amount_text(const Payment& payment);

}  // namespace payment_server
