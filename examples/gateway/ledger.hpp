#pragma once
// The gateway's memory: one JSON line for each charge, succeeded and failed alike, in a file that survives
// the process.

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace gateway {

/// A line of the ledger: the charge as the API shows it, and the request that caused it, so that a restarted
/// gateway knows its idempotency answers again.
struct Entry {
  nlohmann::json charge;
  std::string idempotency_key;  ///< empty: none was sent
  std::string parameters;       ///< of the request, in canonical form
};

/// Safe to use from any number of threads. A line is on the disk before `append` returns; what a crash left
/// of a line that was never acknowledged is cut off at the next start. One gateway at a time: two would not
/// know of each other's charges.
class Ledger {
 public:
  explicit Ledger(const std::filesystem::path& file);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Gives the charge its `id` and keeps it. A ledger that cannot be written ends the process: a gateway that
  /// forgets charges is of no use.
  nlohmann::json append(Entry entry);

  struct Page {
    std::vector<nlohmann::json> charges;  ///< newest first
    bool has_more = false;
  };
  /// nullopt when `starting_after` names no charge. An empty one starts with the newest.
  std::optional<Page> page(std::size_t limit, const std::string& starting_after) const;
  std::optional<nlohmann::json> find(const std::string& id) const;
  std::vector<Entry> entries() const;

 private:
  void read(const std::filesystem::path& file);
  std::optional<std::size_t> position(const std::string& id) const;

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  int file_ = -1;
};

}  // namespace gateway
