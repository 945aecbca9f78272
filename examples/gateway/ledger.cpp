#include "ledger.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace gateway {
namespace {

using nlohmann::json;

[[noreturn]] void give_up() {
  std::fprintf(stderr, "gateway: the ledger cannot be written (%s); stopping\n", std::strerror(errno));
  std::_Exit(EXIT_FAILURE);
}

void write_durably(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) give_up();
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fdatasync(file) != 0) give_up();
}

std::string id_of(const char* prefix, std::size_t made_before) {
  char id[32];
  std::snprintf(id, sizeof id, "%s_%012zu", prefix, made_before + 1);
  return id;
}

void acknowledge(std::map<std::string, Untold>& untold, const std::string& event) {
  const auto found = untold.find(event);
  if (found != untold.end() && --found->second.left == 0) untold.erase(found);
}

}  // namespace

Ledger::Ledger(const std::filesystem::path& file) {
  file_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) throw std::system_error(errno, std::generic_category(), "the ledger " + file.string());
  try {
    read(file);
  } catch (...) {
    ::close(file_);
    throw;
  }
}

void Ledger::read(const std::filesystem::path& file) {
  if (::flock(file_, LOCK_EX | LOCK_NB) != 0)
    throw std::runtime_error("the ledger " + file.string() + " is in use by another gateway");
  std::uintmax_t whole_lines = 0;
  if (std::ifstream in(file, std::ios::binary); in) {
    for (std::string text; std::getline(in, text) && !in.eof();) {
      const json entry = json::parse(text, nullptr, false);
      if (!entry.is_object() ||
          !(entry.contains("charge") || entry.contains("intent") || entry.contains("told")))
        throw std::runtime_error("the ledger " + file.string() +
                                 " has a line that is no charge; name a new file, or one of a gateway");
      whole_lines += text.size() + 1;
      if (entry.contains("told")) {
        acknowledge(untold_, entry["told"]);
        continue;
      }
      const json none;
      Line line = {entry.value("charge", none),
                   entry.value("intent", none),
                   entry.value("idempotency_key", ""),
                   entry.value("parameters", ""),
                   entry.value("events", std::vector<json>()),
                   entry.value("deliveries", 0U)};
      remember(line);
      history_.push_back(std::move(line));
    }
  }
  if (::ftruncate(file_, static_cast<off_t>(whole_lines)) != 0)
    throw std::system_error(errno, std::generic_category(), "the ledger " + file.string());
}

Ledger::~Ledger() { ::close(file_); }

void Ledger::Objects::put(const json& object) {
  const auto [known, fresh] = positions_.try_emplace(object.at("id"), objects_.size());
  if (fresh)
    objects_.push_back(object);
  else
    objects_[known->second] = object;
}

std::optional<std::size_t> Ledger::Objects::position(const std::string& id) const {
  const auto found = positions_.find(id);
  return found == positions_.end() ? std::nullopt : std::optional(found->second);
}

void Ledger::remember(const Line& line) {
  if (!line.charge.is_null()) charges_.put(line.charge);
  if (!line.intent.is_null()) intents_.put(line.intent);
  events_ += line.events.size();
  if (line.deliveries == 0) return;
  for (const json& event : line.events) untold_[event.at("id")] = {event, line.deliveries};
}

Line Ledger::append(Line line) {
  const std::lock_guard lock(mutex_);
  if (!line.charge.is_null() && !line.charge.contains("id")) line.charge["id"] = id_of("ch", charges_.size());
  if (!line.intent.is_null() && !line.intent.contains("id")) {
    line.intent["id"] = id_of("pi", intents_.size());
    line.intent["client_secret"] = line.intent["id"].get<std::string>() + "_secret_of_a_test";
  }
  if (!line.charge.is_null() && !line.intent.is_null()) {
    line.charge["payment_intent"] = line.intent["id"];
    line.intent["latest_charge"] = line.charge["id"];
    if (json& error = line.intent["last_payment_error"]; error.is_object())
      error["charge"] = line.charge["id"];
  }
  for (std::size_t at = 0; at < line.events.size(); ++at) line.events[at]["id"] = id_of("evt", events_ + at);

  json entry = {{"idempotency_key", line.idempotency_key}, {"parameters", line.parameters}};
  if (!line.charge.is_null()) entry["charge"] = line.charge;
  if (!line.intent.is_null()) entry["intent"] = line.intent;
  if (!line.events.empty()) {
    entry["events"] = line.events;
    entry["deliveries"] = line.deliveries;
  }
  write_durably(file_, entry.dump() + '\n');
  remember(line);
  return line;
}

void Ledger::told(const std::string& event) {
  const std::lock_guard lock(mutex_);
  write_durably(file_, json{{"told", event}}.dump() + '\n');
  acknowledge(untold_, event);
}

std::optional<Ledger::Page> Ledger::page(Kind kind, std::size_t limit,
                                         const std::string& starting_after) const {
  const std::lock_guard lock(mutex_);
  const Objects& all = objects(kind);
  std::size_t end = all.size();
  if (!starting_after.empty()) {
    const auto last_seen = all.position(starting_after);
    if (!last_seen) return std::nullopt;
    end = *last_seen;
  }
  Page page;
  while (end > 0 && page.objects.size() < limit) page.objects.push_back(all[--end]);
  page.has_more = end > 0;
  return page;
}

std::optional<json> Ledger::find(Kind kind, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const Objects& all = objects(kind);
  if (const auto at = all.position(id)) return all[*at];
  return std::nullopt;
}

std::vector<json> Ledger::pending() const {
  const std::lock_guard lock(mutex_);
  std::vector<json> found;
  for (std::size_t at = 0; at < charges_.size(); ++at)
    if (charges_[at].at("status") == "pending") found.push_back(charges_[at]);
  return found;
}

std::vector<Untold> Ledger::untold() const {
  const std::lock_guard lock(mutex_);
  std::vector<Untold> all;
  for (const auto& [id, untold] : untold_) all.push_back(untold);
  return all;
}

}  // namespace gateway
