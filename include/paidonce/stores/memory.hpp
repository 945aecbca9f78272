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
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include <paidonce/stores/memory/readers_gate.hpp>
#include <paidonce/stores/memory/record_table.hpp>

namespace paidonce::inline v1 {

struct MemoryStoreOptions {
  /// Most records at a time. A new key beyond it is refused with `store_full`, and its payment does not run.
  std::size_t max_records = std::numeric_limits<std::size_t>::max();
  /// Most bytes of one record's response and checkpoint together; a write beyond it throws `store_full`.
  std::size_t max_record_bytes = std::size_t{1} << 20;
  /// Parts with a lock each: a power of two from 1 to 4096. Each takes 320 bytes when empty.
  std::size_t shards = 64;
};

/// The hash that a key carries.
struct KeyHash {
  std::uint64_t operator()(const IdempotencyKey& key) const noexcept { return key.hash(); }
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
      : parts_(std::make_unique<Parts>(checked(options))), hash_(std::move(hash)) {}

  std::optional<Record> find(const IdempotencyKey& key) {
    const Place place = place_of(key);
    std::optional<Record> found;
    const Gate::Reading hold(place.shard.gate);
    if (const std::size_t at = place.shard.table.find(place.hash, key.bytes()); at != Table::nowhere)
      place.shard.table.block(at)->unpack(found.emplace());
    return found;
  }

  /// Throws `store_full` at `max_records`, and for a record beyond `max_record_bytes`.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    const Place place = place_of(key);
    Packed packed = pack(place, key, record);
    std::optional<Record> there;
    const Gate::Writing hold(place.shard.gate);
    Table& table = place.shard.table;
    if (const std::size_t at = table.find(place.hash, key.bytes()); at != Table::nowhere) {
      table.block(at)->unpack(there.emplace());
      return there;
    }
    table.reserve();
    count_one();
    table.add(std::move(packed), place.hash.tag);
    return there;
  }

  /// Throws `store_full` for a record beyond `max_record_bytes`.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    const Place place = place_of(key);
    Packed packed = pack(place, key, record);  // holds the replaced one in the end: freed behind the lock
    const Gate::Writing hold(place.shard.gate);
    Table& table = place.shard.table;
    const std::size_t at = table.find(place.hash, key.bytes());
    if (at == Table::nowhere || table.block(at)->version() != expected) return false;
    packed = table.exchange(at, std::move(packed));
    return true;
  }

  /// In the order of the keys' hashes, which stays the same from scan to scan. What is written meanwhile is
  /// visited or not. No lock is held while the visitor runs; it may call the store.
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    if (filter.limit == 0) return;
    Cursor cursor = begin_of(filter.after);
    Page page;
    Blocks lowest;
    lowest.reserve(page_size);
    for (std::size_t visited = 0; cursor.shard < parts_->count;) {
      read_page(filter, cursor, lowest, page);
      for (const auto& [bytes, record] : page) {
        if (!visitor(IdempotencyKey::from_bytes(bytes), record) || ++visited == filter.limit) return;
      }
    }
  }

  /// Goes on where the last call stopped, so that many small calls come round to every record.
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    const std::uint64_t start = parts_->swept.load(std::memory_order_relaxed);
    std::size_t erased = 0;
    std::uint64_t shard = start >> 32;
    std::uint32_t order = static_cast<std::uint32_t>(start);
    for (std::size_t part = 0; part <= parts_->count && erased < limit; ++part) {
      const bool back_at_start = part == parts_->count;
      const std::uint32_t end = back_at_start ? static_cast<std::uint32_t>(start) : 0;
      bool goes_on = true;
      while (goes_on && erased < limit) goes_on = sweep(shard, order, end, now, limit, erased);
      if (goes_on) break;
      shard = (shard + 1) % parts_->count;
      order = 0;
    }
    parts_->swept.store(shard << 32 | order, std::memory_order_relaxed);
    return erased;
  }

 private:
  using Gate = detail::ReadersGate;
  using Table = detail::RecordTable;
  using Packed = detail::PackedRecord::Owner;
  using Page = std::vector<std::pair<std::string, Record>>;
  using Blocks = std::vector<const detail::PackedRecord*>;

  static constexpr std::size_t page_size = 64;       // records that a scan copies at a time
  static constexpr std::size_t slots_at_once = 512;  // that a sweep or scan looks at under a lock

  struct alignas(64) Shard {
    Gate gate;
    Table table;
  };

  struct Parts {
    explicit Parts(const MemoryStoreOptions& from)
        : options(from), count(from.shards), shards(std::make_unique<Shard[]>(from.shards)) {
      for (std::size_t shards_left = count; shards_left > 1; shards_left /= 2) ++bits;
    }
    const MemoryStoreOptions options;
    const std::size_t count;
    unsigned bits = 0;
    const std::unique_ptr<Shard[]> shards;
    std::atomic<std::uint64_t> swept{0};              // the next shard and order that a sweep looks at
    alignas(64) std::atomic<std::size_t> records{0};  // counted only where there is a limit
  };

  struct Place {
    Shard& shard;
    detail::TableHash hash;
  };

  static const MemoryStoreOptions& checked(const MemoryStoreOptions& options) {
    const std::size_t shards = options.shards;
    if (shards == 0 || shards > 4096 || (shards & (shards - 1)) != 0)
      throw Error(errc::invalid_options, "MemoryStoreOptions::shards must be a power of two from 1 to 4096");
    return options;
  }

  /// The highest bits choose the shard, the next 32 the home in its table, the lowest are the tag.
  std::pair<std::size_t, detail::TableHash> hash_of(const IdempotencyKey& key) const {
    const std::uint64_t hash = hash_(key);
    const unsigned bits = parts_->bits;
    return {bits == 0 ? 0 : static_cast<std::size_t>(hash >> (64 - bits)),
            {static_cast<std::uint32_t>((hash << bits) >> 32), static_cast<std::uint16_t>(hash)}};
  }

  Place place_of(const IdempotencyKey& key) const {
    const auto [shard, hash] = hash_of(key);
    Place place{parts_->shards[shard], hash};
    place.shard.table.prefetch(hash);
    return place;
  }

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

  /// Where a scan goes on: behind this order and key, or at this order.
  struct Cursor {
    std::size_t shard = 0;
    std::uint32_t order = 0;
    std::string key = {};  // empty: all of this order are still to come
  };

  Cursor begin_of(std::string_view after) const {
    if (after.empty()) return {};
    const auto [shard, hash] = hash_of(IdempotencyKey::from_bytes(after));
    return {shard, hash.order, std::string(after)};
  }

  static bool before(const detail::PackedRecord* block, std::uint32_t order, std::string_view key) noexcept {
    return block->hash() != order ? block->hash() < order : block->key() < key;
  }

  static bool passes(const ScanFilter& filter, const detail::PackedRecord& block) {
    if (filter.updated_before && block.updated_at() >= *filter.updated_before) return false;
    if (filter.states.empty()) return true;
    for (const State state : filter.states)
      if (state == block.state()) return true;
    return false;
  }

  /// Copies some of what comes behind the cursor, the lowest first, and moves the cursor on.
  void read_page(const ScanFilter& filter, Cursor& cursor, Blocks& lowest, Page& page) {
    page.clear();
    lowest.clear();
    Shard& shard = parts_->shards[cursor.shard];
    const Gate::Reading hold(shard.gate);
    const Table& table = shard.table;
    const std::size_t capacity = table.capacity();
    const std::size_t begin = capacity == 0 ? 0 : table.home(cursor.order);
    // Up to a gap: all that have their homes before it have been seen then. Those of the last homes may stand
    // at the table's beginning.
    std::size_t at = begin;
    bool overfull = false;
    for (; at < 2 * capacity; ++at) {
      const detail::PackedRecord* const block = table.block(at & (capacity - 1));
      if (!block) {
        if (at >= capacity || lowest.size() >= page_size || at - begin >= slots_at_once) break;
        continue;
      }
      const bool wrapped = table.home(block->hash()) > (at & (capacity - 1));
      if (wrapped != (at >= capacity) || !is_behind(cursor, *block) || !passes(filter, *block)) continue;
      std::size_t to = lowest.size();
      if (to == page_size) {
        overfull = true;
        if (!before(block, lowest.back()->hash(), lowest.back()->key())) continue;
        lowest.pop_back();
        --to;
      }
      while (to > 0 && before(block, lowest[to - 1]->hash(), lowest[to - 1]->key())) --to;
      lowest.insert(lowest.begin() + static_cast<std::ptrdiff_t>(to), block);
    }
    for (const detail::PackedRecord* block : lowest)
      block->unpack(page.emplace_back(std::string(block->key()), Record{}).second);
    if (overfull)
      cursor = {cursor.shard, lowest.back()->hash(), std::string(lowest.back()->key())};
    else if (at < capacity)
      cursor = {cursor.shard, table.first_order(at), {}};
    else
      cursor = {cursor.shard + 1, 0, {}};
  }

  static bool is_behind(const Cursor& cursor, const detail::PackedRecord& block) noexcept {
    if (block.hash() != cursor.order) return block.hash() > cursor.order;
    return cursor.key.empty() || block.key() > cursor.key;
  }

  /// Sweeps some slots of a shard from `order` on and moves it on. False: it has come to `end`, where 0 is
  /// the shard's.
  bool sweep(std::size_t which, std::uint32_t& order, std::uint32_t end, Timestamp now, std::size_t limit,
             std::size_t& erased) {
    Shard& shard = parts_->shards[which];
    const Gate::Writing hold(shard.gate);
    Table& table = shard.table;
    const std::size_t capacity = table.capacity();
    if (capacity == 0) return false;
    std::size_t at = table.home(order);
    const std::size_t last = end == 0 ? capacity : table.home(end);
    for (std::size_t looked = 0; at < last && looked < slots_at_once; ++looked) {
      const detail::PackedRecord* const block = table.block(at);
      if (!block || !block->expired(now)) {
        ++at;
        continue;
      }
      if (erased == limit) break;
      table.erase(at);
      if (limited()) parts_->records.fetch_sub(1, std::memory_order_relaxed);
      ++erased;
    }
    if (at >= last) {
      table.shrink();
      return false;
    }
    order = table.first_order(at);
    return true;
  }

  std::unique_ptr<Parts> parts_;
  [[no_unique_address]] Hash hash_;
};

/// The store in memory, with the hash that keys carry.
using MemoryStore = BasicMemoryStore<KeyHash>;

}  // namespace paidonce::inline v1
