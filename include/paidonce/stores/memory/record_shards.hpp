#pragma once
// Packed records spread over shards by the hash of their keys, each shard a table behind a lock of its own,
// and the two walks through all of them: pages for a scan, and a round of what has expired.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/digest/hash64.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include <paidonce/stores/memory/readers_gate.hpp>
#include <paidonce/stores/memory/record_table.hpp>
#include <paidonce/stores/memory/slot_table.hpp>

namespace paidonce::inline v1 {

/// The hash that a key carries.
struct KeyHash {
  std::uint64_t operator()(const IdempotencyKey& key) const noexcept { return key.hash(); }
};

namespace detail {

template <class Hash>
class RecordShards {
 public:
  using Gate = ReadersGate;
  using Table = RecordTable;
  using Block = const PackedRecord*;

  struct alignas(64) Shard {
    Gate gate;
    Table table;
  };

  struct Place {
    Shard& shard;
    TableHash hash;
  };

  /// Where a scan goes on: behind this order and key, or at this order.
  struct Cursor {
    std::size_t shard = 0;
    std::uint32_t order = 0;
    std::string key = {};  // empty: all of this order are still to come
  };

  static constexpr std::size_t page_size = 64;  // records that a scan takes at a time

  /// Throws `invalid_options` for a number of shards that is no power of two from 1 to 4096.
  RecordShards(std::size_t shards, Hash hash)
      : count_(checked(shards)), shards_(std::make_unique<Shard[]>(shards)), hash_(std::move(hash)) {
    for (std::size_t left = count_; left > 1; left /= 2) ++bits_;
  }

  /// The shard of a key, with the memory already asked for where a search will begin.
  Place place_of(const IdempotencyKey& key) const { return place_of(hash_(key)); }

  /// The same, of a key that has this hash.
  Place place_of(std::uint64_t hash) const {
    const auto [shard, within] = split(hash);
    Place place{shards_[shard], within};
    place.shard.table.prefetch(within);
    return place;
  }

  /// Asks for that memory only.
  void prefetch(std::uint64_t hash) const noexcept {
    const auto [shard, within] = split(hash);
    shards_[shard].table.prefetch(within);
  }

  /// What a table looks at of this hash.
  TableHash within_shard(std::uint64_t hash) const noexcept { return split(hash).second; }

  /// The hash of the key with these `bytes()`.
  std::uint64_t hash_of(std::string_view key) const {
    if constexpr (std::is_same_v<Hash, KeyHash>)
      return hash64(key);  // what the key would carry
    else
      return hash_(IdempotencyKey::from_bytes(key));
  }

  Cursor begin_of(std::string_view after) const {
    if (after.empty()) return {};
    const auto [shard, hash] = split(hash_(IdempotencyKey::from_bytes(after)));
    return {shard, hash.order, std::string(after)};
  }
  bool at_end(const Cursor& cursor) const noexcept { return cursor.shard >= count_; }

  /// Calls `take(block) -> bool`, under the shard's lock, for some of what comes behind the cursor and passes
  /// the filter, in order, until it returns false, and moves the cursor on behind what was taken: `most`
  /// records, `page_size` at most. `room` is kept between calls for its memory.
  ///
  /// A filter that lets only unfinished records through has the walk go through these alone. The cursor means
  /// the same in both.
  template <class Take>
  void read_page(const ScanFilter& filter, Cursor& cursor, std::vector<Block>& room, std::size_t most,
                 Take&& take) {
    if (most > page_size) most = page_size;
    room.clear();
    Shard& shard = shards_[cursor.shard];
    const SlotTable& table = wants_unfinished(filter) ? shard.table.unfinished() : shard.table.all();
    warm(shard, table, cursor.order);
    const Gate::Reading hold(shard.gate);
    const std::size_t capacity = table.capacity();
    const std::size_t begin = capacity == 0 ? 0 : table.home(cursor.order);
    // Up to a gap: all that have their homes before it have been seen then. Those of the last homes may stand
    // at the table's beginning.
    std::size_t at = begin;
    bool overfull = false;
    for (; at < 2 * capacity; ++at) {
      const Block block = table.block(at & (capacity - 1));
      if (!block) {
        if (at >= capacity || room.size() >= most || at - begin >= slots_at_once) break;
        continue;
      }
      const bool wrapped = table.home(block->hash()) > (at & (capacity - 1));
      if (wrapped != (at >= capacity) || !is_behind(cursor, *block) || !passes(filter, *block)) continue;
      std::size_t to = room.size();
      if (to == most) {
        overfull = true;
        if (!before(block, room.back()->hash(), room.back()->key())) continue;
        room.pop_back();
        --to;
      }
      while (to > 0 && before(block, room[to - 1]->hash(), room[to - 1]->key())) --to;
      room.insert(room.begin() + static_cast<std::ptrdiff_t>(to), block);
    }
    std::size_t taken = 0;
    while (taken < room.size() && take(*room[taken])) ++taken;
    if (taken < room.size()) {
      overfull = true;
      room.resize(taken + 1);
    }
    if (overfull)
      cursor = {cursor.shard, room.back()->hash(), std::string(room.back()->key())};
    else if (at < capacity)
      cursor = {cursor.shard, table.first_order(at), {}};
    else
      cursor = {cursor.shard + 1, 0, {}};
  }

  /// What became of a slot, and whether that counts.
  enum class Taken : std::uint8_t { out, in_place, not_at_all };

  /// Goes round the shards from where the last round stopped and calls `take(table, slot) -> Taken`, under
  /// the shard's lock, for what has expired, until `limit` were taken or all have been seen. Returns how many
  /// were taken.
  template <class Take>
  std::size_t sweep(Timestamp now, std::size_t limit, Take&& take) {
    const std::uint64_t start = swept_.load(std::memory_order_relaxed);
    std::size_t taken = 0;
    std::uint64_t shard = start >> 32;
    std::uint32_t order = static_cast<std::uint32_t>(start);
    for (std::size_t part = 0; part <= count_ && taken < limit; ++part) {
      const bool back_at_start = part == count_;
      const std::uint32_t end = back_at_start ? static_cast<std::uint32_t>(start) : 0;
      bool goes_on = true;
      while (goes_on && taken < limit) goes_on = sweep_some(shard, order, end, now, limit, taken, take);
      if (goes_on) break;
      shard = (shard + 1) % count_;
      order = 0;
    }
    swept_.store(shard << 32 | order, std::memory_order_relaxed);
    return taken;
  }

 private:
  static constexpr std::size_t slots_at_once = 128;  // that a walk looks at under a lock

  static std::size_t checked(std::size_t shards) {
    if (shards == 0 || shards > 4096 || (shards & (shards - 1)) != 0)
      throw Error(errc::invalid_options, "the number of shards must be a power of two from 1 to 4096");
    return shards;
  }

  /// The highest bits choose the shard, the next 32 the home in its table, the lowest are the tag.
  std::pair<std::size_t, TableHash> split(std::uint64_t hash) const noexcept {
    return {bits_ == 0 ? 0 : static_cast<std::size_t>(hash >> (64 - bits_)),
            {static_cast<std::uint32_t>((hash << bits_) >> 32), static_cast<std::uint16_t>(hash)}};
  }

  /// Asks for the blocks that a walk will look at next. Behind the lock, so that no more is done under it
  /// than what needs it: a thread that walks is at work for long, and is sooner or later interrupted wherever
  /// it is. One that is gone by now is asked for in vain.
  static void warm(Shard& shard, const SlotTable& table, std::uint32_t order) {
    Block blocks[slots_at_once];
    std::size_t count = 0;
    {
      const Gate::Reading hold(shard.gate);
      const std::size_t end = table.capacity();
      for (std::size_t at = end == 0 ? 0 : table.home(order); at < end && count < slots_at_once; ++at)
        if (const Block block = table.block(at)) blocks[count++] = block;
    }
    for (std::size_t i = 0; i < count; ++i) {
      __builtin_prefetch(blocks[i]);
      blocks[i]->prefetch();
    }
  }

  static bool before(Block block, std::uint32_t order, std::string_view key) noexcept {
    return block->hash() != order ? block->hash() < order : block->key() < key;
  }

  static bool passes(const ScanFilter& filter, const PackedRecord& block) {
    if (filter.updated_before && block.updated_at() >= *filter.updated_before) return false;
    if (filter.states.empty()) return true;
    for (const State state : filter.states)
      if (state == block.state()) return true;
    return false;
  }

  static bool wants_unfinished(const ScanFilter& filter) noexcept {
    for (const State state : filter.states)
      if (!is_unfinished(state)) return false;
    return !filter.states.empty();
  }

  static bool is_behind(const Cursor& cursor, const PackedRecord& block) noexcept {
    if (block.hash() != cursor.order) return block.hash() > cursor.order;
    return cursor.key.empty() || block.key() > cursor.key;
  }

  /// Sweeps some slots of a shard from `order` on and moves it on. False: it has come to `end`, where 0 is
  /// the shard's.
  template <class Take>
  bool sweep_some(std::size_t which, std::uint32_t& order, std::uint32_t end, Timestamp now,
                  std::size_t limit, std::size_t& taken, Take& take) {
    Shard& shard = shards_[which];
    Table& table = shard.table;
    warm(shard, table.all(), order);
    const Gate::Writing hold(shard.gate);
    const SlotTable& slots = table.all();
    const std::size_t capacity = slots.capacity();
    if (capacity == 0) return false;
    std::size_t at = slots.home(order);
    const std::size_t last = end == 0 ? capacity : slots.home(end);
    for (std::size_t looked = 0; at < last && looked < slots_at_once; ++looked) {
      const Block block = table.block(at);
      if (!block || !block->expired(now)) {
        ++at;
        continue;
      }
      if (taken == limit) break;
      const Taken how = take(table, at);
      if (how != Taken::out) ++at;
      if (how != Taken::not_at_all) ++taken;
    }
    if (at >= last) {
      table.shrink();
      return false;
    }
    order = slots.first_order(at);
    return true;
  }

  const std::size_t count_;
  unsigned bits_ = 0;
  const std::unique_ptr<Shard[]> shards_;
  [[no_unique_address]] Hash hash_;
  std::atomic<std::uint64_t> swept_{0};  // the next shard and order that a sweep looks at
};

}  // namespace detail
}  // namespace paidonce::inline v1
