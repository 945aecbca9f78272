#pragma once
// Threads for clauses with races: they meet before each round, and a failure on one of them is the clause's.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Where the threads of a race wait for each other. Spins, so that they leave at the same moment.
class StartLine {
 public:
  explicit StartLine(std::size_t threads) : threads_(threads) {}

  void meet() {
    const std::size_t round = round_.load();
    if (arrived_.fetch_add(1) + 1 == threads_) {
      arrived_.store(0);
      round_.fetch_add(1);
      return;
    }
    while (round_.load() == round) {
      go_on();
      std::this_thread::yield();
    }
  }

  /// Throws when another thread has failed, so that nobody waits for what it would have done.
  void go_on() const {
    if (broken_.load()) throw ClauseFailed("another thread of this clause gave up");
  }

  /// Nobody waits any more: a thread has failed.
  void give_up() noexcept { broken_.store(true); }

 private:
  const std::size_t threads_;
  std::atomic<std::size_t> arrived_ = 0;
  std::atomic<std::size_t> round_ = 0;
  std::atomic<bool> broken_ = false;
};

/// Calls `body(number, line)` on that many threads and passes on the first thing that any of them throws.
template <class Body>
void race(std::size_t count, Body body) {
  StartLine line(count);
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (std::size_t number = 0; number < count; ++number)
    threads.emplace_back([&, number] {
      try {
        body(number, line);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        line.give_up();
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

/// A call on a thread of its own that may turn out to hang. What it uses, it shares: a call that never
/// returns is left behind, and must not find its lock or store gone.
class Call {
 public:
  template <class Body>
  explicit Call(Body body) : state_(std::make_shared<State>()) {
    thread_ = std::thread([state = state_, body = std::move(body)]() mutable {
      std::exception_ptr thrown;
      try {
        body();
      } catch (...) {
        thrown = std::current_exception();
      }
      std::lock_guard lock(state->mutex);
      state->thrown = thrown;
      state->done = true;
      state->changed.notify_all();
    });
  }
  Call(Call&&) = default;
  Call& operator=(Call&&) = delete;
  ~Call() {
    if (!thread_.joinable()) return;
    if (returns_within(Duration(2000)))
      thread_.join();
    else
      thread_.detach();
  }

  bool returns_within(Duration patience) {
    std::unique_lock lock(state_->mutex);
    return state_->changed.wait_for(lock, patience, [&] { return state_->done; });
  }

  /// Throws what the call threw, or that it hangs.
  void finish(Duration patience, const std::string& what) {
    expect(returns_within(patience), what + ": expected the call to return, it still ran after " +
                                         std::to_string(patience.count()) + " ms");
    thread_.join();
    if (state_->thrown) std::rethrow_exception(state_->thrown);
  }

 private:
  struct State {
    std::mutex mutex = {};
    std::condition_variable changed = {};
    bool done = false;
    std::exception_ptr thrown = {};
  };
  std::shared_ptr<State> state_;
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
