#include "stripe_form.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include <nlohmann/json.hpp>
#include <paidonce/http/form.hpp>

#include "stripe_errors.hpp"

namespace payment_server {
namespace {

using paidonce::http::Response;

constexpr std::int64_t largest_amount = 99'999'999;  // "up to eight digits", says Stripe's reference

Response invalid(std::string_view code, std::string message, std::string param = {}) {
  return stripe_error({400, "invalid_request_error", code, std::move(message), std::move(param)});
}

bool is_utf8(const paidonce::http::Form& form) {
  try {
    return !nlohmann::json(form).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

/// Gateways take blanks off a name's ends, and may take the rest for one that this server sets itself.
bool is_plain(std::string_view name) {
  const auto is_control = [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; };
  return !name.starts_with(' ') && !name.ends_with(' ') && std::none_of(name.begin(), name.end(), is_control);
}

/// Those that say how, or for whom, Stripe is to answer, and those that this server has nothing to do with.
bool is_known(Kind kind, std::string_view name) {
  if (name.starts_with("expand[")) return true;
  if (kind == Kind::charge) return false;
  return name.starts_with("payment_method_types[") || name == "return_url" || name == "confirmation_method" ||
         name.starts_with("automatic_payment_methods[");
}

}  // namespace

std::variant<Payment, Response> read_payment(Kind kind, std::string_view tenant, std::string_view body) {
  const auto form = paidonce::http::parse_form(body);
  if (!is_utf8(form)) return invalid("", "Invalid UTF-8 in the request");
  const char* const source = kind == Kind::charge ? "source" : "payment_method";
  Payment payment;
  payment.kind = kind;
  payment.tenant = tenant;
  std::string amount, confirm = "false";
  std::set<std::string, std::less<>> given;
  for (const auto& [name, value] : form) {
    const bool listed = name.ends_with("[]");
    if (!listed && !given.insert(name).second)
      return invalid("parameter_invalid", "Parameter given twice: " + name, name);
    if (name == "amount") {
      amount = value;
    } else if (name == "currency") {
      payment.currency = value;
    } else if (name == source) {
      payment.source = value;
    } else if (name == "confirm" && kind == Kind::payment_intent) {
      confirm = value;
    } else if (name == "description") {
      if (value.size() > 500)
        return invalid("parameter_invalid", "A description has at most 500 bytes", name);
      payment.description = value;
    } else if (name.starts_with("metadata[") && name.ends_with("]") && name.size() > 10) {
      const std::string key = name.substr(9, name.size() - 10);
      if (key == "tenant" || key == "provider_key")
        return invalid("parameter_invalid", "metadata[" + key + "] is set by this server", name);
      if (key.size() > 40 || value.size() > 500 || key.find_first_of("[]") != key.npos)
        return invalid("parameter_invalid", "Metadata is up to 50 pairs of 40 and 500 bytes", name);
      if (!is_plain(key)) return invalid("parameter_invalid", "Metadata's names are plain text", "metadata");
      if (key == "order")
        payment.order = value;
      else
        payment.metadata.emplace(key, value);
      if (payment.metadata.size() > 47)
        return invalid("parameter_invalid", "Metadata is up to 50 pairs of 40 and 500 bytes", name);
    } else if (!is_known(kind, name)) {
      return invalid("parameter_unknown", "Received unknown parameter: " + name, name);
    }
  }
  for (const char* name : {"amount", "currency", source})
    if (!given.contains(name))
      return invalid("parameter_missing", std::string("Missing required param: ") + name + ".", name);
  const auto [end, problem] = std::from_chars(amount.data(), amount.data() + amount.size(), payment.amount);
  if (problem == std::errc::result_out_of_range || payment.amount > largest_amount)
    return invalid("amount_too_large", "Amount must be no more than 99999999 in the smallest unit", "amount");
  if (problem != std::errc() || end != amount.data() + amount.size() || payment.amount < 1)
    return invalid("parameter_invalid_integer", "Invalid positive integer", "amount");
  std::transform(payment.currency.begin(), payment.currency.end(), payment.currency.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  if (!is_currency(payment.currency)) return invalid("", "Invalid currency: " + payment.currency, "currency");
  if (payment.source.empty() || payment.source.size() > 255)
    return invalid("parameter_invalid_empty", std::string(source) + " names a means of payment", source);
  if (kind == Kind::payment_intent && confirm != "true")
    return invalid("parameter_invalid", "This server takes intents that are confirmed at once: confirm=true",
                   "confirm");
  return payment;
}

}  // namespace payment_server
