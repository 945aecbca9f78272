#pragma once
// What is to be paid, in the words of the gateway's API, which is Stripe's.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <paidonce/options.hpp>
#include <paidonce/record.hpp>

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

/// Whether amounts in it can be written: the three letters that ISO 4217 knows, in small letters.
bool is_currency(const std::string& currency);

/// "4.50 EUR", for records, surveys and people.
std::string amount_text(const Payment& payment);

/// What the record of a payment is to say. Whoever pays gives these to the guard: it is by them that
/// recovery, and the person on the admin page, know what to ask the gateway for.
paidonce::CallOptions call_options(const Payment& payment);

/// Of a record that was made with `call_options`; nullopt for all others, which are no payments at the
/// gateway.
std::optional<Kind> kind_of(const paidonce::Record& record);

}  // namespace payment_server
