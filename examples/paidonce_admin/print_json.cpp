#include <algorithm>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>
#include <paidonce/key_digest.hpp>
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

Json of(const About::Log& log) {
  Json leftovers = Json::array(), others = Json::array();
  for (const std::string& name : log.leftovers) leftovers.push_back(escaped(name));
  for (const std::string& name : log.others) others.push_back(escaped(name));
  return {{"segments", log.segments},     {"frames", log.frames},         {"bytes", log.bytes},
          {"live_bytes", log.live_bytes}, {"disk_bytes", log.disk_bytes}, {"cut_bytes", log.cut_bytes},
          {"closed", log.closed},         {"leftovers", leftovers},       {"others", others}};
}

Json of(const About& about) {
  Json database;
  for (const auto& [name, text] : about.database) database[name] = escaped(text);
  return {{"kind", about.kind},
          {"store", about.log ? Json(about.log->store_id) : Json()},
          {"log", about.log ? of(*about.log) : Json()},
          {"database", database}};
}

Json time(const std::optional<paidonce::Timestamp>& at) { return at ? time(*at) : Json(); }

Json of(const paidonce::StateSurvey& state, std::size_t expired) {
  Json amounts = Json::array();
  for (const paidonce::CurrencyTotal& total : state.totals)
    amounts.push_back({{"currency", total.currency},
                       {"records", total.records},
                       {"amount", total.amount.empty() ? Json() : Json(total.amount)}});
  return {{"records", state.records},
          {"live", state.records - expired},
          {"expired", expired},
          {"amounts", amounts},
          {"without_amount", state.without_amount},
          {"unreadable_amount", state.unreadable}};
}

/// Each line of the note, oldest first.
Json history(std::string_view note) {
  Json lines = Json::array();
  while (!note.empty()) {
    const std::size_t end = std::min(note.find('\n'), note.size());
    lines.push_back(escaped(note.substr(0, end)));
    note.remove_prefix(std::min(end + 1, note.size()));
  }
  return lines;
}

Json of(const Entry& entry) {
  const paidonce::Record& record = entry.record;
  return {{"scope", escaped(entry.key.scope())},
          {"key", escaped(entry.key.text())},
          {"digest", paidonce::key_digest(entry.key)},
          {"state", to_string(record.state)},
          {"attempts", record.attempts},
          {"amount", escaped(record.amount)},
          {"description", escaped(record.description)},
          {"note", escaped(record.note)},
          {"history", history(record.note)},
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

Json of(const Shown& shown) {
  Json json = of(shown.entry);
  json["stuck"] = shown.stuck.empty() ? Json() : Json(shown.stuck);
  return json;
}

void print_records(std::ostream& out, const Selection& selection) {
  out << "\"records\": [";
  const char* separator = "\n";
  for (const Shown& shown : selection.shown) {
    out << separator << "  " << of(shown).dump();
    separator = ",\n";
  }
  out << "\n], \"matching\": " << selection.matching << "}\n";
}

}  // namespace

void JsonPrinter::survey(std::ostream& out, const About& about, const Contents& contents) const {
  const paidonce::Survey& survey = contents.survey;
  Json states = Json::object();
  std::size_t expired = 0;
  for (std::size_t at = 0; at < all_states.size(); ++at) {
    states[std::string(to_string(all_states[at]))] = of(survey.of(all_states[at]), contents.expired[at]);
    expired += contents.expired[at];
  }
  const Json records = {{"all", survey.records()},
                        {"live", survey.records() - expired},
                        {"expired", expired},
                        {"unfinished", survey.unfinished()},
                        {"past_lease", survey.abandoned},
                        {"oldest_unfinished", time(survey.oldest_unfinished)},
                        {"oldest_in_doubt", time(survey.oldest_in_doubt)},
                        {"earliest_begun", time(survey.earliest_begun)},
                        {"states", states}};
  Json json = of(about);
  json["taken_at"] = time(survey.taken_at);
  json["records"] = records;
  out << json.dump(2) << '\n';
}

void JsonPrinter::list(std::ostream& out, const Selection& selection) const {
  out << '{';
  print_records(out, selection);
}

void JsonPrinter::show(std::ostream& out, const Shown& shown) const { out << of(shown).dump(2) << '\n'; }

void JsonPrinter::swept(std::ostream& out, const Swept& swept) const {
  out << Json({{"dry_run", swept.dry_run},
               {"now", time(swept.now)},
               {"expired", swept.expired},
               {"erased", swept.report.erased}})
             .dump(2)
      << '\n';
}

void JsonPrinter::recovered(std::ostream& out, const Recovered& recovered) const {
  const paidonce::RecoveryReport& report = recovered.report;
  const Json head = {{"dry_run", recovered.dry_run},
                     {"asked_provider", recovered.asked_provider},
                     {"before", {{"in_progress", recovered.abandoned}, {"in_doubt", recovered.in_doubt}}},
                     {"succeeded", report.succeeded},
                     {"declined", report.declined},
                     {"in_doubt", report.in_doubt},
                     {"unanswered", report.unanswered},
                     {"failed", report.failed},
                     {"reason", report.reason.empty() ? Json() : Json(escaped(report.reason))}};
  const std::string text = head.dump();
  out << text.substr(0, text.size() - 1) << ", ";
  print_records(out, recovered.left);
}

void JsonPrinter::resolved(std::ostream& out, const Entry& after, paidonce::State was) const {
  out << Json({{"was", to_string(was)}, {"record", of(Shown{after, {}})}}).dump(2) << '\n';
}

void JsonPrinter::verified(std::ostream& out, const std::string&, const About& about) const {
  Json json = of(about);
  json["damage"] = nullptr;
  out << json.dump(2) << '\n';
}

void JsonPrinter::damaged(std::ostream& out, const StoreDamaged& damage) const {
  const bool placed = !damage.file.empty();
  const Json where = {{"problem", damage.what()},
                      {"file", placed ? Json(damage.file) : Json()},
                      {"offset", placed ? Json(damage.offset) : Json()}};
  out << Json({{"damage", where}}).dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace paidonce_admin
