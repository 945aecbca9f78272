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

/// The value of a parameter that may be there once.
std::string only(const Form& form, const std::string& name) {
  const auto found = form.find(name);
  return found == form.end() ? std::string() : found->second;
}

/// What charges and intents have in common; the source stands under that name.
std::variant<ChargeRequest, Reply> read_payment(const Form& form, const std::string& source, bool required) {
  if (!is_utf8(form)) return invalid("", "Invalid UTF-8 in the request", "");
  for (const std::string& name : {std::string("amount"), std::string("currency"), source}) {
    const std::size_t given = form.count(name);
    if (given == 0 && (required || name != source))
      return invalid("parameter_missing", "Missing required param: " + name + ".", name);
    if (given > 1) return invalid("parameter_invalid", "Param given twice: " + name + ".", name);
  }

  ChargeRequest request;
  const std::string amount = only(form, "amount");
  const auto [end, problem] = std::from_chars(amount.data(), amount.data() + amount.size(), request.amount);
  if (problem != std::errc() || end != amount.data() + amount.size() || request.amount < 1)
    return invalid("parameter_invalid_integer", "Invalid positive integer", "amount");
  if (request.amount > largest_amount)
    return invalid("amount_too_large", "Amount must be no more than 99999999 in the smallest unit", "amount");

  request.currency = only(form, "currency");
  std::transform(request.currency.begin(), request.currency.end(), request.currency.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  const bool three_letters =
      request.currency.size() == 3 && std::all_of(request.currency.begin(), request.currency.end(),
                                                  [](char letter) { return letter >= 'a' && letter <= 'z'; });
  if (!three_letters) return invalid("", "Invalid currency: " + request.currency, "currency");

  request.source = only(form, source);
  for (const auto& [name, value] : form) {
    if (name == "description") request.description = value;
    if (name.starts_with("metadata[") && name.ends_with("]"))
      request.metadata[name.substr(9, name.size() - 10)] = value;
  }
  return request;
}

}  // namespace

std::variant<ChargeRequest, Reply> read_charge_form(const Form& form) {
  return read_payment(form, "source", true);
}

std::variant<IntentRequest, Reply> read_intent_form(const Form& form) {
  IntentRequest request;
  const std::string confirm = only(form, "confirm");
  if (form.count("confirm") > 1 || (!confirm.empty() && confirm != "true" && confirm != "false"))
    return invalid("", "Invalid boolean: " + confirm, "confirm");
  if (confirm == "true") request.confirm = Confirm::now;
  auto read = read_payment(form, "payment_method", request.confirm == Confirm::now);
  if (auto* wrong = std::get_if<Reply>(&read)) return std::move(*wrong);
  request.charge = std::get<ChargeRequest>(std::move(read));
  return request;
}

std::variant<SettleRequest, Reply> read_settle_form(const Form& form) {
  SettleRequest request;
  request.payment = only(form, "payment");
  const std::string outcome = only(form, "outcome"), order = only(form, "order");
  if (outcome != "succeeded" && outcome != "failed")
    return invalid("", "The outcome is succeeded or failed", "outcome");
  if (outcome == "failed") request.outcome = ChargeStatus::failed;
  if (!order.empty() && order != "reversed")
    return invalid("", "The order is reversed, or not given", "order");
  if (order == "reversed") request.order = SettleRequest::Order::reversed;
  if (const std::string text = only(form, "deliveries"); !text.empty()) {
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), request.deliveries);
    if (problem != std::errc() || end != text.data() + text.size() || request.deliveries > 1000)
      return invalid("parameter_invalid_integer", "The deliveries are 0 to 1000", "deliveries");
  }
  return request;
}

std::string canonical(const Form& form) {
  nlohmann::json pairs = nlohmann::json::array();
  for (const auto& [name, value] : form) pairs.push_back({name, value});  // a multimap is ordered by name
  return pairs.dump();
}

}  // namespace gateway
