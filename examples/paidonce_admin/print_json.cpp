#include <ostream>
#include <string>

#include <nlohmann/json.hpp>
#include <paidonce/provider_key.hpp>

#include "escape.hpp"
#include "print.hpp"
#include "text.hpp"

namespace paidonce_admin {
namespace {

using Json = nlohmann::ordered_json;

Json time(paidonce::Timestamp time) {
  std::string text = text_of(time);
  return text.empty() ? Json() : Json(std::move(text));
}

Json of(const Snapshot::Log& log) {
  Json leftovers = Json::array(), others = Json::array();
  for (const std::string& name : log.leftovers) leftovers.push_back(escaped(name));
  for (const std::string& name : log.others) others.push_back(escaped(name));
  return {{"segments", log.segments},     {"frames", log.frames},         {"bytes", log.bytes},
          {"live_bytes", log.live_bytes}, {"disk_bytes", log.disk_bytes}, {"cut_bytes", log.cut_bytes},
          {"closed", log.closed},         {"leftovers", leftovers},       {"others", others}};
}

Json of(const Counts::Of& of) {
  return {{"records", of.records}, {"live", of.records - of.expired}, {"expired", of.expired}};
}

Json of(const Entry& entry) {
  const paidonce::Record& record = entry.record;
  return {{"scope", escaped(entry.key.scope())},
          {"key", escaped(entry.key.text())},
          {"state", to_string(record.state)},
          {"attempts", record.attempts},
          {"amount", escaped(record.amount)},
          {"description", escaped(record.description)},
          {"note", escaped(record.note)},
          {"created_at", time(record.created_at)},
          {"updated_at", time(record.updated_at)},
          {"lease_until", time(record.lease_until)},
          {"expires_at", time(record.expires_at)},
          {"provider_key", paidonce::provider_key(entry.key, record.created_at)},
          {"fingerprint", record.fingerprint.hex()},
          {"version", std::to_string(record.version)},
          {"attempt_id", hex_of(record.attempt_id)},
          {"checkpoint", escaped(record.checkpoint)},
          {"response", escaped(record.response)},
          {"response_format", escaped(record.response_format)}};
}

}  // namespace

void JsonPrinter::summary(std::ostream& out, const Snapshot::Log& log, const Counts& counts) const {
  Json states = Json::object();
  for (std::size_t at = 0; at < all_states.size(); ++at)
    states[std::string(to_string(all_states[at]))] = of(counts.states[at]);
  const Json records = {
      {"all", counts.all.records},
      {"live", counts.all.records - counts.all.expired},
      {"expired", counts.all.expired},
      {"unfinished", counts.unfinished},
      {"oldest_unfinished", counts.oldest_unfinished ? time(*counts.oldest_unfinished) : Json()},
      {"states", states}};
  out << Json({{"store", log.store_id}, {"log", of(log)}, {"records", records}}).dump(2) << '\n';
}

void JsonPrinter::list(std::ostream& out, const Selection& selection) const {
  out << "{\"records\": [";
  const char* separator = "\n";
  for (const Entry& entry : selection.entries) {
    out << separator << "  " << of(entry).dump();
    separator = ",\n";
  }
  out << "\n], \"matching\": " << selection.matching << "}\n";
}

void JsonPrinter::show(std::ostream& out, const Entry& entry) const { out << of(entry).dump(2) << '\n'; }

void JsonPrinter::verified(std::ostream& out, const Snapshot::Log& log) const {
  out << Json({{"damage", nullptr}, {"store", log.store_id}, {"log", of(log)}}).dump(2) << '\n';
}

void JsonPrinter::damaged(std::ostream& out, const StoreDamaged& damage) const {
  const bool placed = !damage.file.empty();
  const Json where = {{"problem", damage.what()},
                      {"file", placed ? Json(damage.file) : Json()},
                      {"offset", placed ? Json(damage.offset) : Json()}};
  out << Json({{"damage", where}}).dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace paidonce_admin
