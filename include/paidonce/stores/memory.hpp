#pragma once
// Records in the memory of this process: for tests, for tools, and for services whose payments need not
// outlive them. What is alive is never evicted; `erase_expired` forgets what its retention no longer keeps.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>

namespace paidonce::inline v1 {

struct MemoryStoreOptions {
  /// Most records at a time. A new key beyond it is refused with `store_full`, and its payment does not run.
  std::size_t max_records = std::numeric_limits<std::size_t>::max();
  /// Most bytes of one record's response and checkpoint together; beyond it a write fails with `store_full`.
  std::size_t max_record_bytes = std::size_t{1} << 20;
  /// Parts with a lock each; a power of two, 1 to 4096.
  std::size_t shards = 64;
};

/// The hash that a key carries.
struct KeyHash {
  std::uint64_t operator()(const IdempotencyKey& key) const noexcept { return key.hash(); }
};

template <class Hash>
class BasicMemoryStore {
 public:
  static constexpr bool local_find = true;

  explicit BasicMemoryStore(MemoryStoreOptions options = {}, Hash hash = Hash())
      : state_(std::make_unique<State_>(options)), hash_(hash) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    const std::scoped_lock hold(state_->mutex);
    const auto at = state_->records.find(key.bytes());
    if (at == state_->records.end()) return std::nullopt;
    return at->second;
  }

  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    check_size(record);
    const std::scoped_lock hold(state_->mutex);
    if (const auto at = state_->records.find(key.bytes()); at != state_->records.end()) return at->second;
    if (state_->records.size() >= state_->options.max_records)
      throw Error(errc::store_full, "the store holds as many records as it may; nothing was started");
    state_->records.emplace(key.bytes(), kept(record));
    return std::nullopt;
  }

  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    check_size(record);
    Record copy = kept(record);
    const std::scoped_lock hold(state_->mutex);
    const auto at = state_->records.find(key.bytes());
    if (at == state_->records.end() || at->second.version != expected) return false;
    at->second = std::move(copy);
    return true;
  }

  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    std::string after = filter.after;
    for (std::size_t visited = 0; visited < filter.limit;) {
      std::vector<std::pair<std::string, Record>> page;
      {
        const std::scoped_lock hold(state_->mutex);
        for (auto at = state_->records.upper_bound(after); at != state_->records.end() && page.size() < 64;
             ++at)
          page.emplace_back(at->first, at->second);
      }
      if (page.empty()) return;
      after = page.back().first;
      for (const auto& [bytes, record] : page) {
        if (!detail::passes(filter, record)) continue;
        if (visited++ == filter.limit) return;
        if (!visitor(IdempotencyKey::from_bytes(bytes), record)) return;
      }
    }
  }

  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    const std::scoped_lock hold(state_->mutex);
    std::size_t erased = 0;
    for (auto at = state_->records.begin(); at != state_->records.end() && erased < limit;) {
      const Record& record = at->second;
      const bool over = (record.state == State::succeeded || record.state == State::declined ||
                         (record.state == State::released && record.checkpoint.empty())) &&
                        record.expires_at <= now;
      at = over ? state_->records.erase(at) : std::next(at);
      erased += over ? 1 : 0;
    }
    return erased;
  }

 private:
  struct State_ {
    explicit State_(const MemoryStoreOptions& from) : options(from) {}
    MemoryStoreOptions options;
    std::mutex mutex;
    std::map<std::string, Record, std::less<>> records;
  };

  void check_size(const Record& record) const {
    const std::size_t most = state_->options.max_record_bytes;
    if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
      throw Error(errc::store_full,
                  "the response and checkpoint of a record are longer than max_record_bytes");
  }

  static Record kept(const Record& record) {
    Record copy = record;
    copy.fingerprint = record.fingerprint.current_only();
    return copy;
  }

  std::unique_ptr<State_> state_;
  [[no_unique_address]] Hash hash_;
};

using MemoryStore = BasicMemoryStore<KeyHash>;

}  // namespace paidonce::inline v1
