#include "stripe_objects.hpp"

#include <ctime>

namespace gateway {

using nlohmann::json;

json charge_object(const ChargeRequest& request, ChargeStatus status) {
  const bool paid = status == ChargeStatus::succeeded;
  json charge = {
      {"object", "charge"},
      {"amount", request.amount},
      {"amount_captured", paid ? request.amount : 0},
      {"amount_refunded", 0},
      {"captured", paid},
      {"created", std::time(nullptr)},
      {"currency", request.currency},
      {"description", request.description.empty() ? json() : json(request.description)},
      {"failure_code", paid ? json() : json("card_declined")},
      {"failure_message", paid ? json() : json("Your card was declined.")},
      {"livemode", false},
      {"metadata", request.metadata},
      {"paid", paid},
      {"refunded", false},
      {"status", paid ? "succeeded" : "failed"},
  };
  charge["outcome"] = {{"network_status", paid ? "approved_by_network" : "declined_by_network"},
                       {"reason", paid ? json() : json("generic_decline")},
                       {"type", paid ? "authorized" : "issuer_declined"}};
  charge["source"] = {{"object", "card"}, {"brand", "Visa"}, {"last4", paid ? "4242" : "0002"}};
  return charge;
}

json list_object(const std::vector<json>& charges, bool has_more) {
  return {{"object", "list"}, {"data", charges}, {"has_more", has_more}, {"url", "/v1/charges"}};
}

Reply answer_about(const json& charge) {
  if (charge.at("paid") == true) return {200, charge};
  Reply reply = error_reply(402, "card_error", charge.at("failure_code"), charge.at("failure_message"));
  reply.body["error"]["charge"] = charge.at("id");
  reply.body["error"]["decline_code"] = charge.at("outcome").at("reason");
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
