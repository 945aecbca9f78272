#pragma once
// Many writes, one sync. Frames are queued in the order of their sequences; one thread at a time, the
// committer, takes all that are queued, has them written and synced, and tells their owners.
//
// Few callers commit for themselves: the first that comes leads, lingers until as many have gathered as the
// last time, and hands the lead to one of those that queued meanwhile, so that nobody is woken only to wake
// others. Many callers, and all callbacks, are served by a thread, which costs a wake-up more and then
// commits without pause. docs/performance.md has what each gains.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>

#include <sched.h>

#include <paidonce/detail/background_thread.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/pending_frame.hpp>

namespace paidonce::inline v1::detail {

/// `Log` has `commit(const PendingFrame* first)`, which throws where the frames are not durable. Thread-safe.
template <class Log>
class GroupCommit {
 public:
  using Sequence = file_format::Sequence;

  /// The log need not be there before `begin_behind`.
  explicit GroupCommit(Log& log) noexcept : log_(log) {}
  GroupCommit(const GroupCommit&) = delete;
  GroupCommit& operator=(const GroupCommit&) = delete;
  ~GroupCommit() { stop(); }

  /// Before anything else: the last sequence of the log, which is durable.
  void begin_behind(Sequence last) noexcept {
    last_ = last;
    durable_.store(last, std::memory_order_relaxed);
  }

  /// Settles what is queued for callbacks, then ends the thread. Nothing may be submitted any more.
  void stop() noexcept {
    {
      const std::lock_guard hold(mutex_);
      stopping_ = true;
    }
    work_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  /// Whether the frame of this sequence is on disk. Nothing is any more once a commit has failed.
  bool is_durable(Sequence sequence) const noexcept {
    return sequence <= durable_.load(std::memory_order_acquire);
  }

  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
  [[noreturn, gnu::cold]] void throw_failure() const {
    throw Error(errc::store_poisoned,
                why_failed_ +
                    ". Nothing of this store is answered any more: close it and open it again, which "
                    "reads what is on the disk");
  }

  /// Gives the frame its sequence, which `on_sequence` is told, and queues it. `settle`, or its callback,
  /// tells what became of it; one with a callback may be gone when this returns, and needs `start_thread`
  /// before. Waits for no I/O.
  template <class OnSequence>
  void submit(PendingFrame& frame, OnSequence&& on_sequence) {
    bool poke = false;
    {
      const std::lock_guard hold(mutex_);
      if (frame.carries == PendingFrame::Carries::frame) ++last_;
      frame.sequence = last_;
      frame.next = nullptr;
      on_sequence(last_);
      (first_ ? newest_->next : first_) = &frame;
      newest_ = &frame;
      queued_.store(queued_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      if (frame.tells == PendingFrame::Tells::callback) ++callbacks_;
      if (committer_ == Committer::nobody) {
        if (frame.tells == PendingFrame::Tells::waiter) {
          committer_ = Committer::caller;
          frame.state.store(PendingFrame::leading, std::memory_order_relaxed);
        } else if (frame.tells == PendingFrame::Tells::callback) {
          committer_ = Committer::thread;
          poke = true;
        }  // a frame that tells nobody waits for the next one that does
      }
    }
    if (poke) work_.notify_one();
  }

  void submit(PendingFrame& frame) {
    submit(frame, [](Sequence) {});
  }

  /// Waits for a submitted frame that tells its waiter; commits for others meanwhile where that is due.
  /// Throws `store_poisoned` where it is not durable.
  void settle(PendingFrame& frame) {
    const NotCancellable whole;
    std::uint32_t state = frame.state.load(std::memory_order_acquire);
    while (state != PendingFrame::settled) {
      if (state == PendingFrame::leading) {
        lead(frame);
        break;
      }
      if (state == PendingFrame::waiting &&
          !frame.state.compare_exchange_strong(state, PendingFrame::asleep, std::memory_order_acq_rel))
        continue;
      frame.state.wait(PendingFrame::asleep, std::memory_order_acquire);
      state = frame.state.load(std::memory_order_acquire);
    }
    if (!frame.durable) throw_failure();
  }

  /// Waits until all that was submitted before is durable.
  void settle_all() {
    PendingFrame barrier(PendingFrame::Tells::waiter);
    submit(barrier);
    settle(barrier);
  }

  /// Throws `store_unavailable` where there can be no thread.
  void start_thread() {
    if (started_.load(std::memory_order_acquire)) return;
    const std::lock_guard hold(mutex_);
    start_thread_locked();
  }

  /// Counts the groups; the same number twice means that the same group was being gathered.
  std::uint64_t group() const noexcept { return groups_.load(std::memory_order_relaxed); }
  std::uint64_t writes() const noexcept { return writes_.load(std::memory_order_relaxed); }

 private:
  enum class Committer : std::uint8_t { nobody, caller, thread };

  static constexpr std::size_t thread_from = 16;   // queued at once: from here on a thread commits
  static constexpr std::size_t callers_below = 8;  // in a group: for so many groups in a row callers do again
  static constexpr int small_groups = 16;
  static constexpr int most_yields = 32;

  struct Batch {
    PendingFrame* first = nullptr;
    std::size_t size = 0;
  };

  void gather() const noexcept {
    for (int yields = 0; yields < most_yields; ++yields) {
      if (queued_.load(std::memory_order_relaxed) >= last_group_) return;
      ::sched_yield();
    }
  }

  /// Under the mutex.
  Batch take_queue() noexcept {
    const Batch batch{first_, queued_.load(std::memory_order_relaxed)};
    first_ = newest_ = nullptr;
    callbacks_ = 0;
    queued_.store(0, std::memory_order_relaxed);
    groups_.store(groups_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return batch;
  }

  /// As the committer. Takes frames that tell nobody out of the batch: they may be gone as soon as a later
  /// group is settled, and so as soon as somebody else commits.
  void commit(Batch& batch) noexcept {
    last_group_ = batch.size;
    bool durable = false;
    if (!failed_.load(std::memory_order_relaxed)) {
      try {
        log_.commit(batch.first);
        durable = true;
      } catch (const std::exception& failure) {
        fail(failure.what());
      } catch (...) {
        fail("a write to the log failed");
      }
    }
    Sequence last = 0;
    std::uint64_t records = 0;
    PendingFrame** kept_at = &batch.first;
    for (PendingFrame* frame = batch.first; frame; frame = frame->next) {
      frame->durable = durable;
      last = frame->sequence;
      if (frame->carries == PendingFrame::Carries::frame && frame->is_of_a_record()) ++records;
      if (frame->tells == PendingFrame::Tells::nobody) continue;
      *kept_at = frame;
      kept_at = &frame->next;
    }
    *kept_at = nullptr;
    if (!durable) return;
    writes_.store(writes_.load(std::memory_order_relaxed) + records, std::memory_order_relaxed);
    durable_.store(last, std::memory_order_release);
  }

  [[gnu::cold]] void fail(const char* why) noexcept {
    try {
      why_failed_ = why;
    } catch (...) {
    }
    failed_.store(true, std::memory_order_release);
    durable_.store(0, std::memory_order_release);
  }

  /// Tells the owners, but for `own`. Those with callbacks are put aside. Frames may be gone once told.
  PendingFrame* tell(const Batch& batch, const PendingFrame* own) noexcept {
    PendingFrame* called = nullptr;
    PendingFrame** call_at = &called;
    for (PendingFrame* frame = batch.first; frame;) {
      PendingFrame* const next = frame->next;
      if (frame->tells == PendingFrame::Tells::callback) {
        frame->next = nullptr;
        *call_at = frame;
        call_at = &frame->next;
      } else if (frame != own) {
        wake(*frame, PendingFrame::settled);
      }
      frame = next;
    }
    return called;
  }

  static void wake(PendingFrame& frame, PendingFrame::State state) noexcept {
    std::atomic<std::uint32_t>& word = frame.state;
    if (word.exchange(state, std::memory_order_acq_rel) == PendingFrame::asleep) word.notify_one();
  }

  static void call(PendingFrame* frame) noexcept {
    while (frame) {
      PendingFrame* const next = frame->next;
      frame->call(*frame);
      frame = next;
    }
  }

  /// Commits one group, in which `own` is, on its caller's thread.
  void lead(PendingFrame& own) noexcept {
    gather();
    std::unique_lock hold(mutex_);
    Batch batch = take_queue();
    hold.unlock();
    commit(batch);
    hold.lock();
    PendingFrame* const next_leader = hand_over();
    hold.unlock();
    if (next_leader) wake(*next_leader, PendingFrame::leading);
    if (PendingFrame* const called = tell(batch, &own)) {
      hold.lock();
      (called_first_ ? called_newest_->next : called_first_) = called;
      called_newest_ = called;
      while (called_newest_->next) called_newest_ = called_newest_->next;
      hold.unlock();
      work_.notify_one();
    }
  }

  /// Under the mutex: who commits next. Null where nobody has to be woken for it, or the thread is.
  PendingFrame* hand_over() noexcept {
    PendingFrame* const next = first_waiter();
    if (!first_ || (!next && callbacks_ == 0)) {
      committer_ = Committer::nobody;
      return nullptr;
    }
    if (callbacks_ > 0 || (queued_.load(std::memory_order_relaxed) >= thread_from && try_start_thread())) {
      committer_ = Committer::thread;
      small_ = 0;
      work_.notify_one();
      return nullptr;
    }
    committer_ = Committer::caller;
    return next;
  }

  PendingFrame* first_waiter() const noexcept {
    PendingFrame* frame = first_;
    while (frame && frame->tells != PendingFrame::Tells::waiter) frame = frame->next;
    return frame;
  }

  /// Under the mutex.
  void start_thread_locked() {
    if (started_.load(std::memory_order_relaxed)) return;
    thread_ = start_store_thread([this] { run(); });
    started_.store(true, std::memory_order_release);
  }
  bool try_start_thread() noexcept {
    try {
      start_thread_locked();
      return true;
    } catch (...) {
      return false;
    }
  }

  void run() noexcept {
    std::unique_lock hold(mutex_);
    for (;;) {
      if (called_first_) {
        PendingFrame* const called = called_first_;
        called_first_ = called_newest_ = nullptr;
        hold.unlock();
        call(called);
        hold.lock();
        continue;
      }
      if (committer_ != Committer::thread) {
        if (stopping_ && committer_ == Committer::nobody) return;
        work_.wait(hold);
        continue;
      }
      if (!first_) {
        hold.unlock();
        gather();
        hold.lock();
        if (first_) continue;
        committer_ = Committer::nobody;
        continue;
      }
      Batch batch = take_queue();
      hold.unlock();
      commit(batch);
      PendingFrame* const called = tell(batch, nullptr);
      small_ = batch.size < callers_below && !called ? small_ + 1 : 0;
      call(called);
      hold.lock();
      if (small_ >= small_groups)
        if (PendingFrame* const next = hand_over()) {
          hold.unlock();
          wake(*next, PendingFrame::leading);
          hold.lock();
        }
    }
  }

  Log& log_;
  std::mutex mutex_;
  PendingFrame* first_ = nullptr;  // queued, in the order of their sequences
  PendingFrame* newest_ = nullptr;
  std::size_t callbacks_ = 0;  // of these
  Sequence last_ = 0;
  Committer committer_ = Committer::nobody;
  PendingFrame* called_first_ = nullptr;  // settled, for the thread to call
  PendingFrame* called_newest_ = nullptr;
  bool stopping_ = false;
  std::condition_variable work_;  // for the thread

  // The committer's.
  std::size_t last_group_ = 0;
  int small_ = 0;
  std::string why_failed_ = "a write to the log failed";  // written before `failed_`

  std::atomic<std::size_t> queued_{0};
  std::atomic<std::uint64_t> groups_{0}, writes_{0};
  std::atomic<bool> failed_{false}, started_{false};
  alignas(64) std::atomic<Sequence> durable_{0};
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
