#pragma once
// Hands pieces of the log from the thread that reads and verifies them to the one that uses them, in order.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace paidonce::inline v1::detail {

/// Whole frames that were verified, one behind the other.
struct LogChunk {
  std::unique_ptr<char[]> bytes = {};
  std::size_t capacity = 0;
  std::size_t used = 0;
  std::vector<std::uint32_t> frames =
      {};  ///< where those begin that are to be used, in order; or `passed_over`

  static constexpr std::uint32_t passed_over = UINT32_MAX;

  /// Makes room for `size` bytes, of which the first `keep` stay.
  void reserve(std::size_t size, std::size_t keep) {
    if (size <= capacity) return;
    auto larger = std::make_unique_for_overwrite<char[]>(size);
    if (keep > 0) std::memcpy(larger.get(), bytes.get(), keep);
    bytes = std::move(larger);
    capacity = size;
  }
};

/// One thread reads, one uses; with no bound it may be the same thread, one after the other.
class ChunkQueue {
 public:
  /// Thrown into the reading thread when the other one has given up.
  struct GivenUp {};

  /// At most `bound` chunks exist at a time; 0: any number.
  explicit ChunkQueue(std::size_t bound) noexcept : bound_(bound) {}

  // ---- who reads ----------------------------------------------------------------------------------------

  /// A chunk to be filled. Waits for one; throws GivenUp.
  LogChunk take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return given_up_ || !free_.empty() || bound_ == 0 || made_ < bound_; });
    if (given_up_) throw GivenUp();
    if (free_.empty()) {
      ++made_;
      return {};
    }
    LogChunk chunk = std::move(free_.back());
    free_.pop_back();
    return chunk;
  }

  void give(LogChunk chunk) {
    const std::lock_guard lock(mutex_);
    full_.push_back(std::move(chunk));
    changed_.notify_one();
  }

  /// No more comes. `error` comes out of `next` behind the last chunk.
  void end(std::exception_ptr error) noexcept {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    error_ = std::move(error);
    changed_.notify_one();
  }

  // ---- who uses -----------------------------------------------------------------------------------------

  /// The next chunk; nothing at the end. Rethrows what ended the reading.
  std::optional<LogChunk> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ || at_ < full_.size(); });
    if (at_ == full_.size()) {
      if (error_) std::rethrow_exception(error_);
      return std::nullopt;
    }
    LogChunk chunk = std::move(full_[at_++]);
    if (at_ == full_.size()) {
      full_.clear();
      at_ = 0;
    }
    return chunk;
  }

  void give_back(LogChunk chunk) {
    const std::lock_guard lock(mutex_);
    if (bound_ == 0) return;
    free_.push_back(std::move(chunk));
    changed_.notify_one();
  }

  void give_up() noexcept {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    changed_.notify_one();
  }

 private:
  const std::size_t bound_;
  std::mutex mutex_;
  std::condition_variable changed_;  // only one of the two threads waits at a time
  std::vector<LogChunk> free_, full_;
  std::size_t at_ = 0;  // of the next in `full_`
  std::size_t made_ = 0;
  bool ended_ = false;
  bool given_up_ = false;
  std::exception_ptr error_;
};

}  // namespace paidonce::inline v1::detail
