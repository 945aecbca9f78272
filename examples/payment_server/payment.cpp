#include "payment.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <paidonce/money/money.hpp>

namespace payment_server {
namespace {

constexpr std::string_view charge = "charge for ", intent = "payment intent for ";

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return text;
}

}  // namespace

bool is_currency(const std::string& currency) {
  const bool small =
      std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (currency.size() != 3 || !small) return false;
  try {
    return !paidonce::Money::minor(1, upper(currency)).text().empty();
  } catch (const paidonce::MoneyError&) {
    return false;
  }
}

std::string amount_text(const Payment& payment) {
  return paidonce::Money::minor(payment.amount, upper(payment.currency)).text();
}

paidonce::CallOptions call_options(const Payment& payment) {
  paidonce::CallOptions call;
  call.amount = amount_text(payment);
  call.description = std::string(payment.kind == Kind::charge ? charge : intent) + payment.tenant;
  if (!payment.order.empty()) call.description += ", order " + payment.order;
  return call;
}

std::optional<Kind> kind_of(const paidonce::Record& record) {
  if (record.description.starts_with(charge)) return Kind::charge;
  if (record.description.starts_with(intent)) return Kind::payment_intent;
  return std::nullopt;
}

}  // namespace payment_server
