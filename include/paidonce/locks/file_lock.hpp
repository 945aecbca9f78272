#pragma once
// A mutex for each key, for all processes of one host: each key is a byte of one file, locked in the kernel.

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/locks/file/byte_locks.hpp>
#include <paidonce/locks/file/lock_file.hpp>
#include <paidonce/locks/keyed_mutex.hpp>

namespace paidonce::inline v1 {

/// Keeps apart all who open the same file on one host, in whatever process; what a process held is free when
/// it dies, however it dies. For stores that several processes share: a store of one process needs no more
/// than a KeyedMutex.
///
/// Threads of one FileLock queue, first come, first served. Other processes are waited for by looking again,
/// after 0.1 ms at first and 10 ms at most, since the kernel has no wait of bounded time for such locks; they
/// are served in no order, and one whose threads hand a key on without a pause can keep it for long. The
/// kernel walks the list of all bytes that are locked in the file: thousands held at once are slow.
///
/// Thread-safe; a movable handle. Holds must not outlive it.
///
/// A forked child has no part in it: there `acquire` throws `store_forked`, and neither its holds nor its
/// handle release anything. But while such a child lives, and has neither destroyed its handle nor executed
/// another program, its parent's locks outlive the parent.
template <LockFilePolicy Files = PosixLockFiles, class Offset = KeyOffset>
class BasicFileLock {
  struct State;

 public:
  class Hold {
   public:
    Hold(Hold&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)), at_(other.at_), turn_(std::move(other.turn_)) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(state_, other.state_);
      std::swap(at_, other.at_);
      std::swap(turn_, other.turn_);
      return *this;
    }
    ~Hold() {
      if (state_) {
        // What another thread had locked when the process was forked stays locked in the child for ever.
        if (!state_->process.is_this_one()) return;
        state_->file.release(at_);  // before the turn, whose next owner locks the same byte for the same file
      }
      std::destroy_at(&turn_);
    }

   private:
    friend class BasicFileLock;
    Hold(State& state, off_t at, KeyedMutex::Hold turn) noexcept
        : state_(&state), at_(at), turn_(std::move(turn)) {}
    State* state_;
    off_t at_;
    union {
      KeyedMutex::Hold turn_;
    };
  };

  /// Opens the file, or creates it, empty, for its owner alone; the directory must exist. Nothing is ever
  /// written into it. Keep it where only those who lock can write and nobody cleans up: not in /tmp.
  ///
  /// Throws Error: `invalid_options` where it is a link or no plain file, on a network file system, or where
  /// there is no such directory; `lock_unavailable` where the system refuses.
  explicit BasicFileLock(const std::filesystem::path& file, FileLockOptions options = {}, Files files = {},
                         Offset offset = {})
      : state_(new State(file, options, std::move(files), std::move(offset))) {}

  /// As Lock has it. Throws Error: `lock_unavailable` where the system refuses, or another part of the
  /// program has closed the file; `store_replaced` where somebody has removed the file or put another in its
  /// place, which others may lock meanwhile; `store_forked`; or `std::bad_alloc`.
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    State& state = *state_;
    if (!state.process.is_this_one()) refuse_child();
    const off_t at = state.offset(key);
    const auto deadline = deadline_after(wait);
    // Threads share the file's description, and so do keys that meet on one byte: the byte is what they queue
    // for.
    auto turn = state.queue.acquire(name_of(at), wait);
    if (!turn) return std::nullopt;
    for (auto pause = first_pause; !state.file.take(at);
         pause = pause < longest_pause / 2 ? 2 * pause : longest_pause)
      if (wait.count() <= 0 || !state.pause(pause, deadline)) return std::nullopt;
    return Hold(state, at, std::move(*turn));
  }

  /// Ends all waits, those to come too; keys that are free can still be taken. For good: it serves a
  /// shutdown.
  void interrupt() noexcept {
    if (state_->process.is_this_one()) state_->interrupt();
  }

 private:
  using Steady = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds first_pause{100};
  static constexpr std::chrono::microseconds longest_pause{10'000};

  static Steady::time_point deadline_after(Duration wait) {
    constexpr Duration longest = std::chrono::hours(24 * 365);
    if (wait.count() <= 0) return {};
    return Steady::now() + (wait < longest ? wait : longest);
  }

  static IdempotencyKey name_of(off_t at) {
    char bytes[sizeof at];
    std::memcpy(bytes, &at, sizeof at);
    return {{}, std::string_view(bytes, sizeof bytes)};
  }

  [[noreturn, gnu::cold]] static void refuse_child() {
    throw Error(errc::store_forked,
                "this lock file was opened before the process forked; open a FileLock in the child");
  }

  struct State {
    detail::LockFile<Files> file;
    Offset offset;
    detail::OwnProcess process = {};
    KeyedMutex queue = {};
    std::mutex mutex = {};
    std::condition_variable changed = {};
    bool interrupted = false;

    State(const std::filesystem::path& path, const FileLockOptions& options, Files files, Offset given_offset)
        : file(path, options, std::move(files)), offset(std::move(given_offset)) {}

    /// False: time is up, or the waits were ended.
    bool pause(std::chrono::microseconds length, Steady::time_point deadline) {
      const auto now = Steady::now();
      if (now >= deadline) return false;
      std::unique_lock lock(mutex);
      return !changed.wait_until(lock, now + length < deadline ? now + length : deadline,
                                 [&] { return interrupted; });
    }

    void interrupt() noexcept {
      {
        std::lock_guard lock(mutex);
        interrupted = true;
      }
      changed.notify_all();
      queue.interrupt();
    }
  };

  /// In a child only its own descriptor goes: threads that are not there may have locked the rest.
  struct Close {
    void operator()(State* state) const noexcept {
      if (state->process.is_this_one())
        delete state;
      else
        state->file.close();
    }
  };

  std::unique_ptr<State, Close> state_;
};

using FileLock = BasicFileLock<>;

static_assert(InterruptibleLock<FileLock>);

}  // namespace paidonce::inline v1
