#pragma once
// Segments prepared ahead of the writer, and how much room is left in what is prepared. They are filled with
// zeros in step with what is written, so that neither the writer waits for them nor they hold the disk up.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include <paidonce/stores/file/segment_file.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe.
template <FilePolicy Files>
class SegmentSupply {
 public:
  struct Sizes {
    std::uint64_t next;  ///< of the next segment; each is twice as large as the one before
    std::uint64_t largest;
    std::uint64_t smallest;  ///< that is of any use: holds the longest frame
  };

  SegmentSupply(Files& files, int directory, Durability durability, std::uint64_t next_number, Sizes sizes)
      : files_(files),
        directory_(directory),
        durability_(durability),
        next_number_(next_number),
        sizes_(sizes) {}

  SegmentSupply(const SegmentSupply&) = delete;
  SegmentSupply& operator=(const SegmentSupply&) = delete;
  /// What is half made takes no room on the disk behind it.
  ~SegmentSupply() {
    if (making_) files_.unlink_at(directory_, file_format::temporary_name);
  }

  /// Bytes for frames in the segments that are ready and in the rest of the one that is written.
  std::int64_t room() const noexcept { return room_.load(std::memory_order_relaxed); }

  /// Takes room where, behind it, so much is left; false: there is not enough.
  bool take_room(std::int64_t size, std::int64_t left) noexcept {
    std::int64_t room = room_.load(std::memory_order_relaxed);
    do {
      if (room - size < left) return false;
    } while (!room_.compare_exchange_weak(room, room - size, std::memory_order_relaxed));
    return true;
  }
  void give_room(std::int64_t size) noexcept { room_.fetch_add(size, std::memory_order_relaxed); }

  /// One step towards one more ready segment. Throws where the disk does not allow for it: `store_full`,
  /// or what else is wrong.
  void step() {
    const std::lock_guard hold(mutex_);
    step_locked();
  }

  /// Whether a step is due when the segment that is written is `used` bytes of `size` full.
  bool due(std::uint64_t used, std::uint64_t size) {
    const std::lock_guard hold(mutex_);
    if (!ready_.empty()) return false;
    const std::uint64_t whole = making_ ? making_->size() : sizes_.next;
    const std::uint64_t done = making_ ? making_->done() : 0;
    const std::uint64_t ahead = 2 * SegmentInTheMaking<Files>::step_size;
    return done < ahead || done < whole / 8 + static_cast<std::uint64_t>(static_cast<double>(whole) *
                                                                         static_cast<double>(used) /
                                                                         static_cast<double>(size));
  }

  /// The next segment; made at once where none is ready. Throws as `step`.
  SegmentFile<Files> take() {
    const std::lock_guard hold(mutex_);
    while (ready_.empty()) step_locked();
    SegmentFile<Files> segment = std::move(ready_.front());
    ready_.pop_front();
    ready_bytes_.fetch_sub(segment.size, std::memory_order_relaxed);
    ready_count_.fetch_sub(1, std::memory_order_relaxed);
    return segment;
  }

  std::uint64_t ready_count() const noexcept { return ready_count_.load(std::memory_order_relaxed); }
  /// Size of the files that are ready.
  std::uint64_t ready_bytes() const noexcept { return ready_bytes_.load(std::memory_order_relaxed); }

 private:
  void step_locked() {
    if (!making_) making_.emplace(files_, directory_, sizes_.next, durability_);
    try {
      if (!making_->filled()) making_->step();
    } catch (const Error& error) {
      if (error.code() != errc::store_full || making_->done() < sizes_.smallest) throw;
      making_->cut_here();
    }
    if (!making_->filled()) return;
    SegmentInTheMaking<Files> made = std::move(*making_);
    making_.reset();  // a segment whose making failed in the end is made anew
    SegmentFile<Files> segment = std::move(made).finish(next_number_);
    ++next_number_;
    const std::uint64_t size = segment.size;
    ready_.push_back(std::move(segment));
    sizes_.next = sizes_.next * 2 < sizes_.largest ? sizes_.next * 2 : sizes_.largest;
    ready_bytes_.fetch_add(size, std::memory_order_relaxed);
    ready_count_.fetch_add(1, std::memory_order_relaxed);
    give_room(static_cast<std::int64_t>(size - file_format::segment_head_size));
  }

  Files& files_;
  const int directory_;
  const Durability durability_;
  std::mutex mutex_;
  std::uint64_t next_number_;
  Sizes sizes_;
  std::optional<SegmentInTheMaking<Files>> making_;
  std::deque<SegmentFile<Files>> ready_;
  std::atomic<std::uint64_t> ready_bytes_{0}, ready_count_{0};
  std::atomic<std::int64_t> room_{0};
};

}  // namespace paidonce::inline v1::detail
