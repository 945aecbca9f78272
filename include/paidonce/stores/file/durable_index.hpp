#pragma once
// The records of a file store in memory, whole, so that reading costs no I/O. A record is in the index from
// the moment that its frame is queued; the mark behind its block says which frame that is, and so whether it
// is on disk yet.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/file/chunk_queue.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/pending_frame.hpp>
#include <paidonce/stores/memory/record_shards.hpp>

namespace paidonce::inline v1::detail {

/// Which frame holds a block.
struct FrameMark {
  static constexpr std::size_t size = 8;  // bytes behind a block

  file_format::Sequence sequence = 0;
  bool copied = false;  ///< the frame repeats, for a compaction, what was durable before
  bool erased = false;  ///< the frame erases the key; once that is durable, the block counts as gone

  static FrameMark of(const PackedRecord& block) noexcept {
    std::uint64_t bits;
    std::memcpy(&bits, block.behind(), sizeof bits);
    return {bits & most, (bits & copied_bit) != 0, (bits & erased_bit) != 0};
  }
  void put(const PackedRecord& block) const noexcept {
    const std::uint64_t bits = sequence | (copied ? copied_bit : 0) | (erased ? erased_bit : 0);
    std::memcpy(block.behind(), &bits, sizeof bits);
  }
  /// What a reader of the block waits for.
  file_format::Sequence awaited() const noexcept { return copied ? 0 : sequence; }

 private:
  static constexpr std::uint64_t copied_bit = std::uint64_t{1} << 63;
  static constexpr std::uint64_t erased_bit = std::uint64_t{1} << 62;
  static constexpr std::uint64_t most = erased_bit - 1;
};

/// Thread-safe. `Commit` is a GroupCommit.
template <class Hash, class Commit>
class DurableIndex {
 public:
  using Shards = RecordShards<Hash>;
  using Place = typename Shards::Place;
  using Packed = PackedRecord::Owner;
  using Sequence = file_format::Sequence;

  /// What a write found.
  enum class Met : std::uint8_t {
    nothing,  ///< in its way: its frame is queued
    another,  ///< another record or version, or none
    pending,  ///< a write to the same key that is not on disk yet; come again when it is
  };
  struct Finding {
    Met met = Met::nothing;
    Sequence awaited = 0;  ///< to be durable before what was found may be told
  };

  DurableIndex(std::size_t shards, Hash hash, Commit& commit)
      : shards_(shards, std::move(hash)), commit_(commit) {}

  Place place_of(const IdempotencyKey& key) const { return shards_.place_of(key); }
  Shards& shards() noexcept { return shards_; }

  static Packed pack(const Place& place, const IdempotencyKey& key, const Record& record) {
    Packed packed = PackedRecord::make(key.bytes(), place.hash.order, record, FrameMark::size);
    Table::check_address(packed);
    return packed;
  }

  /// Copies the record, which may be told once the returned sequence is durable.
  Sequence find(const Place& place, const IdempotencyKey& key, std::optional<Record>& found) {
    const Gate::Reading hold(place.shard.gate);
    const std::size_t at = place.shard.table.find(place.hash, key.bytes());
    if (at == Table::nowhere) return 0;
    const PackedRecord& block = *place.shard.table.block(at);
    const FrameMark mark = FrameMark::of(block);
    if (!mark.erased) block.unpack(found.emplace());
    return mark.awaited();
  }

  /// `frame` carries the bytes of `packed`. Where it is queued, `room.use()` is called, `packed` moved from,
  /// and with a callback all that is passed here may be gone when this returns.
  template <class Room>
  Finding insert(const Place& place, const IdempotencyKey& key, Packed& packed, PendingFrame& frame,
                 Room& room, std::optional<Record>& there) {
    Packed replaced;  // freed behind the lock
    const Gate::Writing hold(place.shard.gate);
    Table& table = place.shard.table;
    const std::size_t at = table.find(place.hash, key.bytes());
    if (at == Table::nowhere) {
      table.reserve(packed->state());
      const PackedRecord& added = *packed;
      room.use();
      table.add(std::move(packed), place.hash);
      queue(frame, added);
      return {};
    }
    const PackedRecord& block = *table.block(at);
    const FrameMark mark = FrameMark::of(block);
    if (!mark.erased) {
      block.unpack(there.emplace());
      return {Met::another, mark.awaited()};
    }
    if (!commit_.is_durable(mark.sequence)) return {Met::pending, mark.sequence};
    table.reserve_exchange(at, packed->state());
    replaced = exchange(table, at, packed, frame, room);
    return {};
  }

  /// As above.
  template <class Room>
  Finding replace(const Place& place, const IdempotencyKey& key, Version expected, Packed& packed,
                  PendingFrame& frame, Room& room) {
    Packed replaced;
    const Gate::Writing hold(place.shard.gate);
    Table& table = place.shard.table;
    const std::size_t at = table.find(place.hash, key.bytes());
    if (at == Table::nowhere) return {Met::another, 0};
    const PackedRecord& block = *table.block(at);
    const FrameMark mark = FrameMark::of(block);
    if (mark.erased || block.version() != expected) return {Met::another, mark.awaited()};
    if (!commit_.is_durable(mark.sequence)) return {Met::pending, mark.sequence};
    table.reserve_exchange(at, packed->state());
    uncount(block);
    replaced = exchange(table, at, packed, frame, room);
    return {};
  }

  /// Marks as erased, in a frame of its own, what has expired and is on disk. `next_frame(block)` gives the
  /// frame that erases a block, or null to pass it over.
  template <class NextFrame>
  std::size_t erase_expired(Timestamp now, std::size_t limit, NextFrame&& next_frame) {
    return shards_.sweep(now, limit, [&](Table& table, std::size_t at) {
      const PackedRecord& block = *table.block(at);
      const FrameMark mark = FrameMark::of(block);
      if (mark.erased || !commit_.is_durable(mark.sequence)) return Shards::Taken::not_at_all;
      PendingFrame* const frame = next_frame(block);
      if (!frame) return Shards::Taken::not_at_all;
      uncount(block);
      commit_.submit(*frame,
                     [&](Sequence sequence) { FrameMark{.sequence = sequence, .erased = true}.put(block); });
      return Shards::Taken::in_place;
    });
  }

  /// Takes an erased block out, unless the key has begun anew meanwhile.
  void take_out(const IdempotencyKey& key, Sequence erased_by) {
    const Place place = shards_.place_of(key);
    const Gate::Writing hold(place.shard.gate);
    const std::size_t at = place.shard.table.find(place.hash, key.bytes());
    if (at == Table::nowhere) return;
    const FrameMark mark = FrameMark::of(*place.shard.table.block(at));
    if (mark.erased && mark.sequence == erased_by) place.shard.table.erase(at);
  }

  /// Whether the frame of this sequence is the one that holds the key's record.
  bool is_held_by(Sequence sequence, const IdempotencyKey& key) const {
    const Place place = shards_.place_of(key);
    const Gate::Reading hold(place.shard.gate);
    return held_at(sequence, place, key) != Table::nowhere;
  }

  /// If so still, queues `frame`, which repeats the record. False: it is not.
  bool copy_if_held_by(Sequence sequence, const IdempotencyKey& key, PendingFrame& frame) {
    const Place place = shards_.place_of(key);
    const Gate::Writing hold(place.shard.gate);
    const std::size_t at = held_at(sequence, place, key);
    if (at == Table::nowhere) return false;
    const PackedRecord& block = *place.shard.table.block(at);
    frame.carry(file_format::Kind::put, block.bytes());
    commit_.submit(frame, [&](Sequence copy) { FrameMark{.sequence = copy, .copied = true}.put(block); });
    return true;
  }

  // ---- while the store is opened ----

  /// Makes the blocks of what a chunk of the log puts. Any thread may do so, in any order of chunks.
  void prepare(LogChunk& chunk) const {
    for (LogFrame& frame : chunk.frames) {
      if (frame.key.empty()) continue;
      frame.hash = shards_.hash_of(frame.key);
      if (frame.kind != file_format::Kind::put) continue;
      frame.block =
          PackedRecord::copy_of(frame.payload, shards_.within_shard(frame.hash).order, FrameMark::size);
      Table::check_address(frame.block);
      FrameMark{.sequence = frame.sequence}.put(*frame.block);
      frame.state = frame.block->state();
    }
  }

  /// Takes over what a prepared chunk says. One thread does so, chunk after chunk. `done` of `all` bytes of
  /// the log were taken over before.
  void recover(LogChunk& chunk, std::uint64_t done, std::uint64_t all) {
    constexpr std::size_t ahead = 16;  // frames whose places are asked for
    const double growth = done > all / 16 ? static_cast<double>(all) / static_cast<double>(done) : 0;
    Counts counts;
    for (std::size_t i = 0; i < chunk.frames.size(); ++i) {
      if (i + ahead < chunk.frames.size()) shards_.prefetch(chunk.frames[i + ahead].hash);
      LogFrame& frame = chunk.frames[i];
      if (frame.key.empty()) continue;
      const Place place = shards_.place_of(frame.hash);
      Table& table = place.shard.table;
      const std::size_t at = table.find(place.hash, frame.key);
      if (at != Table::nowhere) counts.remove(*table.block(at));
      if (frame.kind == file_format::Kind::erase) {
        if (at != Table::nowhere) table.erase(at);
        continue;
      }
      counts.add(1, frame.state, file_format::frame_head_size + frame.payload.size());
      if (at != Table::nowhere) {
        table.reserve_exchange(at, frame.state);
        table.exchange(at, std::move(frame.block));
      } else {
        table.reserve(frame.state, static_cast<std::size_t>(static_cast<double>(table.size()) * growth));
        table.add(std::move(frame.block), place.hash);
      }
    }
    count(counts);
  }

  /// Calls `look(block)` for all records that are unfinished.
  template <class Look>
  void for_each_unfinished(Look&& look) {
    std::vector<const PackedRecord*> room;
    const ScanFilter unfinished{.states = {State::in_progress, State::in_doubt}};
    for (typename Shards::Cursor cursor; !shards_.at_end(cursor);)
      shards_.read_page(unfinished, cursor, room, Shards::page_size, [&look](const PackedRecord& block) {
        look(block);
        return true;
      });
  }

  std::uint64_t records() const noexcept { return records_.load(std::memory_order_relaxed); }
  std::uint64_t unfinished() const noexcept { return unfinished_.load(std::memory_order_relaxed); }
  std::uint64_t live_bytes() const noexcept { return live_bytes_.load(std::memory_order_relaxed); }

 private:
  using Gate = ReadersGate;
  using Table = RecordTable;

  static std::uint64_t frame_size(const PackedRecord& block) noexcept {
    return file_format::frame_head_size + block.bytes().size();
  }

  static std::size_t held_at(Sequence sequence, const Place& place, const IdempotencyKey& key) {
    const Table& table = place.shard.table;
    const std::size_t at = table.find(place.hash, key.bytes());
    if (at == Table::nowhere) return at;
    const FrameMark mark = FrameMark::of(*table.block(at));
    return !mark.erased && mark.sequence == sequence ? at : Table::nowhere;
  }

  template <class Room>
  Packed exchange(Table& table, std::size_t at, Packed& packed, PendingFrame& frame, Room& room) {
    const PackedRecord& added = *packed;
    room.use();
    Packed replaced = table.exchange(at, std::move(packed));
    queue(frame, added);
    return replaced;
  }

  void queue(PendingFrame& frame, const PackedRecord& block) {
    count(block);
    commit_.submit(frame, [&](Sequence sequence) { FrameMark{.sequence = sequence}.put(block); });
  }

  /// What records come to, and what is added to that; both modulo 2^64.
  struct Counts {
    std::uint64_t records = 0, unfinished = 0, live_bytes = 0;

    void add(const PackedRecord& block) noexcept { add(1, block.state(), frame_size(block)); }
    void remove(const PackedRecord& block) noexcept {
      add(~std::uint64_t{0}, block.state(), frame_size(block));
    }
    /// `times` may be -1.
    void add(std::uint64_t times, State state, std::uint64_t bytes) noexcept {
      records += times;
      live_bytes += times * bytes;
      if (is_unfinished(state)) unfinished += times;
    }
  };

  void count(const Counts& added) noexcept {
    records_.fetch_add(added.records, std::memory_order_relaxed);
    live_bytes_.fetch_add(added.live_bytes, std::memory_order_relaxed);
    if (added.unfinished != 0) unfinished_.fetch_add(added.unfinished, std::memory_order_relaxed);
  }
  void count(const PackedRecord& block) noexcept {
    Counts counts;
    counts.add(block);
    count(counts);
  }
  void uncount(const PackedRecord& block) noexcept {
    Counts counts;
    counts.remove(block);
    count(counts);
  }

  Shards shards_;
  Commit& commit_;
  alignas(64) std::atomic<std::uint64_t> records_{0};
  std::atomic<std::uint64_t> unfinished_{0};
  std::atomic<std::uint64_t> live_bytes_{0};
};

}  // namespace paidonce::inline v1::detail
