#include "order_status.hpp"

#include <nlohmann/json.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/http/stored_response.hpp>

#include "common/json_parts.hpp"

namespace payment_server {
namespace {

using common::part;
using common::text_at;
using nlohmann::json;
using paidonce::http::Response;

json body_of(const paidonce::Record& record) {
  if (record.response_format != paidonce::Codec<Response>::format) return {};
  try {
    return json::parse(paidonce::Codec<Response>::decode(record.response).body, nullptr, false);
  } catch (const paidonce::Error&) {
    return {};
  }
}

/// Whether the gateway's word for it means that the money comes, or does not, later.
bool is_open(std::string_view status) {
  return status == "pending" || status == "processing" || status == "requires_action" ||
         status == "requires_capture";
}

OrderView after_the_bank(StoredPayment payment, const std::optional<paidonce::Record>& settlement) {
  using paidonce::State;
  if (!settlement) return {OrderStatus::awaiting_bank, std::move(payment.id)};
  switch (settlement->state) {
    case State::succeeded: return {OrderStatus::paid, std::move(payment.id)};
    case State::declined:
      return {OrderStatus::declined, std::move(payment.id), stored_payment(*settlement).message};
    case State::in_doubt: return {OrderStatus::being_verified, std::move(payment.id)};
    case State::in_progress:
    case State::released: break;
  }
  return {OrderStatus::awaiting_bank, std::move(payment.id)};
}

}  // namespace

StoredPayment stored_payment(const paidonce::Record& record) {
  const json body = body_of(record);
  if (const json& error = part(body, "error"); error.is_object()) {
    std::string id = text_at(part(error, "payment_intent"), "id");
    if (id.empty()) id = text_at(error, "charge");
    return {std::move(id), "failed", text_at(error, "message")};
  }
  std::string message = text_at(body, "failure_message");
  if (message.empty()) message = text_at(part(body, "last_payment_error"), "message");
  return {text_at(body, "id"), text_at(body, "status"), std::move(message)};
}

paidonce::IdempotencyKey settlement_key(std::string_view payment_id) { return {"settlement", payment_id}; }

OrderView order_view(const std::optional<paidonce::Record>& payment,
                     const std::optional<paidonce::Record>& settlement) {
  using paidonce::State;
  if (!payment || payment->state == State::released) return {};
  if (payment->state == State::in_progress) return {OrderStatus::paying};
  if (payment->state == State::in_doubt) return {OrderStatus::being_verified};

  StoredPayment known = stored_payment(*payment);
  const bool told_paid = settlement && settlement->state == State::succeeded;
  const bool told_failed = settlement && settlement->state == State::declined;
  if (payment->state == State::declined) {
    // It was answered that no money moves, and then that it did: it must not be paid again.
    if (told_paid) return {OrderStatus::being_verified, std::move(known.id)};
    return {OrderStatus::declined, std::move(known.id), std::move(known.message)};
  }
  if (is_open(known.status)) return after_the_bank(std::move(known), settlement);
  if (known.status == "succeeded" && !told_failed) return {OrderStatus::paid, std::move(known.id)};
  return {OrderStatus::being_verified, std::move(known.id)};  // it says two things, or nothing that is known
}

}  // namespace payment_server
