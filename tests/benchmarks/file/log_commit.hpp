#pragma once
// Two ways for threads to share a commit: a leader among them, or a thread that does nothing else. A caller
// puts itself on a stack and sleeps on a word of its own until its frame is durable.

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <thread>

#include "benchmarks/file/futex.hpp"
#include "benchmarks/file/log_file.hpp"

namespace file_benchmark {

class Waiter {
 public:
  explicit Waiter(std::string_view frame) : frame_(frame) {}

  enum class State : std::uint32_t { waits, sleeps, done, leads };

  /// Until it is `done`, or `leads`.
  State wait() {
    auto waits = word(State::waits);
    if (word_.compare_exchange_strong(waits, word(State::sleeps), std::memory_order_acquire))
      while (word_.load(std::memory_order_acquire) == word(State::sleeps))
        futex_wait(word_, word(State::sleeps));
    return static_cast<State>(word_.load(std::memory_order_acquire));
  }
  /// The waiter may be gone when this returns.
  void tell(State what) {
    if (word_.exchange(word(what), std::memory_order_acq_rel) == word(State::sleeps)) futex_wake(word_);
  }
  bool is_done() const { return word_.load(std::memory_order_acquire) == word(State::done); }
  std::string_view frame() const { return frame_; }

  Waiter* next = nullptr;

 private:
  static constexpr std::uint32_t word(State state) { return static_cast<std::uint32_t>(state); }

  const std::string_view frame_;
  std::atomic<std::uint32_t> word_{word(State::waits)};
};

/// Anybody pushes; one thread at a time takes all.
class Waiters {
 public:
  void push(Waiter& waiter) {
    waiter.next = head_.load(std::memory_order_relaxed);
    while (!head_.compare_exchange_weak(waiter.next, &waiter, std::memory_order_seq_cst)) {
    }
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  /// In the order in which they came.
  Waiter* take_all(std::size_t& count) {
    Waiter* last = head_.exchange(nullptr, std::memory_order_acquire);
    Waiter* first = nullptr;
    count = 0;
    while (last) {
      Waiter* const before = last->next;
      last->next = first;
      first = last;
      last = before;
      ++count;
    }
    count_.fetch_sub(static_cast<std::ptrdiff_t>(count), std::memory_order_relaxed);
    return first;
  }
  Waiter* youngest() const { return head_.load(std::memory_order_seq_cst); }
  std::ptrdiff_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<Waiter*> head_{nullptr};
  std::atomic<std::ptrdiff_t> count_{0};
};

/// The first caller who finds nobody leading commits for all; whoever came meanwhile is led by one of their
/// own. A leader lingers a little while the group is smaller than the last one: those who were just served
/// are about to come back.
template <class Writer>
class LeaderCommit {
 public:
  LeaderCommit(const std::filesystem::path& directory, Sync sync) : writer_(directory, sync) {}

  void append(std::string_view frame) {
    Waiter me(frame);
    waiters_.push(me);
    if (!led_.exchange(true, std::memory_order_seq_cst)) {
      lead(me);
      return;
    }
    if (me.wait() == Waiter::State::leads) lead(me);
  }

 private:
  static constexpr int yields = 16;

  void lead(Waiter& me) {
    if (!me.is_done()) {
      for (int i = 0; i < yields && waiters_.count() < last_; ++i) sched_yield();
      std::size_t count = 0;
      Waiter* const group = waiters_.take_all(count);
      last_ = static_cast<std::ptrdiff_t>(count);
      for (Waiter* waiter = group; waiter; waiter = waiter->next) writer_.add(waiter->frame());
      writer_.commit();
      hand_over();
      for (Waiter* waiter = group; waiter;) {
        Waiter* const next = waiter->next;
        if (waiter != &me) waiter->tell(Waiter::State::done);
        waiter = next;
      }
    } else {
      hand_over();
    }
  }
  void hand_over() {
    for (;;) {
      if (Waiter* const next = waiters_.youngest()) {
        next->tell(Waiter::State::leads);
        return;
      }
      led_.store(false, std::memory_order_seq_cst);
      if (!waiters_.youngest() || led_.exchange(true, std::memory_order_seq_cst)) return;
    }
  }

  Writer writer_;
  Waiters waiters_;
  std::atomic<bool> led_{false};
  std::ptrdiff_t last_ = 1;
};

/// A thread commits whatever has come, again and again, and sleeps where nothing has.
template <class Writer>
class ThreadCommit {
 public:
  ThreadCommit(const std::filesystem::path& directory, Sync sync)
      : writer_(directory, sync), thread_([this] { work(); }) {}
  ~ThreadCommit() {
    ends_.store(true, std::memory_order_seq_cst);
    wake();
    thread_.join();
  }

  void append(std::string_view frame) {
    Waiter me(frame);
    waiters_.push(me);
    wake();
    me.wait();
  }

 private:
  void wake() {
    if (sleeps_.load(std::memory_order_seq_cst) != 0 && sleeps_.exchange(0, std::memory_order_seq_cst) != 0)
      futex_wake(sleeps_);
  }
  void work() {
    for (;;) {
      std::size_t count = 0;
      Waiter* waiter = waiters_.take_all(count);
      if (!waiter) {
        sleeps_.store(1, std::memory_order_seq_cst);
        if (waiters_.youngest() == nullptr) {
          if (ends_.load(std::memory_order_seq_cst)) return;
          futex_wait(sleeps_, 1);
        }
        sleeps_.store(0, std::memory_order_relaxed);
        continue;
      }
      for (Waiter* one = waiter; one; one = one->next) writer_.add(one->frame());
      writer_.commit();
      while (waiter) {
        Waiter* const next = waiter->next;
        waiter->tell(Waiter::State::done);
        waiter = next;
      }
    }
  }

  Writer writer_;
  Waiters waiters_;
  std::atomic<std::uint32_t> sleeps_{0};
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace file_benchmark
