#pragma once
// One timer for all running attempts of a guard. Most attempts end long before their first beat is due; those
// cost a link and an unlink in a short list, and no wake-up.

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>

#include <pthread.h>

#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/detail/signals_blocked.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe. The thread starts with the first `start()` and ends with the object; it sleeps until the
/// earliest beat that it knows of, and without end while there is none. Beats are made one after the other on
/// that thread.
class Heartbeats {
 public:
  static constexpr BootTime never = INT64_MAX;

  /// Something that beats. It outlives its stay between `add` and `remove`.
  class Beat {
   public:
    /// Does what is due and returns when it is due again, or `never`.
    virtual BootTime beat() noexcept = 0;

   protected:
    ~Beat() = default;

   private:
    friend class Heartbeats;
    Beat* previous_ = nullptr;
    Beat* next_ = nullptr;
    BootTime due_ = never;
    bool beating_ = false;
  };

  Heartbeats() = default;
  Heartbeats(const Heartbeats&) = delete;
  Heartbeats& operator=(const Heartbeats&) = delete;
  ~Heartbeats() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  /// Makes sure that the thread runs. Throws `std::system_error` where there can be none.
  void start() {
    if (!started_.load(std::memory_order_acquire)) start_thread();
  }

  void add(Beat& beat, BootTime due) noexcept {
    Shard& shard = shard_of(beat);
    {
      std::lock_guard lock(shard.mutex);
      beat.due_ = due;
      beat.next_ = shard.first;
      if (shard.first) shard.first->previous_ = &beat;
      shard.first = &beat;
    }
    if (plan(due)) poke();
  }

  /// Waits for a beat that is under way. Afterwards there is none any more.
  void remove(Beat& beat) noexcept {
    Shard& shard = shard_of(beat);
    std::unique_lock lock(shard.mutex);
    if (beat.beating_) wait_for_beat(beat, shard, lock);
    (beat.previous_ ? beat.previous_->next_ : shard.first) = beat.next_;
    if (beat.next_) beat.next_->previous_ = beat.previous_;
  }

  /// How often the thread woke up: for those who doubt that it sleeps.
  std::uint64_t wake_ups() const noexcept { return wake_ups_.load(std::memory_order_relaxed); }

 private:
  static constexpr BootTime longest_sleep = 3'600'000'000'000;  // an hour: further away, waits overflow

  struct alignas(64) Shard {
    std::mutex mutex = {};
    std::condition_variable beaten = {};
    Beat* first = nullptr;
  };

  Shard& shard_of(const Beat& beat) noexcept {  // attempts live on their threads' stacks, which lie far apart
    const auto address = reinterpret_cast<std::uintptr_t>(&beat);
    return shards_[(address >> 12 ^ address >> 20) % shards_.size()];
  }

  [[gnu::cold]] void start_thread() {
    std::lock_guard lock(mutex_);
    if (started_.load(std::memory_order_relaxed)) return;
    const SignalsBlocked blocked;  // the application's signals go to the application's threads
    thread_ = std::thread([this] { run(); });
    started_.store(true, std::memory_order_release);
  }

  /// Not a place to be cancelled at: it is waited for in destructors.
  [[gnu::cold]] static void wait_for_beat(const Beat& beat, Shard& shard,
                                          std::unique_lock<std::mutex>& lock) {
    int before = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    while (beat.beating_) shard.beaten.wait(lock);
    pthread_setcancelstate(before, nullptr);
  }

  /// Makes the thread wake up by then. True: it does not plan to yet.
  bool plan(BootTime due) noexcept {
    BootTime planned = next_wake_.load();
    while (due < planned)
      if (next_wake_.compare_exchange_weak(planned, due)) return true;
    return false;
  }

  [[gnu::cold]] void poke() noexcept {
    {
      std::lock_guard lock(mutex_);
      poked_ = true;
    }
    wake_.notify_one();
  }

  /// Sleeps until the planned time, also when what was to beat then has ended meanwhile: so that the next
  /// short payment, whose beat would be due later, does not have to wake it.
  [[gnu::cold]] void run() noexcept {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      poked_ = false;
      const BootTime planned = next_wake_.load();
      if (planned > boot_now()) {
        sleep(lock, planned);
        continue;
      }
      // Whoever adds from here on finds nothing planned, and plans; whoever added before is seen by the
      // round.
      next_wake_.store(never);
      lock.unlock();
      plan(make_round());
      lock.lock();
    }
  }

  void sleep(std::unique_lock<std::mutex>& lock, BootTime until) {
    const auto disturbed = [this] { return stopping_ || poked_; };
    const BootTime left = until - boot_now();
    if (until == never)
      wake_.wait(lock, disturbed);
    else if (left > 0)
      wake_.wait_for(lock, std::chrono::nanoseconds(left < longest_sleep ? left : longest_sleep), disturbed);
    wake_ups_.fetch_add(1, std::memory_order_relaxed);
  }

  /// Makes all beats that are due; the earliest time of those that are not.
  [[gnu::cold]] BootTime make_round() noexcept {
    BootTime earliest = never;
    for (Shard& shard : shards_) {
      std::unique_lock lock(shard.mutex);
      for (Beat* beat = shard.first; beat;) {
        if (beat->due_ <= boot_now()) {
          beat->beating_ = true;  // nobody unlinks it now
          lock.unlock();
          const BootTime due = beat->beat();
          lock.lock();
          beat->due_ = due;
          beat->beating_ = false;
          shard.beaten.notify_all();
        }
        if (beat->due_ < earliest) earliest = beat->due_;
        beat = beat->next_;
      }
    }
    return earliest;
  }

  std::array<Shard, 16> shards_ = {};
  std::atomic<BootTime> next_wake_{never};
  std::atomic<std::uint64_t> wake_ups_{0};
  std::atomic<bool> started_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool poked_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
