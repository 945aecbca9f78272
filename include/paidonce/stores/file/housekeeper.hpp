#pragma once
// A thread that works when it is poked, and ends promptly.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <paidonce/detail/background_thread.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe, but for `start` and `stop`, which whoever owns it calls.
class Housekeeper {
 public:
  Housekeeper() = default;
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;
  ~Housekeeper() { stop(); }

  /// Calls `work()`, which does not throw, at once and then when poked. Throws `std::system_error` where
  /// there can be no thread.
  template <class Work>
  void start(Work work) {
    thread_ = start_store_thread([this, work]() noexcept {
      std::unique_lock hold(mutex_);
      while (!stopping()) {
        poked_ = false;
        hold.unlock();
        work();
        hold.lock();
        to_do_.wait(hold, [this] { return poked_ || stopping(); });
      }
    });
  }

  void poke() noexcept {
    {
      const std::lock_guard hold(mutex_);
      poked_ = true;
    }
    to_do_.notify_one();
  }

  /// Whether the work is to end soon.
  bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }

  void stop() noexcept {
    {
      const std::lock_guard hold(mutex_);
      stopping_.store(true, std::memory_order_relaxed);
    }
    to_do_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable to_do_;
  bool poked_ = false;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
