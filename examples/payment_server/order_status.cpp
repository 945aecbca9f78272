#include "order_status.hpp"

#include <nlohmann/json.hpp>
#include <paidonce/http/stored_response.hpp>

namespace payment_server {

StoredPayment stored_payment(const paidonce::Record& record) {
  if (record.response_format != paidonce::Codec<paidonce::http::Response>::format) return {};
  using nlohmann::json;
  const json body =
      json::parse(paidonce::Codec<paidonce::http::Response>::decode(record.response).body, nullptr, false);
  const auto text = [](const json& object, const char* name) {
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (body.is_object() && body.contains("error"))
    return {text(body["error"], "charge"), "failed", text(body["error"], "message")};
  return {text(body, "id"), text(body, "status"), text(body, "failure_message")};
}

paidonce::IdempotencyKey settlement_key(std::string_view payment_id) { return {"settlement", payment_id}; }

OrderView order_view(const std::optional<paidonce::Record>& payment,
                     const std::optional<paidonce::Record>& settlement) {
  using paidonce::State;
  if (!payment) return {};
  switch (payment->state) {
    case State::in_progress: return {OrderStatus::paying};
    case State::in_doubt: return {OrderStatus::being_verified};
    case State::released: return {};
    case State::succeeded:
    case State::declined: break;
  }
  const StoredPayment known = stored_payment(*payment);
  if (payment->state == State::declined) return {OrderStatus::declined, known.id, known.message};
  if (known.status == "succeeded") return {OrderStatus::paid, known.id};
  if (!settlement) return {OrderStatus::awaiting_bank, known.id};
  const StoredPayment end = stored_payment(*settlement);
  if (settlement->state == State::succeeded && end.status == "succeeded")
    return {OrderStatus::paid, known.id};
  if (settlement->state == State::declined) return {OrderStatus::declined, known.id, end.message};
  return {OrderStatus::awaiting_bank, known.id};
}

}  // namespace payment_server
