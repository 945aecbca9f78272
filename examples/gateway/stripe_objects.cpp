#include "stripe_objects.hpp"

#include <ctime>

namespace gateway {
namespace {

using nlohmann::json;

/// What a charge says differently once it is known whether the money came.
void set_end(json& charge, ChargeStatus status, const char* code, const char* message, const char* reason) {
  const bool paid = status == ChargeStatus::succeeded;
  charge["amount_captured"] = paid ? charge.at("amount") : json(0);
  charge["captured"] = paid;
  charge["failure_code"] = paid ? json() : json(code);
  charge["failure_message"] = paid ? json() : json(message);
  charge["paid"] = paid;
  charge["status"] = paid ? "succeeded" : "failed";
  charge["outcome"] = {{"network_status", paid ? "approved_by_network" : "declined_by_network"},
                       {"reason", paid ? json() : json(reason)},
                       {"type", paid ? "authorized" : "issuer_declined"}};
}

json bank_account(const char* last4) {
  return {{"object", "bank_account"}, {"bank_name", "TEST BANK"}, {"last4", last4}};
}

constexpr const char* account_that_pays = "6789";
constexpr const char* account_that_does_not = "1116";

}  // namespace

json charge_object(const ChargeRequest& request, ChargeStatus status) {
  json charge = {
      {"object", "charge"},
      {"amount", request.amount},
      {"amount_captured", 0},
      {"amount_refunded", 0},
      {"captured", false},
      {"created", std::time(nullptr)},
      {"currency", request.currency},
      {"description", request.description.empty() ? json() : json(request.description)},
      {"failure_code", json()},
      {"failure_message", json()},
      {"livemode", false},
      {"metadata", request.metadata},
      {"outcome", json()},
      {"paid", false},
      {"refunded", false},
      {"status", "pending"},
  };
  if (status == ChargeStatus::pending) return charge;
  set_end(charge, status, "card_declined", "Your card was declined.", "generic_decline");
  const bool paid = status == ChargeStatus::succeeded;
  charge["source"] = {{"object", "card"}, {"brand", "Visa"}, {"last4", paid ? "4242" : "0002"}};
  return charge;
}

json pending_charge(const ChargeRequest& request, ChargeStatus end) {
  json charge = charge_object(request, ChargeStatus::pending);
  charge["source"] = bank_account(end == ChargeStatus::succeeded ? account_that_pays : account_that_does_not);
  return charge;
}

ChargeStatus end_of_account(const json& pending_charge) {
  return pending_charge.at("source").at("last4") == account_that_does_not ? ChargeStatus::failed
                                                                          : ChargeStatus::succeeded;
}

json ended_charge(json pending, ChargeStatus end) {
  set_end(pending, end, "insufficient_funds",
          "The bank account has insufficient funds to complete the purchase.", "insufficient_funds");
  return pending;
}

json intent_object(const ChargeRequest& request) {
  const bool has_method = !request.source.empty();
  return {
      {"object", "payment_intent"},
      {"amount", request.amount},
      {"amount_capturable", 0},
      {"amount_received", 0},
      {"canceled_at", json()},
      {"capture_method", "automatic"},
      {"confirmation_method", "automatic"},
      {"created", std::time(nullptr)},
      {"currency", request.currency},
      {"description", request.description.empty() ? json() : json(request.description)},
      {"last_payment_error", json()},
      {"latest_charge", json()},
      {"livemode", false},
      {"metadata", request.metadata},
      {"next_action", json()},
      {"payment_method", has_method ? json(request.source) : json()},
      {"payment_method_types", {"card", "customer_balance"}},
      {"status", has_method ? "requires_confirmation" : "requires_payment_method"},
  };
}

ChargeRequest request_of(const json& intent) {
  ChargeRequest request;
  request.amount = intent.at("amount");
  request.currency = intent.at("currency");
  const auto text = [&](const char* name) {
    return intent.at(name).is_string() ? intent.at(name).get<std::string>() : std::string();
  };
  request.description = text("description");
  request.source = text("payment_method");
  request.metadata = intent.at("metadata");
  return request;
}

json charged_intent(json intent, const json& charge, const std::string& method) {
  const bool pending = charge.at("status") == "pending", paid = charge.at("paid") == true;
  intent["status"] = pending ? "processing" : paid ? "succeeded" : "requires_payment_method";
  intent["amount_received"] = paid ? charge.at("amount") : json(0);
  intent["payment_method"] = pending || paid ? json(method) : json();
  intent["last_payment_error"] = json();
  if (!pending && !paid) {
    intent["last_payment_error"] = answer_about(charge).body.at("error");
    intent["last_payment_error"]["payment_method"] = {{"id", method}, {"object", "payment_method"}};
  }
  return intent;
}

json event_object(const std::string& type, const json& object) {
  return {{"object", "event"},
          {"api_version", "2022-11-15"},
          {"created", std::time(nullptr)},
          {"livemode", false},
          {"pending_webhooks", 1},
          {"request", {{"id", json()}, {"idempotency_key", json()}}},
          {"type", type},
          {"data", {{"object", object}}}};
}

json list_object(const std::string& url, const std::vector<json>& objects, bool has_more) {
  return {{"object", "list"}, {"data", objects}, {"has_more", has_more}, {"url", url}};
}

Reply answer_about(const json& object) {
  if (object.at("object") == "payment_intent") {
    const json& error = object.at("last_payment_error");
    if (error.is_null()) return {200, object};
    Reply reply = {402, {{"error", error}}};
    reply.body["error"]["payment_intent"] = object;
    return reply;
  }
  if (object.at("status") != "failed") return {200, object};
  Reply reply = error_reply(402, "card_error", object.at("failure_code"), object.at("failure_message"));
  reply.body["error"]["charge"] = object.value("id", "");
  reply.body["error"]["decline_code"] = object.at("outcome").at("reason");
  return reply;
}

Reply error_reply(int status, const std::string& type, const std::string& code, const std::string& message,
                  const std::string& param) {
  json error = {{"type", type}, {"message", message}};
  if (!code.empty()) error["code"] = code;
  if (!param.empty()) error["param"] = param;
  return {status, {{"error", error}}};
}

}  // namespace gateway
