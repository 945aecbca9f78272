#pragma once
// The records of one shard, and once more those that are unfinished: a payment is unfinished for a moment and
// finished for a day, so that whoever looks for what is stuck walks the second table, which is as small as
// there is little of that. Both have the same order. Not thread-safe, except for `prefetch`.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <paidonce/record.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include <paidonce/stores/memory/slot_table.hpp>

namespace paidonce::inline v1::detail {

/// Whether nobody knows yet how it ends.
constexpr bool is_unfinished(State state) noexcept {
  return state == State::in_progress || state == State::in_doubt;
}

/// Owns its blocks. What ends a payment needs no memory: room is made where one begins.
class RecordTable {
 public:
  using Block = const PackedRecord*;
  using Slot = SlotTable::Slot;
  static constexpr std::size_t nowhere = SlotTable::nowhere;

  RecordTable() = default;
  RecordTable(const RecordTable&) = delete;
  RecordTable& operator=(const RecordTable&) = delete;
  ~RecordTable() {
    for (std::size_t at = 0; at < all_.capacity(); ++at) PackedRecord::Free()(all_.block(at));
  }

  /// For walks. `at`, in all else here, is a slot of the first.
  const SlotTable& all() const noexcept { return all_; }
  const SlotTable& unfinished() const noexcept { return unfinished_; }

  std::size_t size() const noexcept { return all_.size(); }
  Block block(std::size_t at) const noexcept { return all_.block(at); }

  /// Asks for the memory where a search will begin. May be called beside anything else.
  void prefetch(TableHash hash) const noexcept { all_.prefetch(hash); }

  /// The slot of a key, or `nowhere`.
  std::size_t find(TableHash hash, std::string_view key) const noexcept { return all_.find(hash, key); }

  /// Makes room for one more record of this state; where the table has to grow, for `expected` in all.
  /// Throws std::bad_alloc, having changed nothing that counts.
  void reserve(State state, std::size_t expected = 0) {
    all_.reserve(expected);
    if (is_unfinished(state)) unfinished_.reserve();
  }

  /// Adds a block whose key is not there, once there is room.
  void add(PackedRecord::Owner block, TableHash hash) noexcept {
    const Slot slot = SlotTable::slot_of(block.get(), hash.tag);
    if (is_unfinished(block->state())) unfinished_.add(hash.order, slot);
    all_.add(hash.order, slot);
    static_cast<void>(block.release());
  }

  /// Makes room for a block of this state in place of one. Throws std::bad_alloc as above, and never where
  /// that one is unfinished.
  void reserve_exchange(std::size_t at, State state) {
    if (is_unfinished(state) && !is_unfinished(block(at)->state())) unfinished_.reserve();
  }

  /// Puts another block of the same key into a slot, once there is room, and hands back the one that was
  /// there.
  PackedRecord::Owner exchange(std::size_t at, PackedRecord::Owner block) noexcept {
    const Slot old = all_.slot(at);
    PackedRecord::Owner replaced(SlotTable::block_of(old));
    const Slot slot = SlotTable::slot_of(block.get(), SlotTable::tag_of(old));
    const bool unfinished = is_unfinished(block->state());
    if (is_unfinished(replaced->state())) {
      const std::size_t there = unfinished_.find(replaced->hash(), old);
      if (unfinished)
        unfinished_.set(there, slot);
      else
        erase_unfinished(there);
    } else if (unfinished) {
      unfinished_.add(block->hash(), slot);
    }
    all_.set(at, slot);
    static_cast<void>(block.release());
    return replaced;
  }

  /// Empties a slot; those behind it move up. Hands back what was there.
  PackedRecord::Owner erase(std::size_t at) noexcept {
    PackedRecord::Owner erased(block(at));
    if (is_unfinished(erased->state())) erase_unfinished(unfinished_.find(erased->hash(), all_.slot(at)));
    all_.erase(at);
    return erased;
  }

  /// Gives memory back where little is left. Does nothing where there is none to do it with.
  void shrink() noexcept { all_.shrink(); }

  /// Whether a block can be kept: its address has 48 bits, as all in user space have where nothing else was
  /// asked of the kernel.
  static void check_address(const PackedRecord::Owner& block) {
    if (reinterpret_cast<std::uintptr_t>(block.get()) >> 48 != 0)
      PackedRecord::refuse("the allocator gave an address of more than 48 bits");
  }

 private:
  /// A walk costs the slots that there are, so they are given back at once; that room was made for a record
  /// that is gone or ended, and so nobody needs it.
  void erase_unfinished(std::size_t there) noexcept {
    unfinished_.erase(there);
    if (unfinished_.is_sparse()) unfinished_.shrink();
  }

  SlotTable all_;
  SlotTable unfinished_;
};

}  // namespace paidonce::inline v1::detail
