#pragma once
// Time that only goes forward, and waiting on it: what whoever works beside the payments is paced by. The
// wall time that goes into records is a `Clock`'s (clock.hpp); the two are compared in
// recovery/clock_watch.hpp.

#include <atomic>
#include <concepts>
#include <condition_variable>
#include <mutex>

#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// Ends work and waits, for good. Any number of threads may use it; it outlives their use of it.
class Stop {
 public:
  Stop() = default;
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;

  /// All waits on it end at once, and those to come do not begin.
  void request() noexcept {
    requested_.store(true);
    wake();
  }
  bool requested() const noexcept { return requested_.load(); }

  /// Has everybody who waits look again at what they wait for.
  void wake() noexcept {
    { std::lock_guard lock(mutex_); }
    wake_.notify_all();
  }

  /// Until `done()`, which is asked with a lock held and after each `wake()`. False: stopped before.
  template <class Done>
  bool wait(Done&& done) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return requested() || done(); });
    return !requested();
  }

  /// The same for so long at most, on the system's steady clock.
  template <class Done>
  bool wait_for(Duration length, Done&& done) {
    constexpr Duration longest = std::chrono::hours(24);  // what comes back too early looks again
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, length < longest ? length : longest, [&] { return requested() || done(); });
    return !requested();
  }

 private:
  std::atomic<bool> requested_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

namespace detail {

struct Never {
  constexpr bool operator()() const noexcept { return false; }
};

}  // namespace detail

/// | expression                        | meaning                                                                |
/// | --------------------------------- | ---------------------------------------------------------------------- |
/// | `timer.elapsed()`                 | since a moment of the timer's own; never goes back, counts the time in |
/// |                                   | which the machine sleeps where the system can tell                     |
/// | `timer.wait(length, stop, done)`  | returns when `length` has passed, `done()` is true or `stop` was       |
/// |                                   | requested; false in that last case. May return early: look again       |
/// Both may be called from any number of threads.
template <class T>
concept Timer = requires(T& timer, Duration length, Stop& stop) {
  { timer.elapsed() } -> std::same_as<Duration>;
  { timer.wait(length, stop, detail::Never{}) } -> std::same_as<bool>;
};

/// Waits for the whole of `length`. False: stopped before.
template <Timer T>
bool pause(T& timer, Duration length, Stop& stop) {
  const Duration start = timer.elapsed();
  for (Duration left = length; left.count() > 0; left = length - (timer.elapsed() - start))
    if (!timer.wait(left, stop, detail::Never{})) return false;
  return !stop.requested();
}

}  // namespace paidonce::inline v1
