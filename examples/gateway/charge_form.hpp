#pragma once
// Reads the form of `POST /v1/charges`, and says what is wrong with it the way Stripe does.

#include <map>
#include <string>
#include <variant>

#include "stripe_objects.hpp"

namespace gateway {

using Form = std::multimap<std::string, std::string>;

/// The request, or the 400 that answers it.
std::variant<ChargeRequest, Reply> read_charge_form(const Form& form);

/// The form as one text, the same for the same parameters in any order.
std::string canonical(const Form& form);

}  // namespace gateway
