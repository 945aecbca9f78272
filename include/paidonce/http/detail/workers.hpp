#pragma once
// Threads that serve connections, and how many connections wait for one.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <httplib.h>

namespace paidonce::inline v1::http::detail {

/// Outlives the workers, which cpp-httplib makes and deletes.
class Waiting {
 public:
  std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  void set(std::size_t count) noexcept { count_.store(count, std::memory_order_relaxed); }

 private:
  std::atomic<std::size_t> count_ = 0;
};

/// `bool`, whether it was taken, or `void`: that differs between versions of cpp-httplib.
using Enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));

class Workers : public httplib::TaskQueue {
 public:
  Workers(std::size_t threads, Waiting& waiting) : waiting_(waiting) {
    try {
      for (std::size_t made = 0; made < threads; ++made) threads_.emplace_back([this] { work(); });
    } catch (...) {  // fewer threads than asked for are still a server
      if (threads_.empty()) throw;
    }
  }

  Enqueued enqueue(std::function<void()> job) override {
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      tell();
    }
    wanted_.notify_one();
    return Enqueued(true);
  }

  void shutdown() override {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    wanted_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      wanted_.wait(lock, [this] { return !jobs_.empty() || ended_; });
      --idle_;
      if (jobs_.empty()) return;
      std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      tell();
      lock.unlock();
      job();
      job = nullptr;
      lock.lock();
    }
  }
  void tell() { waiting_.set(jobs_.size() > idle_ ? jobs_.size() - idle_ : 0); }

  Waiting& waiting_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace paidonce::inline v1::http::detail
