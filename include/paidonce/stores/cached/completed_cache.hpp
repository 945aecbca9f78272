#pragma once
// Completed records in memory, for a while: as many as there is room for, those that were not asked for going
// first. What is read elsewhere is kept only if nothing was written, or forgotten, under its key meanwhile.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include <paidonce/stores/memory/readers_gate.hpp>
#include <paidonce/stores/memory/record_table.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe. Whoever reads a record from its store takes `seen()` before and hands it to `keep()`; whoever
/// writes calls `forget()` before and after.
class CompletedCache {
 public:
  /// How often keys of a kind had been forgotten.
  using Seen = std::uint32_t;

  struct Size {
    std::size_t records = 0;
    std::size_t bytes = 0;
  };

  CompletedCache(std::size_t most_records, std::size_t most_bytes)
      : bits_(bits_for(most_records, most_bytes)),
        records_each_(most_records >> bits_),
        bytes_each_(most_bytes >> bits_),
        shards_(std::make_unique<Shard[]>(std::size_t{1} << bits_)) {}

  /// The record of a key, unless it is not kept or no longer to be told. Throws std::bad_alloc.
  std::optional<Record> find(const IdempotencyKey& key, Timestamp now) {
    std::optional<Record> found;
    const TableHash hash = hash_of(key);
    Shard& shard = shard_of(key);
    shard.table.prefetch(hash);
    const ReadersGate::Reading hold(shard.gate);
    const std::size_t at = shard.table.find(hash, key.bytes());
    if (at == RecordTable::nowhere) return found;
    const Kept kept(*shard.table.block(at));
    if (now >= kept.until()) return found;
    kept.use();
    shard.table.block(at)->unpack(found.emplace());
    return found;
  }

  Seen seen(const IdempotencyKey& key) const noexcept { return forgotten_of(key).load(); }

  /// Keeps a completed record until then, if its key was not forgotten since it was `seen`. Throws
  /// std::bad_alloc, and what PackedRecord throws; then nothing has changed.
  void keep(const IdempotencyKey& key, const Record& record, Timestamp now, Timestamp until, Seen seen) {
    const TableHash hash = hash_of(key);
    PackedRecord::Owner block = PackedRecord::make(key.bytes(), hash.order, record, Kept::size);
    RecordTable::check_address(block);
    const std::size_t bytes = bytes_of(*block);
    if (bytes > bytes_each_) return;
    Kept(*block).start(until);
    Shard& shard = shard_of(key);
    const ReadersGate::Writing hold(shard.gate);
    if (forgotten_of(key).load() != seen) return;
    shard.table.reserve(record.state);
    erase(shard, shard.table.find(hash, key.bytes()));
    while (shard.table.size() >= records_each_ || shard.bytes + bytes > bytes_each_) evict_one(shard, now);
    shard.table.add(std::move(block), hash);
    shard.bytes += bytes;
  }

  /// Also what others have read and not kept yet.
  Seen forget(const IdempotencyKey& key) noexcept {
    const Seen seen = forgotten_of(key).fetch_add(1) + 1;
    Shard& shard = shard_of(key);
    const TableHash hash = hash_of(key);
    if (!holds(shard, hash, key)) return seen;
    const ReadersGate::Writing hold(shard.gate);
    erase(shard, shard.table.find(hash, key.bytes()));
    return seen;
  }

  /// Whatever has expired at that time.
  void forget_expired(Timestamp now) noexcept {
    forget_those([now](const PackedRecord& block) { return block.expired(now); });
  }
  void forget_all() noexcept {
    forget_those([](const PackedRecord&) { return true; });
  }

  Size size() const noexcept {
    Size sum;
    for (std::size_t i = 0; i < std::size_t{1} << bits_; ++i) {
      const ReadersGate::Reading hold(shards_[i].gate);
      sum.records += shards_[i].table.size();
      sum.bytes += shards_[i].bytes;
    }
    return sum;
  }

 private:
  struct alignas(64) Shard {
    ReadersGate gate;
    RecordTable table;
    std::size_t bytes = 0;
    std::size_t hand = 0;  // the slot that the next search for something to evict begins at
  };

  /// What stands behind a block: until when it is told, and whether it was, since the hand came by.
  class Kept {
   public:
    static constexpr std::size_t size = sizeof(std::int64_t) + 1;
    explicit Kept(const PackedRecord& block) noexcept : at_(block.behind()) {}

    void start(Timestamp until) const noexcept {
      const std::int64_t millis = until.time_since_epoch().count();
      std::memcpy(at_, &millis, sizeof millis);
      at_[sizeof millis] = 0;
    }
    Timestamp until() const noexcept {
      std::int64_t millis = 0;
      std::memcpy(&millis, at_, sizeof millis);
      return Timestamp(Duration(millis));
    }
    void use() const noexcept {
      if (used().load(std::memory_order_relaxed) == 0) used().store(1, std::memory_order_relaxed);
    }
    bool was_used() const noexcept { return used().exchange(0, std::memory_order_relaxed) != 0; }

   private:
    std::atomic_ref<char> used() const noexcept { return std::atomic_ref<char>(at_[sizeof(std::int64_t)]); }
    char* at_;
  };

  static constexpr std::size_t most_bits = 6;
  static constexpr std::size_t kinds = 1024;
  static constexpr std::size_t least_records = 64, least_bytes = std::size_t{1} << 20;  // of a shard

  static unsigned bits_for(std::size_t most_records, std::size_t most_bytes) noexcept {
    unsigned bits = 0;
    while (bits < most_bits && most_records >> (bits + 1) >= least_records &&
           most_bytes >> (bits + 1) >= least_bytes)
      ++bits;
    return bits;
  }

  // As RecordShards: the highest bits choose the shard, the next 32 the home, the lowest are the tag.
  TableHash hash_of(const IdempotencyKey& key) const noexcept {
    return {static_cast<std::uint32_t>((key.hash() << bits_) >> 32), static_cast<std::uint16_t>(key.hash())};
  }
  Shard& shard_of(const IdempotencyKey& key) const noexcept {
    return shards_[bits_ == 0 ? 0 : static_cast<std::size_t>(key.hash() >> (64 - bits_))];
  }
  std::atomic<Seen>& forgotten_of(const IdempotencyKey& key) const noexcept {
    return forgotten_[key.hash() % kinds];
  }

  static std::size_t bytes_of(const PackedRecord& block) noexcept {
    constexpr std::size_t around = 32;  // the slots of a table half full, and the allocator's own
    return block.bytes().size() + Kept::size + around;
  }

  static bool holds(Shard& shard, TableHash hash, const IdempotencyKey& key) noexcept {
    const ReadersGate::Reading hold(shard.gate);
    return shard.table.find(hash, key.bytes()) != RecordTable::nowhere;
  }

  static void erase(Shard& shard, std::size_t at) noexcept {
    if (at == RecordTable::nowhere) return;
    shard.bytes -= bytes_of(*shard.table.block(at));
    shard.table.erase(at);
  }

  /// The hand goes round: what was used since it last came by is spared once, what is over never.
  static void evict_one(Shard& shard, Timestamp now) noexcept {
    for (;; ++shard.hand) {
      shard.hand &= shard.table.all().capacity() - 1;
      const PackedRecord* const block = shard.table.block(shard.hand);
      if (!block) continue;
      const Kept kept(*block);
      if (now < kept.until() && kept.was_used()) continue;
      return erase(shard, shard.hand);
    }
  }

  template <class Which>
  void forget_those(const Which& which) noexcept {
    for (std::size_t kind = 0; kind < kinds; ++kind) forgotten_[kind].fetch_add(1);
    for (std::size_t i = 0; i < std::size_t{1} << bits_; ++i) {
      Shard& shard = shards_[i];
      const ReadersGate::Writing hold(shard.gate);
      for (std::size_t at = 0; at < shard.table.all().capacity();) {
        const PackedRecord* const block = shard.table.block(at);
        if (block && which(*block))
          erase(shard, at);  // those behind it move up
        else
          ++at;
      }
      shard.table.shrink();
    }
  }

  const unsigned bits_;
  const std::size_t records_each_, bytes_each_;
  const std::unique_ptr<Shard[]> shards_;
  const std::unique_ptr<std::atomic<Seen>[]> forgotten_ = std::make_unique<std::atomic<Seen>[]>(kinds);
};

}  // namespace paidonce::inline v1::detail
