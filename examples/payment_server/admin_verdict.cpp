#include "admin_verdict.hpp"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>
#include <paidonce/provider_key.hpp>

#include "common/amount.hpp"
#include "common/escaped.hpp"
#include "gateway_reply.hpp"

namespace payment_server {
namespace {

using nlohmann::json;
using paidonce::http::Response;

Response json_response(int status, const json& body) {
  return {status, {{"Content-Type", "application/json"}}, body.dump()};
}

/// It becomes a line of the record's history, and goes to and fro in forms: letters to be seen, in UTF-8.
void require_reason(std::string reason) {
  std::erase(reason, '\\');  // which `escaped` doubles
  if (reason.size() > 500 || common::escaped(reason) != reason)
    throw VerdictRefused("The reason is one line of text, of at most 500 bytes.");
  if (reason.find_first_not_of(' ') == std::string::npos)
    throw VerdictRefused("Say how you know: the reason stays in the payment's history.");
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

void require_id(const std::string& id) {
  const bool plain = std::all_of(id.begin(), id.end(), [](unsigned char letter) {
    return letter < 0x80 && (std::isalnum(letter) || letter == '_' || letter == '-');
  });
  if (id.empty() || id.size() > 255 || !plain)
    throw VerdictRefused("Give the gateway's id of the payment, as in ch_123 or pi_123.");
}

/// What the gateway's own object proves, as when the server itself looks the payment up.
Resolution proven(const Verdict& verdict, const paidonce::IdempotencyKey& key, const paidonce::Record& record,
                  const FetchPayment& fetch) {
  const Kind kind = *kind_of(record);
  const auto reply = fetch(kind, verdict.payment_id);
  if (!reply) throw VerdictRefused("The gateway knows no payment of that id. Nothing was recorded.");
  const std::string provider_key = paidonce::provider_key(key, record.created_at);
  const auto report = find_in_page({kind, provider_key}, "{\"data\":[" + reply->body + "]}").report;
  if (!report)
    throw VerdictRefused(
        "The gateway's object of that id does not carry this payment's provider key: it is another payment. "
        "Nothing was recorded.");
  const json object = json::parse(reply->body);
  const auto amount = common::minor_units_of(record.amount);
  if (amount && (object.value("amount", json()) != amount->units ||
                 object.value("currency", json()) != lower(amount->currency)))
    throw VerdictRefused("The gateway's object has another amount than this payment. Nothing was recorded.");
  const auto expected = verdict.says == Says::paid ? paidonce::Report::succeeded : paidonce::Report::declined;
  if (report->report() != expected)
    throw VerdictRefused("That is not what the gateway says of this payment, which is: " +
                         object.value("status", std::string()) + ". Nothing was recorded.");
  return {verdict.says == Says::paid ? paidonce::State::succeeded : paidonce::State::declined,
          *report->response_if()};
}

/// What is known without the gateway, and no more.
Resolution by_hand(const Verdict& verdict, const paidonce::Record& record) {
  if (verdict.says == Says::declined) {
    const json error = {
        {"type", "card_error"}, {"code", "card_declined"}, {"message", "The payment was declined."}};
    return {paidonce::State::declined, json_response(402, {{"error", error}})};
  }
  json object = {
      {"id", verdict.payment_id}, {"status", "succeeded"}, {"metadata", {{"recorded_by_hand", "true"}}}};
  if (*kind_of(record) == Kind::charge) {
    object["object"] = "charge";
    object["paid"] = true;
  } else {
    object["object"] = "payment_intent";
  }
  if (const auto amount = common::minor_units_of(record.amount)) {
    object["amount"] = amount->units;
    object["currency"] = lower(amount->currency);
  }
  return {paidonce::State::succeeded, json_response(200, object)};
}

}  // namespace

std::string_view to_string(Says says) {
  switch (says) {
    case Says::paid: return "paid";
    case Says::declined: return "declined";
    case Says::nothing_happened: break;
  }
  return "nothing_happened";
}

std::optional<Says> says_of(std::string_view text) {
  for (const Says says : {Says::paid, Says::declined, Says::nothing_happened})
    if (text == to_string(says)) return says;
  return std::nullopt;
}

Resolution resolution_of(const Verdict& verdict, const paidonce::IdempotencyKey& key,
                         const paidonce::Record& record, const FetchPayment& fetch) {
  require_reason(verdict.reason);
  if (verdict.says == Says::nothing_happened) return {};
  if (!kind_of(record))
    throw VerdictRefused(
        "This is no payment, but something else that was begun and did not end, such as a message of the "
        "gateway: when nothing runs any more, say that nothing happened, and it is done when it comes "
        "again.");
  if (verdict.proof == Proof::by_hand && verdict.says == Says::declined) return by_hand(verdict, record);
  require_id(verdict.payment_id);
  return verdict.proof == Proof::by_hand ? by_hand(verdict, record) : proven(verdict, key, record, fetch);
}

}  // namespace payment_server
