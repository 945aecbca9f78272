#pragma once
// A store's directory as it stands, read from the first byte of its log to the last, and not changed.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

namespace paidonce_admin {

/// Some process has the store open.
struct StoreInUse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The log does not verify, so nothing in it is to be believed.
struct StoreDamaged : std::runtime_error {
  explicit StoreDamaged(const std::string& problem);

  std::string file = {};  ///< empty where the problem is of no one place
  std::uint64_t offset = 0;
};

struct Entry {
  paidonce::IdempotencyKey key;
  paidonce::Record record;
};

class Snapshot {
 public:
  /// Throws `StoreInUse`, `StoreDamaged`, and `std::exception` where there is no store or it cannot be read.
  /// The store cannot be opened by anybody while this runs.
  explicit Snapshot(const std::filesystem::path& directory);

  std::size_t size() const { return payloads_.size(); }
  /// Calls `visit(const Entry&)` for every record, in no order.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const auto& [key, payload] : payloads_) visit(unpacked(payload));
  }
  /// The records whose key has this text, in any scope, or in the one that is given.
  std::vector<Entry> find(std::string_view text, const std::optional<std::string>& scope) const;

  /// What is to be said of the log as a whole.
  struct Log {
    std::string store_id = {};
    std::uint64_t segments = 0;
    std::uint64_t frames = 0;      ///< that were read and verified
    std::uint64_t bytes = 0;       ///< of these, with the heads of the files
    std::uint64_t live_bytes = 0;  ///< of these, what is still current
    std::uint64_t disk_bytes = 0;  ///< size of all files of the log
    std::uint64_t cut_bytes = 0;   ///< of a torn tail that was never acknowledged: the next opening cuts it
    bool closed = false;           ///< in order; otherwise its process was killed, or this is a copy
    std::vector<std::string> leftovers = {};  ///< files that the next opening removes or takes up again
    std::vector<std::string> others = {};     ///< files that are not the log's
  };
  const Log& log() const { return log_; }

 private:
  static Entry unpacked(std::string_view payload);

  Log log_;
  std::unordered_map<std::string, std::string> payloads_;  // by the key's bytes
};

}  // namespace paidonce_admin
