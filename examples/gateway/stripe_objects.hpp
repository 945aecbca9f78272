#pragma once
// The JSON shapes of Stripe's API (https://stripe.com/docs/api/charges, .../errors) as far as this gateway
// speaks it.

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

enum class ChargeStatus { succeeded, failed };

nlohmann::json charge_object(const ChargeRequest& request, ChargeStatus status);
nlohmann::json list_object(const std::vector<nlohmann::json>& charges, bool has_more);

/// The answer to the request that caused this charge: 200 with the charge, or 402 with a `card_error`.
Reply answer_about(const nlohmann::json& charge);

Reply error_reply(int status, const std::string& type, const std::string& code, const std::string& message,
                  const std::string& param = {});

}  // namespace gateway
