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
    for (std::string line; std::getline(in, line) && !in.eof();) {
      const json entry = json::parse(line, nullptr, false);
      if (!entry.is_object() || !entry.contains("charge"))
        throw std::runtime_error("the ledger " + file.string() +
                                 " has a line that is no charge; name a new file, or one of a gateway");
      entries_.push_back(
          {entry["charge"], entry.value("idempotency_key", ""), entry.value("parameters", "")});
      whole_lines += line.size() + 1;
    }
  }
  if (::ftruncate(file_, static_cast<off_t>(whole_lines)) != 0)
    throw std::system_error(errno, std::generic_category(), "the ledger " + file.string());
}

Ledger::~Ledger() { ::close(file_); }

json Ledger::append(Entry entry) {
  const std::lock_guard lock(mutex_);
  char id[32];
  std::snprintf(id, sizeof id, "ch_%012zu", entries_.size() + 1);
  entry.charge["id"] = id;
  const json line = {
      {"charge", entry.charge}, {"idempotency_key", entry.idempotency_key}, {"parameters", entry.parameters}};
  write_durably(file_, line.dump() + '\n');
  entries_.push_back(std::move(entry));
  return entries_.back().charge;
}

std::optional<std::size_t> Ledger::position(const std::string& id) const {
  for (std::size_t at = 0; at < entries_.size(); ++at)
    if (entries_[at].charge.at("id") == id) return at;
  return std::nullopt;
}

std::optional<Ledger::Page> Ledger::page(std::size_t limit, const std::string& starting_after) const {
  const std::lock_guard lock(mutex_);
  std::size_t end = entries_.size();
  if (!starting_after.empty()) {
    const auto last_seen = position(starting_after);
    if (!last_seen) return std::nullopt;
    end = *last_seen;
  }
  Page page;
  while (end > 0 && page.charges.size() < limit) page.charges.push_back(entries_[--end].charge);
  page.has_more = end > 0;
  return page;
}

std::optional<json> Ledger::find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  if (const auto at = position(id)) return entries_[*at].charge;
  return std::nullopt;
}

std::vector<Entry> Ledger::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

}  // namespace gateway
