#pragma once
// A store's directory as it stands, read from the first byte of its log to the last, and not changed: a store
// for whatever only reads.

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
#include <paidonce/store.hpp>

#include "options.hpp"

namespace paidonce_admin {

/// The log does not verify, so nothing in it is to be believed.
struct StoreDamaged : std::runtime_error {
  explicit StoreDamaged(const std::string& problem);

  std::string file = {};  ///< empty where the problem is of no one place
  std::uint64_t offset = 0;
};

struct Entry {
  paidonce::IdempotencyKey key;
  paidonce::Record record;

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// A `ScannableStore` and `HolderAwareStore` to which nothing can be written.
class Snapshot {
 public:
  /// Throws `Refusal{in_use}`, `Refusal{bad_usage}` where there is no store, `StoreDamaged`, and
  /// `std::exception` where it cannot be read. The store cannot be opened by anybody while this runs.
  explicit Snapshot(const std::filesystem::path& directory);

  std::size_t size() const { return payloads_.size(); }
  /// Calls `visit(const Entry&)` for every record, in no order.
  template <class Visit>
  void each(Visit&& visit) const {
    for (const auto& [key, payload] : payloads_) visit(unpacked(payload));
  }
  /// The records that are named so.
  std::vector<Entry> find(const Which& which) const;

  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) const;
  template <class Visitor>
  void scan(const paidonce::ScanFilter& filter, Visitor&& visitor) const {
    auto at = filter.after.empty() ? payloads_.begin() : payloads_.find(filter.after);
    if (!filter.after.empty() && at != payloads_.end()) ++at;
    for (std::size_t visited = 0; at != payloads_.end() && visited < filter.limit; ++at) {
      const auto [key, record] = unpacked(at->second);
      if (!paidonce::detail::passes(filter, record)) continue;
      ++visited;
      if (!visitor(key, record)) return;
    }
  }
  std::optional<paidonce::Record> insert(const paidonce::IdempotencyKey&, const paidonce::Record&) {
    refuse_to_write();
  }
  bool replace(const paidonce::IdempotencyKey&, paidonce::Version, const paidonce::Record&) {
    refuse_to_write();
  }
  /// Nobody had the store open when it was read. Not to be relied on for a copy, whose store may be open.
  bool holder_gone(const paidonce::IdempotencyKey&, const paidonce::Record& record) const {
    return record.state == paidonce::State::in_progress;
  }

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
  [[noreturn]] static void refuse_to_write();
  static Entry unpacked(std::string_view payload);

  Log log_;
  std::unordered_map<std::string, std::string> payloads_;  // by the key's bytes
};

static_assert(paidonce::ScannableStore<Snapshot> && paidonce::HolderAwareStore<Snapshot>);

}  // namespace paidonce_admin
