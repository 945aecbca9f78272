#pragma once
// The time of a server, for hosts whose own clocks cannot be trusted: an offset on a clock that never jumps,
// measured now and then in the background, so that asking for the time costs no round trip.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/server/sample.hpp>
#include <paidonce/detail/background_thread.hpp>
#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// How far the clock of a server can be trusted.
struct ServerClockStats {
  Duration age{0};                    ///< of the measurement that is in use
  Duration error_bound{0};            ///< how far `now()` is from the server's time at most
  Duration offset{0};                 ///< of the server's time from this host's system clock, as of now
  std::uint64_t measurements = 0;     ///< that succeeded
  std::uint64_t failures = 0;         ///< that did not
  std::uint64_t failed_in_a_row = 0;  ///< since the last that did
};

namespace detail {

/// Throws `invalid_options`.
inline void check_clock_durations(std::initializer_list<Duration> durations) {
  for (const Duration each : durations)
    if (each.count() <= 0 || each > Duration(INT32_MAX))
      throw Error(errc::invalid_options,
                  "the durations of a server's clock must be longer than zero, and shorter than 24 days");
}

/// What all clocks of servers are. A `Source` belongs to one thread at a time, and throws where the server
/// tells no time:
///   source.connect()   what has to be done before the first look, and after one that failed
///   source.look()      the server's time, in microseconds since 1970
template <class Source>
class ServerClock {
 public:
  /// No I/O; never throws.
  Timestamp now() const noexcept {
    return Timestamp(
        std::chrono::floor<Duration>(std::chrono::nanoseconds(boot_now() + core_->offset.load(relaxed))));
  }

  /// How far `now()` is from the server's time at most: half the round trip of the measurement, and 200 parts
  /// in a million of its age. A jump of the server's clock since then is not in it.
  Duration error_bound() const noexcept { return stats().error_bound; }

  ServerClockStats stats() const noexcept {
    const std::lock_guard lock(core_->mutex);
    const std::int64_t age = boot_now() - core_->sample.answered;
    ServerClockStats stats;
    stats.age = std::chrono::floor<Duration>(std::chrono::nanoseconds(age));
    stats.error_bound =
        std::chrono::ceil<Duration>(std::chrono::nanoseconds(core_->sample.error() + drift_of(age)));
    stats.offset = now() - std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    stats.measurements = core_->measurements;
    stats.failures = core_->failures;
    stats.failed_in_a_row = core_->failed_in_a_row;
    return stats;
  }

  /// Measures now, and throws `store_unavailable` where that cannot be done. For tests, and after a failover.
  void refresh() { core_->refresh(); }

 protected:
  /// Measures once, and then each `interval`; throws what the source does, which is made of the rest.
  template <class... Of>
  explicit ServerClock(Duration interval, Of&&... source)
      : core_(new Core(interval, std::forward<Of>(source)...)) {
    core_->start();
  }

 private:
  static constexpr auto relaxed = std::memory_order_relaxed;

  struct Core {
    template <class... Of>
    explicit Core(Duration pause, Of&&... of) : interval(pause), source(std::forward<Of>(of)...) {}
    ~Core() {
      {
        const std::lock_guard lock(mutex);
        stopping = true;
      }
      stop.notify_all();
      if (thread.joinable()) thread.join();
    }

    void start() {
      refresh();
      thread = start_store_thread([this] { run(); });
    }

    void run() {
      std::unique_lock lock(mutex);
      while (!stop.wait_for(lock, interval, [this] { return stopping; })) {
        lock.unlock();
        try {
          refresh();
        } catch (...) {  // counted; the last offset stays in use
        }
        lock.lock();
      }
    }

    void refresh() {
      const std::lock_guard one_at_a_time(measuring);
      try {
        adopt(measure());
      } catch (...) {
        const std::lock_guard lock(mutex);
        ++failures;
        ++failed_in_a_row;
        throw;
      }
    }

    void adopt(const ClockSample& best) {
      const std::lock_guard lock(mutex);
      sample = best;
      offset.store(best.offset(), relaxed);
      ++measurements;
      failed_in_a_row = 0;
    }

    /// The best of three looks: the one with the shortest round trip.
    ClockSample measure() {
      source.connect();
      std::optional<ClockSample> best;
      for (int look = 0; look < 3; ++look) {
        ClockSample seen;
        seen.asked = boot_now();
        seen.server_micros = source.look();
        seen.answered = boot_now();
        if (!best || seen.error() < best->error()) best = seen;
      }
      return *best;
    }

    const Duration interval;
    const OwnProcess process = {};
    std::atomic<std::int64_t> offset{0};

    std::mutex measuring;  // around the source
    Source source;

    mutable std::mutex mutex;  // around the rest
    std::condition_variable stop;
    bool stopping = false;
    ClockSample sample;
    std::uint64_t measurements = 0, failures = 0, failed_in_a_row = 0;
    std::thread thread;
  };

  /// A forked child has neither the thread nor a connection of its own.
  struct Close {
    void operator()(Core* core) const noexcept {
      if (core->process.is_this_one()) delete core;
    }
  };

  std::unique_ptr<Core, Close> core_;
};

}  // namespace detail

}  // namespace paidonce::inline v1
