#pragma once
// A clock, and a timer, that stand still until a test moves them.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

#include <paidonce/clock.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// A handle: copies tell, and move, the same time. So it does not matter whether a guard was given the clock
/// itself (it then refers to it) or a copy of it; the test moves the one that it kept, or `guard.clock()`.
/// Any number of threads may use it and its copies. It wakes those who wait on it as a timer; a guard's
/// duplicates wait on the system's steady clock and are not among them.
class ManualClock {
 public:
  /// Starts at 2023-11-14 22:13:20 UTC, and as a timer at zero.
  ManualClock() : ManualClock(Timestamp(Duration(1'700'000'000'000))) {}
  explicit ManualClock(Timestamp start) : time_(std::make_shared<Time>(start)) {}

  // Copied even when it could be moved, so that no clock is ever without its time.
  ManualClock(const ManualClock&) = default;
  ManualClock& operator=(const ManualClock&) = default;
  ~ManualClock() = default;

  Timestamp now() const noexcept { return Timestamp(Duration(time_->wall.load())); }

  /// Time passes: on the wall and, where it goes forward, on the timer. A negative `by` is a jump of the wall
  /// clock alone. It stops at the first and the last representable moment. Moves made by several threads add
  /// up.
  void advance(Duration by) noexcept {
    auto old = time_->wall.load();
    while (!time_->wall.compare_exchange_weak(
        old, saturating_add(Timestamp(Duration(old)), by).time_since_epoch().count())) {
    }
    if (by.count() > 0) time_->pass(by);
  }

  /// The wall clock jumps; the timer does not notice.
  void set(Timestamp to) noexcept { time_->wall.store(to.time_since_epoch().count()); }

  Duration elapsed() const noexcept { return Duration(time_->passed.load()); }

  /// Returns when others have moved the time on by `length`.
  template <class Done>
  bool wait(Duration length, Stop& stop, Done&& done) const {
    const Waiting waiting(*time_, saturating_add(Timestamp(elapsed()), length).time_since_epoch(), stop);
    return stop.wait([&] { return done() || elapsed() >= waiting.until(); });
  }

  /// Waits until so many threads wait for a time that has not come. For tests: now they may move it.
  void await_waiting(std::size_t threads) const {
    std::unique_lock lock(time_->mutex);
    time_->changed.wait(lock, [&] { return time_->waiting_for_the_future() >= threads; });
  }

 private:
  struct Waiter {
    Duration until;
    Stop* stop;
  };

  struct Time {
    explicit Time(Timestamp start) : wall(start.time_since_epoch().count()) {}

    void pass(Duration by) noexcept {
      auto old = passed.load();
      while (!passed.compare_exchange_weak(
          old, saturating_add(Timestamp(Duration(old)), by).time_since_epoch().count())) {
      }
      std::lock_guard lock(mutex);
      for (const Waiter& waiter : waiters) waiter.stop->wake();
    }
    std::size_t waiting_for_the_future() const {
      std::size_t count = 0;
      for (const Waiter& waiter : waiters)
        if (waiter.until.count() > passed.load()) ++count;
      return count;
    }

    std::atomic<Duration::rep> wall, passed{0};
    std::mutex mutex;
    std::condition_variable changed;
    std::list<Waiter> waiters;
  };

  class Waiting {
   public:
    Waiting(Time& time, Duration until, Stop& stop) : time_(time) {
      std::lock_guard lock(time_.mutex);
      at_ = time_.waiters.insert(time_.waiters.end(), {until, &stop});
      time_.changed.notify_all();
    }
    ~Waiting() {
      std::lock_guard lock(time_.mutex);
      time_.waiters.erase(at_);
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    Duration until() const noexcept { return at_->until; }

   private:
    Time& time_;
    std::list<Waiter>::iterator at_;
  };

  std::shared_ptr<Time> time_;
};

static_assert(Clock<ManualClock> && Timer<ManualClock>);

}  // namespace paidonce::inline v1
