#include "stripe_reply.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "json_parts.hpp"

namespace shop {
namespace {

using common::text_at;
using nlohmann::json;
using paidonce::declined;
using paidonce::in_doubt;
using paidonce::not_executed;
using paidonce::succeeded;

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return text;
}

struct ReadCharge {
  ListedCharge listed;
  std::string status;
};

std::optional<ReadCharge> read_charge(const json& object) {
  if (!object.is_object() || text_at(object, "object") != "charge" || text_at(object, "id").empty())
    return std::nullopt;
  const auto amount = object.find("amount");
  if (amount == object.end() || !amount->is_number_integer()) return std::nullopt;
  ReadCharge read;
  read.status = text_at(object, "status");
  Charge& charge = read.listed.charge;
  charge.id = text_at(object, "id");
  charge.amount = amount->get<std::int64_t>();
  charge.currency = upper(text_at(object, "currency"));
  if (read.status == "failed") {
    charge.failure = text_at(object, "failure_code");
    if (charge.failure.empty()) charge.failure = "failed";
  }
  if (const auto metadata = object.find("metadata"); metadata != object.end() && metadata->is_object()) {
    charge.order = text_at(*metadata, "order");
    read.listed.provider_key = text_at(*metadata, "provider_key");
  }
  return read;
}

ChargeReport report_of_charge(const ChargeRequest& request, const json& body) {
  const auto read = read_charge(body);
  if (!read) return {in_doubt("the provider answered with something that is no charge")};
  const Charge& charge = read->listed.charge;
  if (charge.order != request.order || charge.amount != request.amount || charge.currency != request.currency)
    return {in_doubt("the provider answered with another charge, " + charge.id)};
  if (read->status == "succeeded") return {succeeded(charge)};
  if (read->status == "failed") return {declined(charge)};
  return {in_doubt("the charge " + charge.id + " is not settled: " + read->status)};
}

}  // namespace

ChargeReport report_of(const ChargeRequest& request, int status, std::string_view body) {
  const json reply = json::parse(body, nullptr, false);
  if (status >= 200 && status < 300) return report_of_charge(request, reply);

  const json error = reply.is_object() ? reply.value("error", json::object()) : json::object();
  const std::string type = text_at(error, "type");
  const std::string why =
      "the provider answered " + std::to_string(status) + ": " + text_at(error, "message");
  if (status == 402 && type == "card_error") {
    std::string failure = text_at(error, "decline_code");
    if (failure.empty()) failure = text_at(error, "code");
    if (failure.empty()) failure = "card_error";
    return {
        declined(Charge{text_at(error, "charge"), request.order, request.amount, request.currency, failure})};
  }
  if (status == 429) return {not_executed(why)};
  const bool refused = status == 400 || status == 401 || status == 403 || status == 404;
  if (refused && type == "invalid_request_error") return {not_executed(why), TryAgain::useless};
  return {in_doubt(why)};
}

ListPage page_of(int status, std::string_view body) {
  const json reply = json::parse(body, nullptr, false);
  if (status != 200 || !reply.is_object() || !reply.contains("data") || !reply["data"].is_array())
    throw std::runtime_error("the provider's list of charges could not be read: status " +
                             std::to_string(status));
  ListPage page;
  for (const json& object : reply["data"]) {
    auto read = read_charge(object);
    if (!read) throw std::runtime_error("the provider's list holds something that is no charge");
    if (reply.value("has_more", false)) page.last_id = read->listed.charge.id;
    // A charge that is neither paid nor failed yet must not be taken for either.
    if (read->status != "succeeded" && read->status != "failed")
      throw std::runtime_error("the charge " + read->listed.charge.id + " is not settled: " + read->status);
    page.charges.push_back(std::move(read->listed));
  }
  return page;
}

}  // namespace shop
