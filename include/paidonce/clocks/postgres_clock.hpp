#pragma once
// The time of a PostgreSQL server, for hosts whose own clocks cannot be trusted: an offset on a clock that
// never jumps, measured now and then in the background, so that asking for the time costs no round trip.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <paidonce/clock.hpp>
#include <paidonce/detail/background_thread.hpp>
#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/connecting.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/hosts.hpp>
#include <paidonce/stores/postgres/row.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct PostgresClockOptions {
  Duration interval{10'000};          ///< between two measurements
  Duration connect_timeout{3'000};    ///< for each host
  Duration statement_timeout{1'000};  ///< a server that answers later than that has told no time
};

/// How far a PostgresClock can be trusted.
struct PostgresClockStats {
  Duration age{0};                    ///< of the measurement that is in use
  Duration error_bound{0};            ///< see PostgresClock::error_bound
  Duration offset{0};                 ///< of the server's time from this host's system clock, as of now
  std::uint64_t measurements = 0;     ///< that succeeded
  std::uint64_t failures = 0;         ///< that did not
  std::uint64_t failed_in_a_row = 0;  ///< since the last that did
};

namespace detail {

/// One look at the server's clock.
struct ClockSample {
  BootTime asked = 0, answered = 0;
  std::int64_t server_micros = 0;  ///< since 1970

  /// What to add to boot time, in nanoseconds: the server read its clock in the middle, or at most half a
  /// round trip away from it.
  std::int64_t offset() const noexcept { return 1000 * server_micros - (asked + (answered - asked) / 2); }
  std::int64_t error() const noexcept { return (answered - asked + 1) / 2; }
};

/// Of clocks that drift apart by at most 200 parts in a million, for so many nanoseconds.
constexpr std::int64_t drift_of(std::int64_t age) noexcept { return age > 0 ? age / 5000 : 0; }

}  // namespace detail

/// A movable handle; any number of threads may use it. `now()` reads two words of memory and a clock of this
/// host that goes on while it sleeps.
///
/// While the server is out of reach, the last offset goes on being used, and `error_bound()` grows with what
/// two clocks may drift apart. A jump of the server's clock, as a failover to a server with another time can
/// bring, is followed at the next measurement: guards then see time jump by as much, forwards or backwards.
/// In a forked child nothing is measured any more.
class PostgresClock {
 public:
  /// Measures once. Throws `store_unavailable` where the server told no time, `invalid_options`.
  explicit PostgresClock(std::string conninfo, PostgresClockOptions options = {})
      : core_(new Core(std::move(conninfo), options)) {
    core_->start();
  }

  /// No I/O; never throws.
  Timestamp now() const noexcept {
    return Timestamp(std::chrono::floor<Duration>(
        std::chrono::nanoseconds(detail::boot_now() + core_->offset.load(std::memory_order_relaxed))));
  }

  /// How far `now()` is from the server's time at most: half the round trip of the measurement, and 200 parts
  /// in a million of its age. A jump of the server's clock since then is not in it.
  Duration error_bound() const noexcept { return stats().error_bound; }

  PostgresClockStats stats() const noexcept {
    const std::lock_guard lock(core_->mutex);
    const detail::BootTime now_here = detail::boot_now();
    const std::int64_t age = now_here - core_->sample.answered;
    PostgresClockStats stats;
    stats.age = std::chrono::floor<Duration>(std::chrono::nanoseconds(age));
    stats.error_bound =
        std::chrono::ceil<Duration>(std::chrono::nanoseconds(core_->sample.error() + detail::drift_of(age)));
    stats.offset = now() - std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    stats.measurements = core_->measurements;
    stats.failures = core_->failures;
    stats.failed_in_a_row = core_->failed_in_a_row;
    return stats;
  }

  /// Measures now, and throws `store_unavailable` where that cannot be done. For tests, and after a failover.
  void refresh() { core_->refresh(); }

 private:
  struct Core {
    Core(std::string given, PostgresClockOptions chosen)
        : conninfo(std::move(given)), hosts(detail::hosts_of(conninfo)), options(chosen) {
      for (const Duration each : {options.interval, options.connect_timeout, options.statement_timeout})
        if (each.count() <= 0 || each > Duration(INT32_MAX))
          throw Error(
              errc::invalid_options,
              "the durations of PostgresClockOptions must be longer than zero, and shorter than 24 days");
    }
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
      thread = detail::start_store_thread([this] { run(); });
    }

    void run() {
      std::unique_lock lock(mutex);
      while (!stop.wait_for(lock, options.interval, [this] { return stopping; })) {
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

    void adopt(const detail::ClockSample& best) {
      const std::lock_guard lock(mutex);
      sample = best;
      offset.store(best.offset(), std::memory_order_relaxed);
      ++measurements;
      failed_in_a_row = 0;
    }

    /// The best of three looks: the one with the shortest round trip.
    detail::ClockSample measure() {
      if (!connection || !connection->quiet()) connect();
      std::optional<detail::ClockSample> best;
      for (int look = 0; look < 3; ++look) {
        const detail::ClockSample seen = this->look();
        if (!best || seen.error() < best->error()) best = seen;
      }
      return *best;
    }

    detail::ClockSample look() {
      const detail::PostgresStatement time{detail::PostgresStatement::never, "",
                                           "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8"};
      detail::ClockSample seen;
      seen.asked = detail::boot_now();
      const detail::PostgresAnswers answers =
          connection->run({{time, none}}, detail::postgres_deadline(options.statement_timeout));
      seen.answered = detail::boot_now();
      answers.expect_done();
      seen.server_micros = detail::integer_of<std::int64_t>(answers.results[0].get(), 0, 0);
      return seen;
    }

    void connect() {
      connection.reset();
      for (std::size_t i = 0;; ++i) {
        try {
          connection.emplace(
              detail::connect(conninfo, hosts[i], detail::postgres_deadline(options.connect_timeout)),
              Statements::unnamed);
          return;
        } catch (const Error&) {
          if (i + 1 == hosts.size()) throw;
        }
      }
    }

    const std::string conninfo;
    const std::vector<detail::PostgresHost> hosts;
    const PostgresClockOptions options;
    const detail::OwnProcess process = {};
    std::atomic<std::int64_t> offset{0};

    std::mutex measuring;  // around the connection
    std::optional<detail::PostgresConnection> connection;
    const detail::PostgresParameters none = {};

    mutable std::mutex mutex;  // around the rest
    std::condition_variable stop;
    bool stopping = false;
    detail::ClockSample sample;
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

static_assert(Clock<PostgresClock>);

}  // namespace paidonce::inline v1
