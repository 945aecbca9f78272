#pragma once
// Which of some frames is the last one of its key. What begins a payment and what completes it mostly stand
// near each other in a log, and whoever wants the outcome alone can pass the former over.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <paidonce/stores/file/crc32c.hpp>

namespace paidonce::inline v1::detail {

/// The index of the last frame of each key; knows so many keys, and overlooks those that come behind.
class LatestFrames {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;

  void clear() {
    slots_.assign(capacity, Slot{});
    size_ = 0;
  }

  /// Notes the frame of this index as the last of its key; the one that it supersedes, or `none`.
  /// `key_of(index)` is the key of a frame that was noted since `clear`.
  template <class KeyOf>
  std::uint32_t note(std::string_view key, std::uint32_t frame, KeyOf&& key_of) {
    const std::uint32_t hash = crc32c(0, key.data(), key.size());
    for (std::size_t at = hash % capacity;; at = (at + 1) % capacity) {
      Slot& slot = slots_[at];
      if (slot.frame == none) {
        if (size_ == most) return none;
        ++size_;
        slot = {hash, frame};
        return none;
      }
      if (slot.hash != hash || key_of(slot.frame) != key) continue;
      const std::uint32_t superseded = slot.frame;
      slot.frame = frame;
      return superseded;
    }
  }

 private:
  static constexpr std::size_t capacity = 8192, most = 6000;
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t frame = none;
  };
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace paidonce::inline v1::detail
