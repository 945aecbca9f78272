#pragma once
// Records in the memory of this process: for services whose payments need not outlive it, for tools and for
// tests. What is alive is never evicted; `erase_expired` forgets what its retention no longer keeps.
//
// Keys are spread over shards by their hash. A record is one block that is made before its shard is locked
// and never changes, so that a write holds the lock for an exchange of two addresses, and reads of one record
// do not queue behind each other.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include <paidonce/stores/memory/readers_gate.hpp>
#include <paidonce/stores/memory/record_page.hpp>
#include <paidonce/stores/memory/record_shards.hpp>
#include <paidonce/stores/memory/record_table.hpp>

namespace paidonce::inline v1 {

struct MemoryStoreOptions {
  /// Most records at a time. A new key beyond it is refused with `store_full`, and its payment does not run.
  std::size_t max_records = std::numeric_limits<std::size_t>::max();
  /// Most bytes of one record's response and checkpoint together; a write beyond it throws `store_full`.
  std::size_t max_record_bytes = std::size_t{1} << 20;
  /// Parts with a lock each: a power of two from 1 to 4096. Each takes 384 bytes when empty.
  std::size_t shards = 64;
};

/// A handle: movable, not copyable; a moved-from one may only be assigned to or destroyed. Everything else
/// may be called from any number of threads. A call that throws, for lack of memory too, has changed nothing.
/// `Hash` is called with a key and must not throw; keys are compared whole, so a bad one costs only time.
template <class Hash>
class BasicMemoryStore {
 public:
  static constexpr bool local_find = true;

  BasicMemoryStore() : BasicMemoryStore(MemoryStoreOptions{}) {}

  /// Throws `invalid_options` for a number of shards that is no power of two from 1 to 4096.
  explicit BasicMemoryStore(MemoryStoreOptions options, Hash hash = Hash())
      : parts_(std::make_unique<Parts>(options, std::move(hash))) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    const Place place = parts_->shards.place_of(key);
    std::optional<Record> found;
    const Gate::Reading hold(place.shard.gate);
    if (const std::size_t at = place.shard.table.find(place.hash, key.bytes()); at != Table::nowhere)
      place.shard.table.block(at)->unpack(found.emplace());
    return found;
  }

  /// Throws `store_full` at `max_records`, and for a record beyond `max_record_bytes`.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    const Place place = parts_->shards.place_of(key);
    Packed packed = pack(place, key, record);
    std::optional<Record> there;
    const Gate::Writing hold(place.shard.gate);
    Table& table = place.shard.table;
    if (const std::size_t at = table.find(place.hash, key.bytes()); at != Table::nowhere) {
      table.block(at)->unpack(there.emplace());
      return there;
    }
    table.reserve(record.state);
    count_one();
    table.add(std::move(packed), place.hash);
    return there;
  }

  /// Throws `store_full` for a record beyond `max_record_bytes`.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    const Place place = parts_->shards.place_of(key);
    Packed packed = pack(place, key, record);  // holds the replaced one in the end: freed behind the lock
    const Gate::Writing hold(place.shard.gate);
    Table& table = place.shard.table;
    const std::size_t at = table.find(place.hash, key.bytes());
    if (at == Table::nowhere || table.block(at)->version() != expected) return false;
    table.reserve_exchange(at, record.state);
    packed = table.exchange(at, std::move(packed));
    return true;
  }

  /// In the order of the keys' hashes, which stays the same from scan to scan. What is written meanwhile is
  /// visited or not. No lock is held while the visitor runs; it may call the store. A scan of what is in
  /// progress or in doubt alone costs what there is of that, not what is stored.
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    if (filter.limit == 0) return;
    typename Shards::Cursor cursor = parts_->shards.begin_of(filter.after);
    detail::RecordPage page;
    std::vector<const detail::PackedRecord*> room;
    room.reserve(Shards::page_size);
    std::size_t left = filter.limit;
    const auto visit = [&](const IdempotencyKey& key, const Record& record) {
      return visitor(key, record) && --left > 0;
    };
    for (;;) {
      page.clear();
      parts_->shards.read_page(filter, cursor, room, left,
                               [&page](const detail::PackedRecord& block) { return page.add(block); });
      if (!page.visit(visit) || parts_->shards.at_end(cursor)) return;
      std::this_thread::yield();  // here rather than where the scheduler has it, which may be in a lock
    }
  }

  /// Goes on where the last call stopped, so that many small calls come round to every record.
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    return parts_->shards.sweep(now, limit, [this](Table& table, std::size_t at) {
      table.erase(at);
      if (limited()) parts_->records.fetch_sub(1, std::memory_order_relaxed);
      return Shards::Taken::out;
    });
  }

 private:
  using Shards = detail::RecordShards<Hash>;
  using Place = typename Shards::Place;
  using Gate = detail::ReadersGate;
  using Table = detail::RecordTable;
  using Packed = detail::PackedRecord::Owner;

  struct Parts {
    Parts(const MemoryStoreOptions& from, Hash hash) : options(from), shards(from.shards, std::move(hash)) {}
    const MemoryStoreOptions options;
    Shards shards;
    alignas(64) std::atomic<std::size_t> records{0};  // counted only where there is a limit
  };

  Packed pack(const Place& place, const IdempotencyKey& key, const Record& record) const {
    const std::size_t most = parts_->options.max_record_bytes;
    if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
      detail::PackedRecord::refuse(
          "the response and checkpoint of a record are longer than MemoryStoreOptions::max_record_bytes");
    Packed packed = detail::PackedRecord::make(key.bytes(), place.hash.order, record);
    Table::check_address(packed);
    return packed;
  }

  void count_one() {
    if (!limited()) return;
    std::size_t records = parts_->records.load(std::memory_order_relaxed);
    do {
      if (records >= parts_->options.max_records)
        detail::PackedRecord::refuse("the store holds MemoryStoreOptions::max_records; nothing was started");
    } while (!parts_->records.compare_exchange_weak(records, records + 1, std::memory_order_relaxed));
  }

  bool limited() const noexcept {
    return parts_->options.max_records != std::numeric_limits<std::size_t>::max();
  }

  std::unique_ptr<Parts> parts_;
};

/// The store in memory, with the hash that keys carry.
using MemoryStore = BasicMemoryStore<KeyHash>;

}  // namespace paidonce::inline v1
