#pragma once
// How threads of a test wait for each other: for something that happened, never for time to pass.

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace fault {

/// Counts up; whoever waits is woken when enough has happened.
class Event {
 public:
  void happen() {
    {
      std::lock_guard lock(mutex_);
      ++count_;
    }
    changed_.notify_all();
  }

  /// Blocks until it has happened so often. False: it did not, in a time that no machine needs.
  bool await(int often = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(120), [&] { return count_ >= often; });
  }

  /// For what must not happen: whether it has not, for as long as is shown to it.
  bool stays_below(int often, std::chrono::milliseconds shown) {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, shown, [&] { return count_ >= often; });
  }

  int count() {
    std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

}  // namespace fault
