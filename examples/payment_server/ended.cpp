#include "ended.hpp"

#include <nlohmann/json.hpp>
#include <paidonce/key.hpp>

#include "common/json_parts.hpp"

namespace payment_server {
namespace {

using common::text_at;

}  // namespace

std::optional<Ended> ended_of(std::string_view object) {
  const auto read = nlohmann::json::parse(object, nullptr, false);
  if (!read.is_object()) return std::nullopt;
  const std::string kind = text_at(read, "object"), status = text_at(read, "status"),
                    id = text_at(read, "id");
  if (id.empty() || id.size() > paidonce::IdempotencyKey::max_size) return std::nullopt;
  const auto ended = [&](End end) { return Ended{end, id, std::string(object)}; };
  if (kind != "charge" && kind != "payment_intent") return std::nullopt;
  if (status == "succeeded") return ended(End::succeeded);
  if (kind == "charge" ? status == "failed" : status == "requires_payment_method" || status == "canceled")
    return ended(End::failed);
  return std::nullopt;
}

}  // namespace payment_server
