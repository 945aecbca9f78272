#pragma once
// Copies of packed records, taken under a lock and read behind it.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/memory/packed_record.hpp>

namespace paidonce::inline v1::detail {

/// One page of a scan. All of them go into the memory that the first ones needed.
class RecordPage {
 public:
  void clear() noexcept { used_ = 0; }

  /// False: that was the last one that should be added. Throws std::bad_alloc.
  bool add(const PackedRecord& block) {
    const std::string_view bytes = block.bytes();
    const std::size_t size = (sizeof(std::size_t) + bytes.size() + 7) / 8 * 8;
    if (used_ + size > bytes_.size() * 8) bytes_.resize((used_ + size) / 4);
    char* const to = reinterpret_cast<char*>(bytes_.data()) + used_;
    std::memcpy(to, &size, sizeof size);
    std::memcpy(to + sizeof size, bytes.data(), bytes.size());
    used_ += size;
    return used_ < enough;
  }

  /// Calls `visit(key, record) -> bool` for each, in order, until it returns false; then returns false too.
  template <class Visit>
  bool visit(Visit&& visit) {
    const char* const begin = reinterpret_cast<const char*>(bytes_.data());
    for (std::size_t at = 0, size = 0; at < used_; at += size) {
      std::memcpy(&size, begin + at, sizeof size);
      const auto& block = *reinterpret_cast<const PackedRecord*>(begin + at + sizeof size);
      block.unpack_over(record_);
      if (!visit(IdempotencyKey::from_bytes(block.key()), record_)) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t enough = std::size_t{256} << 10;  // bytes that are copied under one lock

  std::vector<std::uint64_t> bytes_;
  std::size_t used_ = 0;
  Record record_;  // whose strings keep their memory
};

}  // namespace paidonce::inline v1::detail
