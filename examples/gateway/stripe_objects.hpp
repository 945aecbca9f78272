#pragma once
// The JSON shapes of Stripe's API (https://stripe.com/docs/api/charges, .../payment_intents, .../events,
// .../errors) as far as this gateway speaks it.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace gateway {

struct Reply {
  int status = 200;
  nlohmann::json body;
};

/// A valid request for a charge.
struct ChargeRequest {
  std::int64_t amount = 0;  ///< in minor units
  std::string currency;     ///< lower case
  std::string source;
  std::string description;
  std::map<std::string, std::string> metadata;

  std::string order() const {
    const auto found = metadata.find("order");
    return found == metadata.end() ? std::string() : found->second;
  }
};

/// A pending charge has moved no money; it is the end that does, or does not.
enum class ChargeStatus { succeeded, failed, pending };

nlohmann::json charge_object(const ChargeRequest& request, ChargeStatus status);
/// A pending charge of money that is on its way from a bank. The account says how it ends where nobody says
/// otherwise.
nlohmann::json pending_charge(const ChargeRequest& request, ChargeStatus end);
ChargeStatus end_of_account(const nlohmann::json& pending_charge);
/// The charge after its end.
nlohmann::json ended_charge(nlohmann::json pending, ChargeStatus end);

/// An intent that nobody has confirmed.
nlohmann::json intent_object(const ChargeRequest& request);
/// What may still be confirmed, as the request that it was made with.
ChargeRequest request_of(const nlohmann::json& intent);
/// The intent after that charge, with that payment method.
nlohmann::json charged_intent(nlohmann::json intent, const nlohmann::json& charge, const std::string& method);

/// Without its id, which the ledger gives.
nlohmann::json event_object(const std::string& type, const nlohmann::json& object);

nlohmann::json list_object(const std::string& url, const std::vector<nlohmann::json>& objects, bool has_more);

/// The answer to the request that caused this charge, or confirmed this intent: 200 with the object, or 402
/// with a `card_error`.
Reply answer_about(const nlohmann::json& object);

Reply error_reply(int status, const std::string& type, const std::string& code, const std::string& message,
                  const std::string& param = {});

}  // namespace gateway
