#pragma once
// Which of some frames is the last one of its key. What begins a payment and what completes it mostly stand
// near each other in a log, and whoever wants the outcome alone can pass the former over.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <paidonce/stores/file/crc32c.hpp>

namespace paidonce::inline v1::detail {

/// Keys and the index of the last frame of each; knows so many keys, and overlooks those that come behind.
class LatestFrames {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;

  void clear() {
    slots_.assign(capacity, Slot{});
    size_ = 0;
  }

  /// Notes the frame of this index as the last of its key; the one that it supersedes, or `none`. The key's
  /// bytes stay where they are until `clear`.
  std::uint32_t note(std::string_view key, std::uint32_t frame) noexcept {
    const std::uint32_t hash = crc32c(0, key.data(), key.size());
    for (std::size_t at = hash % capacity;; at = (at + 1) % capacity) {
      Slot& slot = slots_[at];
      if (!slot.key) {
        if (size_ == most) return none;
        ++size_;
        slot = {key.data(), static_cast<std::uint32_t>(key.size()), hash, frame};
        return none;
      }
      if (slot.hash != hash || std::string_view(slot.key, slot.size) != key) continue;
      const std::uint32_t superseded = slot.frame;
      slot.frame = frame;
      return superseded;
    }
  }

 private:
  static constexpr std::size_t capacity = 8192, most = 6000;
  struct Slot {
    const char* key = nullptr;
    std::uint32_t size = 0;
    std::uint32_t hash = 0;
    std::uint32_t frame = 0;
  };
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace paidonce::inline v1::detail
