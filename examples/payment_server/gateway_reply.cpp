#include "gateway_reply.hpp"

#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/json_parts.hpp"

namespace payment_server {
namespace {

using common::part;
using common::text_at;
using nlohmann::json;
using paidonce::declined;
using paidonce::in_doubt;
using paidonce::not_executed;
using paidonce::succeeded;
using paidonce::http::Response;

Response as_json(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

std::string_view name_of(Kind kind) { return kind == Kind::charge ? "charge" : "payment_intent"; }

/// What answers the request that made this object, whenever it is asked for.
std::optional<paidonce::PaymentResult<Response>> report_of_object(Kind kind, const json& object) {
  const std::string status = text_at(object, "status");
  if (status == "succeeded" || status == "processing" || status == "pending" || status == "requires_action")
    return succeeded(as_json(200, object.dump()));
  if (kind == Kind::charge && status == "failed") {
    json error = {{"type", "card_error"},
                  {"code", text_at(object, "failure_code")},
                  {"message", text_at(object, "failure_message")},
                  {"charge", text_at(object, "id")}};
    if (const std::string reason = text_at(part(object, "outcome"), "reason"); !reason.empty())
      error["decline_code"] = reason;
    return declined(as_json(402, json{{"error", std::move(error)}}.dump()));
  }
  if (kind == Kind::payment_intent && (status == "requires_payment_method" || status == "canceled")) {
    json error = part(object, "last_payment_error");
    if (!error.is_object())
      error = {{"type", "card_error"},
               {"message", "The payment was " + (status == "canceled" ? status : "declined") + "."}};
    error["payment_intent"] = object;
    return declined(as_json(402, json{{"error", std::move(error)}}.dump()));
  }
  return std::nullopt;
}

/// Whether this is what was asked for, and nothing else that somebody asked for.
bool is_object_of(const Payment& payment, std::string_view provider_key, const json& object) {
  const json& amount = part(object, "amount");
  const json& metadata = part(object, "metadata");
  return text_at(object, "object") == name_of(payment.kind) && !text_at(object, "id").empty() &&
         amount.is_number_integer() && amount.get<std::int64_t>() == payment.amount &&
         text_at(object, "currency") == payment.currency && text_at(metadata, "tenant") == payment.tenant &&
         text_at(metadata, "order") == payment.order && text_at(metadata, "provider_key") == provider_key;
}

bool has_amount_of(const Sought& sought, const json& object) {
  if (sought.amount == 0) return true;
  const json& amount = part(object, "amount");
  return amount.is_number_integer() && amount.get<std::int64_t>() == sought.amount &&
         text_at(object, "currency") == sought.currency;
}

json page_of(std::string_view body) {
  json page = json::parse(body, nullptr, false);
  if (!part(page, "data").is_array()) throw std::runtime_error("the gateway's list could not be read");
  for (const json& object : page["data"])
    if (text_at(object, "id").empty())
      throw std::runtime_error("the gateway's list holds something that is no payment");
  return page;
}
std::string last_id_of(const json& page) {
  const json& more = part(page, "has_more");
  const bool has_more = more.is_boolean() && more.get<bool>();
  return has_more && !page["data"].empty() ? text_at(page["data"].back(), "id") : std::string();
}

}  // namespace

GatewayReport report_of(const Payment& payment, std::string_view provider_key, int status,
                        std::string_view body) {
  const json reply = json::parse(body, nullptr, false);
  if (status >= 200 && status < 300) {
    if (!is_object_of(payment, provider_key, reply))
      return {in_doubt("the gateway answered with something else than what was asked for")};
    if (auto report = report_of_object(payment.kind, reply)) return {*std::move(report)};
    return {in_doubt("the gateway's answer is of no status that this program knows")};
  }
  const std::string type = text_at(part(reply, "error"), "type");
  const std::string why = "the gateway answered " + std::to_string(status);
  if (status == 402 && type == "card_error") return {declined(as_json(402, std::string(body)))};
  if (status == 429) return {not_executed(why), as_json(429, std::string(body))};
  if (type == "invalid_request_error") {
    if (status == 400 || status == 404) return {not_executed(why), as_json(status, std::string(body))};
    if (status == 401 || status == 403) return {not_executed(why + ": this server's key is not good there")};
  }
  return {in_doubt(why)};
}

FoundInPage find_in_page(const Sought& sought, std::string_view body) {
  const json page = page_of(body);
  FoundInPage found;
  std::size_t paid = 0;
  for (const json& object : page["data"]) {
    if (text_at(part(object, "metadata"), "provider_key") != sought.provider_key) continue;
    if (!has_amount_of(sought, object)) found.of_another_amount = true;
    auto report = report_of_object(sought.kind, object);
    if (!report) report = in_doubt("the gateway lists it with a status that this program does not know");
    const bool is_paid = report->report() == paidonce::Report::succeeded;
    if (is_paid) ++paid;
    if (!found.report || (is_paid && paid == 1)) found.report = std::move(report);
  }
  found.several_paid = paid > 1;
  found.last_id = last_id_of(page);
  if (!page["data"].empty())
    if (const json& created = part(page["data"].back(), "created"); created.is_number_integer())
      found.last_created = created.get<std::int64_t>();
  return found;
}

bool is_of_tenant(std::string_view body, std::string_view tenant) {
  const json object = json::parse(body, nullptr, false);
  return !tenant.empty() && text_at(part(object, "metadata"), "tenant") == tenant;
}

TenantPage of_tenant(std::string_view body, std::string_view tenant) {
  const json page = page_of(body);
  TenantPage of;
  for (const json& object : page["data"])
    if (!tenant.empty() && text_at(part(object, "metadata"), "tenant") == tenant)
      of.objects.push_back(object.dump());
  of.last_id = last_id_of(page);
  return of;
}

}  // namespace payment_server
