#include "charge_form.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace gateway {
namespace {

constexpr std::int64_t largest_amount = 99'999'999;  // "up to eight digits", says Stripe's reference

Reply invalid(const std::string& code, const std::string& message, const std::string& param) {
  return error_reply(400, "invalid_request_error", code, message, param);
}

bool is_utf8(const Form& form) {
  try {
    return !nlohmann::json(form).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

}  // namespace

std::variant<ChargeRequest, Reply> read_charge_form(const Form& form) {
  if (!is_utf8(form)) return invalid("", "Invalid UTF-8 in the request", "");
  for (const char* name : {"amount", "currency", "source"}) {
    const std::size_t given = form.count(name);
    if (given == 0)
      return invalid("parameter_missing", std::string("Missing required param: ") + name + ".", name);
    if (given > 1) return invalid("parameter_invalid", std::string("Param given twice: ") + name + ".", name);
  }

  ChargeRequest request;
  const std::string& amount = form.find("amount")->second;
  const auto [end, problem] = std::from_chars(amount.data(), amount.data() + amount.size(), request.amount);
  if (problem != std::errc() || end != amount.data() + amount.size() || request.amount < 1)
    return invalid("parameter_invalid_integer", "Invalid positive integer", "amount");
  if (request.amount > largest_amount)
    return invalid("amount_too_large", "Amount must be no more than 99999999 in the smallest unit", "amount");

  request.currency = form.find("currency")->second;
  std::transform(request.currency.begin(), request.currency.end(), request.currency.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const bool three_letters =
      request.currency.size() == 3 && std::all_of(request.currency.begin(), request.currency.end(),
                                                  [](char letter) { return letter >= 'a' && letter <= 'z'; });
  if (!three_letters) return invalid("", "Invalid currency: " + request.currency, "currency");

  request.source = form.find("source")->second;
  for (const auto& [name, value] : form) {
    if (name == "description") request.description = value;
    if (name.starts_with("metadata[") && name.ends_with("]"))
      request.metadata[name.substr(9, name.size() - 10)] = value;
  }
  return request;
}

std::string canonical(const Form& form) {
  nlohmann::json pairs = nlohmann::json::array();
  for (const auto& [name, value] : form) pairs.push_back({name, value});  // a multimap is ordered by name
  return pairs.dump();
}

}  // namespace gateway
