#pragma once
// A hash table of packed records that belong to somebody else: open addressing over slots of 8 bytes, which
// hold the block's address and 16 bits of the key's hash. A record's home is given by the upper bits of its
// hash, and it stands at its home or behind it with no gap between. So walking the slots meets records in the
// order of their hashes, but for those of one run, and that order outlasts growth. Not thread-safe, except
// for `prefetch`.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include <paidonce/stores/memory/packed_record.hpp>

namespace paidonce::inline v1::detail {

/// What a table looks at of a key's hash.
struct TableHash {
  std::uint32_t order;  ///< homes, and the order of a walk
  std::uint16_t tag;    ///< tells most of those apart that share a neighbourhood
};

class SlotTable {
 public:
  using Block = const PackedRecord*;
  /// A block and the tag of its key, in 8 bytes; 0 for none.
  using Slot = std::uint64_t;
  static constexpr std::size_t nowhere = SIZE_MAX;

  SlotTable() = default;
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;
  ~SlotTable() { delete[] slots(); }

  static Slot slot_of(Block block, std::uint16_t tag) noexcept {
    return static_cast<Slot>(reinterpret_cast<std::uintptr_t>(block)) << 16 | tag;
  }
  static Block block_of(Slot slot) noexcept {
    return reinterpret_cast<Block>(static_cast<std::uintptr_t>(slot >> 16));
  }
  static std::uint16_t tag_of(Slot slot) noexcept { return static_cast<std::uint16_t>(slot); }

  std::size_t size() const noexcept { return size_; }
  /// Number of slots: zero, or a power of two.
  std::size_t capacity() const noexcept { return slots() ? std::size_t{1} << bits() : 0; }
  Slot slot(std::size_t at) const noexcept { return slots()[at]; }
  /// What stands in a slot; null for nothing.
  Block block(std::size_t at) const noexcept { return block_of(slots()[at]); }
  /// Where records of this order belong.
  std::size_t home(std::uint32_t order) const noexcept { return order >> (32 - bits()); }
  /// The lowest order that belongs to a slot.
  std::uint32_t first_order(std::size_t at) const noexcept {
    return static_cast<std::uint32_t>(at << (32 - bits()));
  }
  std::size_t next(std::size_t at) const noexcept { return (at + 1) & (capacity() - 1); }

  /// Asks for the memory where a search will begin. May be called beside anything else.
  void prefetch(TableHash hash) const noexcept {
    const auto begin = reinterpret_cast<std::uintptr_t>(slots());
    const unsigned known_bits = bits();
    if (known_bits != 0)
      __builtin_prefetch(
          reinterpret_cast<const void*>(begin + (hash.order >> (32 - known_bits)) * sizeof(Slot)));
  }

  /// Where the record of a key stands, or `nowhere`.
  std::size_t find(TableHash hash, std::string_view key) const noexcept {
    if (size_ == 0) return nowhere;
    for (std::size_t at = home(hash.order);; at = next(at)) {
      const Slot slot = slots()[at];
      if (slot == 0) return nowhere;
      if (tag_of(slot) != hash.tag) continue;
      const Block there = block_of(slot);
      there->prefetch();
      if (there->key() == key) return at;
    }
  }

  /// Where this slot stands, which is there; its block has this order. Touches no block.
  std::size_t find(std::uint32_t order, Slot slot) const noexcept {
    std::size_t at = home(order);
    while (slots()[at] != slot) at = next(at);
    return at;
  }

  bool has_room() const noexcept { return slots() != nullptr && size_ + 1 <= capacity() / 4 * 3; }

  /// Makes room for one more where there is none, and then for `expected` in all. Throws std::bad_alloc,
  /// having changed nothing.
  void reserve(std::size_t expected = 0) {
    if (!has_room()) grow(expected);
  }

  /// Adds a slot that is not there, once there is room.
  void add(std::uint32_t order, Slot slot) noexcept {
    place(slots(), bits(), order, slot);
    ++size_;
  }

  /// Puts another block of the same key into a slot.
  void set(std::size_t at, Slot slot) noexcept { slots()[at] = slot; }

  /// Empties a slot; those behind it move up.
  void erase(std::size_t hole) noexcept {
    const std::size_t mask = capacity() - 1;
    for (std::size_t at = next(hole); slots()[at] != 0; at = next(at)) {
      const std::size_t from_home = (at - home(block(at)->hash())) & mask;
      if (from_home < ((at - hole) & mask)) continue;
      slots()[hole] = slots()[at];
      hole = at;
    }
    slots()[hole] = 0;
    --size_;
  }

  /// Whether less than a sixteenth of it is used.
  bool is_sparse() const noexcept { return bits() > first_bits + 1 && size_ * 16 < capacity(); }

  /// Gives memory back where little is left. Does nothing where there is none to do it with.
  void shrink() noexcept {
    unsigned fitting = bits();
    while (fitting > first_bits && size_ * 4 < std::size_t{1} << fitting) --fitting;
    if (fitting + 2 > bits()) return;
    try {
      rehash(fitting);
    } catch (const std::bad_alloc&) {
    }
  }

 private:
  static constexpr unsigned first_bits = 3;

  static void place(Slot* slots, unsigned bits, std::uint32_t order, Slot slot) noexcept {
    const std::size_t mask = (std::size_t{1} << bits) - 1;
    std::size_t at = order >> (32 - bits);
    while (slots[at] != 0) at = (at + 1) & mask;
    slots[at] = slot;
  }

  [[gnu::noinline]] void grow(std::size_t expected) {
    unsigned fitting = slots() == nullptr ? first_bits : bits() + 1;
    while (fitting < 32 && expected > (std::size_t{1} << fitting) / 4 * 3) ++fitting;
    rehash(fitting);
  }

  void rehash(unsigned new_bits) {
    if (new_bits > 32) throw std::bad_alloc();
    std::unique_ptr<Slot[]> fresh(new Slot[std::size_t{1} << new_bits]());
    const std::size_t end = capacity();
    constexpr std::size_t ahead = 12;
    for (std::size_t at = 0; at < end; ++at) {
      if (at + ahead < end) __builtin_prefetch(block(at + ahead));
      if (slots()[at] != 0) place(fresh.get(), new_bits, block(at)->hash(), slots()[at]);
    }
    delete[] slots();
    slots_.store(fresh.release(), std::memory_order_relaxed);
    bits_.store(new_bits, std::memory_order_relaxed);
  }

  Slot* slots() const noexcept { return slots_.load(std::memory_order_relaxed); }
  unsigned bits() const noexcept { return bits_.load(std::memory_order_relaxed); }

  std::atomic<Slot*> slots_{nullptr};  // atomic for `prefetch` alone
  std::atomic<unsigned> bits_{0};
  std::size_t size_ = 0;
};

}  // namespace paidonce::inline v1::detail
