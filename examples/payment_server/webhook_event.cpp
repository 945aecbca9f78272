#include "webhook_event.hpp"

#include <nlohmann/json.hpp>
#include <paidonce/http/body_malformed.hpp>
#include <paidonce/http/canonical_json.hpp>
#include <paidonce/key.hpp>

#include "common/json_parts.hpp"

namespace payment_server {
namespace {

using common::text_at;
using nlohmann::json;

std::optional<End> end_told_by(std::string_view type) {
  if (type == "charge.succeeded" || type == "payment_intent.succeeded") return End::succeeded;
  if (type == "charge.failed" || type == "payment_intent.payment_failed" || type == "payment_intent.canceled")
    return End::failed;
  return std::nullopt;
}

}  // namespace

std::optional<Event> read_event(std::string_view body) {
  const paidonce::http::CanonicalJson canonical({"/pending_webhooks"});
  try {
    Event event;
    event.fingerprint = paidonce::fingerprint(canonical(body));
    const json read = json::parse(body);
    event.id = text_at(read, "id");
    event.type = text_at(read, "type");
    if (text_at(read, "object") != "event" || event.id.empty() || event.type.empty() ||
        event.id.size() > paidonce::IdempotencyKey::max_size)
      return std::nullopt;
    const auto end = end_told_by(event.type);
    if (!end) return event;
    const json::json_pointer object("/data/object");
    if (!read.contains(object)) return std::nullopt;
    event.ended = ended_of(read[object].dump());
    if (!event.ended || event.ended->end != *end) return std::nullopt;
    return event;
  } catch (const paidonce::http::BodyMalformed&) {
    return std::nullopt;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace payment_server
