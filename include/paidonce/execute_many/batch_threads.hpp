#pragma once
// The threads of a batch of payments.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// After each payment of a batch.
struct BatchProgress {
  std::size_t finished = 0;  ///< so many so far, this one included
  std::size_t total = 0;
  std::size_t payment = 0;  ///< which one it was: its place in the range, from 0
};

struct BatchOptions {
  /// Payments at the same time.
  std::size_t concurrency = 4;
  /// Called after each payment, by one thread at a time. What it throws is dropped, since the payments are
  /// what counts.
  std::function<void(const BatchProgress&)> progress = {};
  /// Payments that have not started when it is requested do not start; those that run are finished. Null:
  /// nothing stops the batch. Give it to the retries within, too, so that their pauses end.
  Stop* stop = nullptr;
};

namespace detail {

/// What a batch needs to know of its work: how to do the one at a place. Does not throw, but for the
/// unwinding of a thread that is being ended.
struct BatchWork {
  void* context;
  void (*run)(void* context, std::size_t place);
};

/// Hands the places from 0 to `total` out to threads. One for all batches, whatever their payments are.
class BatchThreads {
 public:
  BatchThreads(const BatchOptions& options, std::size_t total, BatchWork work)
      : options_(options), total_(total), work_(work) {}
  BatchThreads(const BatchThreads&) = delete;
  BatchThreads& operator=(const BatchThreads&) = delete;

  /// Nothing starts any more, where the caller's thread is being ended; what runs is waited for.
  ~BatchThreads() {
    taken_.store(total_);
    const NotCancellable waiting;
    for (std::thread& thread : helpers_) thread.join();
  }

  /// Returns when there is nothing left to start.
  void run() {
    start_helpers();
    take_and_run();
  }

 private:
  /// The threads beside the caller's own. Where the system has no more of them, those that there are do.
  void start_helpers() {
    const std::size_t wanted = std::min(options_.concurrency, total_);
    const SignalsBlocked blocked;
    try {
      while (helpers_.size() + 1 < wanted) helpers_.emplace_back([this] { take_and_run(); });
    } catch (const std::exception&) {
    }
  }

  void take_and_run() {
    for (std::size_t place; !stopped() && (place = taken_++) < total_;) {
      work_.run(work_.context, place);
      report(place);
    }
  }

  bool stopped() const noexcept { return options_.stop != nullptr && options_.stop->requested(); }

  void report(std::size_t place) {
    if (!options_.progress) return;
    const std::lock_guard lock(reporting_);
    try {
      options_.progress({++finished_, total_, place});
    } catch (const ForcedUnwind&) {
      throw;
    } catch (...) {
    }
  }

  const BatchOptions& options_;
  const std::size_t total_;
  const BatchWork work_;
  std::vector<std::thread> helpers_;
  std::atomic<std::size_t> taken_{0};
  std::mutex reporting_;
  std::size_t finished_ = 0;  // with reporting_
};

}  // namespace detail
}  // namespace paidonce::inline v1
