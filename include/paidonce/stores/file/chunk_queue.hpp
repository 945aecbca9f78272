#pragma once
// Hands pieces of the log from the thread that reads and verifies them to the one that uses them, in order.
// What can be prepared of a piece without those before it is prepared by whichever thread has the time.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/memory/packed_record.hpp>

namespace paidonce::inline v1::detail {

/// A frame that was verified.
struct LogFrame {
  file_format::Kind kind = file_format::Kind::put;
  bool superseded = false;  ///< by a later frame of the same chunk; known only where that is asked for
  file_format::Sequence sequence = 0;
  std::string_view payload = {};
  std::string_view key = {};  ///< in the payload of a put or an erase

  // Once prepared:
  State state = {};                ///< of what is put
  std::uint64_t hash = 0;          ///< of the key
  PackedRecord::Owner block = {};  ///< of what is put
};

/// Whole frames that were verified, one behind the other.
struct LogChunk {
  std::unique_ptr<char[]> bytes = {};
  std::size_t capacity = 0;
  std::size_t used = 0;
  std::vector<LogFrame> frames = {};

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
  using Prepare = std::function<void(LogChunk&)>;

  /// Thrown into the reading thread when the other one has given up.
  struct GivenUp {};

  /// At most `bound` chunks exist at a time; 0: any number. `prepare`, where there is one, is called for each
  /// chunk, by either thread, before it comes out of `next`; once more where it throws.
  ChunkQueue(std::size_t bound, Prepare prepare) : bound_(bound), prepare_(std::move(prepare)) {}

  // ---- who reads ----------------------------------------------------------------------------------------

  /// A chunk to be filled. While there is none, prepares others or waits; throws GivenUp.
  LogChunk take() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (given_up_) throw GivenUp();
      if (!free_.empty()) {
        LogChunk chunk = std::move(free_.back());
        free_.pop_back();
        return chunk;
      }
      if (bound_ == 0 || made_ < bound_) {
        ++made_;
        return {};
      }
      if (!prepare_last(lock)) changed_.wait(lock);
    }
  }

  void give(LogChunk chunk) {
    {
      const std::lock_guard lock(mutex_);
      full_.push_back({std::move(chunk)});
    }
    changed_.notify_one();
  }

  /// No more comes. `error` comes out of `next` behind the last chunk.
  void end(std::exception_ptr error) noexcept {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    error_ = std::move(error);
    changed_.notify_one();
  }

  /// Behind `end`: prepares what is left. What cannot be prepared is left to the other thread, as its error.
  void prepare_rest() noexcept {
    std::unique_lock lock(mutex_);
    try {
      while (!given_up_ && prepare_last(lock)) {
      }
    } catch (...) {
    }
  }

  // ---- who uses -----------------------------------------------------------------------------------------

  /// The next chunk; nothing at the end. Rethrows what ended the reading.
  std::optional<LogChunk> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return full_.empty() ? ended_ : full_.front().stage != Stage::in_work; });
    if (full_.empty()) {
      if (error_) std::rethrow_exception(error_);
      return std::nullopt;
    }
    Entry first = std::move(full_.front());
    full_.pop_front();
    lock.unlock();
    if (first.stage == Stage::read && prepare_) prepare_(first.chunk);
    return std::move(first.chunk);
  }

  void give_back(LogChunk chunk) {
    if (bound_ == 0) return;
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(std::move(chunk));
      if (free_.size() * 2 < bound_) return;  // waking costs: for several at once
    }
    changed_.notify_one();
  }

  void give_up() noexcept {
    const std::lock_guard lock(mutex_);
    given_up_ = true;
    changed_.notify_one();
  }

 private:
  enum class Stage : std::uint8_t { read, in_work, prepared };
  struct Entry {
    LogChunk chunk;
    Stage stage = Stage::read;
  };

  /// Prepares the last chunk that is not prepared: the other thread comes to it last. False: there is none.
  bool prepare_last(std::unique_lock<std::mutex>& lock) {
    if (!prepare_) return false;
    for (auto entry = full_.rbegin(); entry != full_.rend(); ++entry) {
      if (entry->stage != Stage::read) continue;
      Entry& mine = *entry;  // stays where it is: what is in work is not taken out, and the rest at the ends
      mine.stage = Stage::in_work;
      lock.unlock();
      std::exception_ptr error;
      try {
        prepare_(mine.chunk);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      mine.stage = error ? Stage::read : Stage::prepared;
      changed_.notify_one();
      if (error) std::rethrow_exception(error);
      return true;
    }
    return false;
  }

  const std::size_t bound_;
  const Prepare prepare_;
  std::mutex mutex_;
  std::condition_variable changed_;  // only one of the two threads waits at a time
  std::vector<LogChunk> free_;
  std::deque<Entry> full_;
  std::size_t made_ = 0;
  bool ended_ = false;
  bool given_up_ = false;
  std::exception_ptr error_;
};

}  // namespace paidonce::inline v1::detail
