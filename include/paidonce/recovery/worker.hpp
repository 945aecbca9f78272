#pragma once
// Runs jobs beside the payments, each again and again on a thread of its own: one that hangs delays no other.
// Which jobs a payment host needs: recovery/jobs.hpp.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// When a job runs.
struct Schedule {
  Duration every = std::chrono::minutes(1);  ///< from the end of a run to the beginning of the next
  /// The next run is up to so much earlier or later, at random, so that many processes do not work in step.
  Duration jitter = Duration(0);
  /// From the start to the first run, which is up to `jitter` later. Zero: at once.
  Duration first = Duration(0);
};

/// Something to be done again and again.
struct Job {
  std::string name;  ///< in snake_case; no other job of the worker has it
  Schedule when;
  /// What is done. It may throw anything. Long work looks at `stop.requested()`, and waits on `stop`.
  std::function<void(Stop& stop)> work;
};

/// A look at a job.
struct JobStatus {
  enum class Phase : std::uint8_t {
    not_started,
    waiting,  ///< for its next run
    running,
    ended,  ///< the worker was stopped, or the job's thread was cancelled
  };
  std::string name = {};
  Phase phase = Phase::not_started;
  std::uint64_t runs = 0;           ///< that came to an end
  std::uint64_t failures = 0;       ///< of these
  std::uint64_t failed_in_row = 0;  ///< the last so many
  Duration took{0};                 ///< the last one
  Duration since{0};                ///< how long it has been in its phase; in none before the start
  /// What the last failure said. Words of the store and the guard carry no key; what else a job throws says
  /// what it says.
  std::string failure = {};
};

struct WorkerOptions {
  /// Told when a job has failed `alert_after` times in a row, and when it has worked again after that: as
  /// `background_job_failing`. On the thread of the job; jobs may come at once.
  AlertSink alert = {};
  std::uint32_t alert_after = 3;
  std::optional<std::uint32_t> seed = {};  ///< of the jitter; not set: a random one
};

/// A thread for each job, until it is stopped. A run that throws is counted and the job goes on; the forced
/// unwind of a cancelled thread ends that thread, and thereby the job.
///
/// `add`, then `start`, then `stop`; `status` at any time. Thread-safe. What the jobs use outlives the
/// worker: so it is declared last. Timer and clock are moved in; the clock only dates alerts.
template <Timer T = SteadyTimer, Clock C = SystemClock>
class BackgroundWorker {
 public:
  /// Throws `Error{invalid_options}`.
  explicit BackgroundWorker(WorkerOptions options = {}, T timer = T(), C clock = C())
      : options_(std::move(options)), timer_(std::move(timer)), clock_(std::move(clock)) {
    require(options_.alert_after > 0, "WorkerOptions::alert_after must be at least 1");
  }
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;
  ~BackgroundWorker() { stop(); }

  /// Throws `Error{invalid_options}`, and `Error{wrong_state}` once the worker was started or stopped.
  void add(Job job) {
    require(!job.name.empty(), "a background job needs a name");
    require(static_cast<bool>(job.work), "a background job needs something to do");
    require(job.when.every.count() > 0, "a background job's interval must be longer than zero");
    require(job.when.jitter.count() >= 0 && job.when.jitter <= job.when.every,
            "a background job's jitter must be from zero to its interval");
    require(job.when.first.count() >= 0, "a background job's first run cannot be before the start");
    const std::lock_guard lock(mutex_);
    if (closed_) throw Error(errc::wrong_state, "add background jobs before the worker is started");
    for (const Slot& other : slots_)
      require(other.job.name != job.name, "two background jobs have the same name");
    slots_.emplace_back(std::move(job), random_for(slots_.size()));
  }

  /// Starts a thread for each job; none where the worker was stopped before. Throws `Error{wrong_state}` the
  /// second time, and `std::system_error` where there can be no thread: then the worker is stopped.
  void start() {
    {
      const std::lock_guard lock(mutex_);
      if (started_) throw Error(errc::wrong_state, "a background worker starts once: make another one");
      started_ = closed_ = true;
    }
    try {
      const std::lock_guard lock(threads_);
      if (stop_.requested()) return;
      const detail::SignalsBlocked blocked;  // the application's signals go to the application's threads
      for (Slot& slot : slots_) slot.thread = std::thread([this, &slot] { live(slot); });
    } catch (...) {
      stop();
      throw;
    }
  }

  /// Ends all waits at once, tells running jobs to stop and waits until they have. Called by a job, it does
  /// not wait. May be called again.
  void stop() noexcept {
    const detail::NotCancellable all_of_it;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    stop_.request();
    if (is_own_thread()) return;
    const std::lock_guard lock(threads_);
    for (Slot& slot : slots_)
      if (slot.thread.joinable()) slot.thread.join();
  }

  /// In the order in which they were added.
  std::vector<JobStatus> status() const {
    std::vector<JobStatus> all;
    const std::lock_guard lock(mutex_);
    all.reserve(slots_.size());
    for (const Slot& slot : slots_) {
      const std::lock_guard hold(slot.mutex);
      all.push_back(slot.status);
      all.back().name = slot.job.name;
      if (slot.status.phase != JobStatus::Phase::not_started)
        all.back().since = timer_.elapsed() - slot.phase_began;
    }
    return all;
  }

  T& timer() noexcept { return timer_; }
  C& clock() noexcept { return clock_; }

 private:
  using Phase = JobStatus::Phase;

  struct Slot {
    Slot(Job&& what, std::minstd_rand source) : job(std::move(what)), random(source) {}

    const Job job;
    std::minstd_rand random;  // the thread's own
    bool told = false;        // the thread's own: an alert stands
    std::thread thread = {};
    mutable std::mutex mutex = {};  // for what follows
    std::thread::id id = {};
    JobStatus status = {};
    Duration phase_began{0};
  };

  /// What became of a run, and what may be told of it to everybody.
  struct Result {
    bool failed = false;
    std::string said = {}, told = {};
  };

  /// The thread of a job ends, one way or the other.
  struct Life {
    BackgroundWorker& worker;
    Slot& slot;
    ~Life() {
      worker.enter(slot, Phase::ended);
      const std::lock_guard lock(slot.mutex);
      slot.id = {};  // another thread may get it
    }
  };

  static void require(bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  }

  std::minstd_rand random_for(std::size_t number) const {
    if (!options_.seed) return std::minstd_rand(static_cast<std::uint32_t>(detail::random_u64()));
    std::seed_seq seeds{*options_.seed, static_cast<std::uint32_t>(number)};
    return std::minstd_rand(seeds);
  }

  static Duration draw(Slot& slot, Duration from, Duration least, Duration most) {
    const Duration by(std::uniform_int_distribution<Duration::rep>(least.count(), most.count())(slot.random));
    return saturating_add(Timestamp(from), by).time_since_epoch();
  }

  void live(Slot& slot) {
    {
      const std::lock_guard lock(slot.mutex);
      slot.id = std::this_thread::get_id();
    }
    const Life life{*this, slot};
    enter(slot, Phase::waiting);
    const Schedule& when = slot.job.when;
    Duration wait = draw(slot, when.first, Duration(0), when.first.count() > 0 ? when.jitter : Duration(0));
    while (pause(timer_, wait, stop_)) {
      run(slot);
      wait = draw(slot, when.every, -when.jitter, when.jitter);
    }
  }

  void enter(Slot& slot, Phase phase) noexcept {
    const std::lock_guard lock(slot.mutex);
    slot.status.phase = phase;
    slot.phase_began = timer_.elapsed();
  }

  void run(Slot& slot) {
    enter(slot, Phase::running);
    const Duration began = timer_.elapsed();
    Result result;
    try {
      slot.job.work(stop_);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (const Error& error) {
      fail(result, error.what(), error.what());
    } catch (const std::exception& error) {
      fail(result, error.what(), "see its status");  // whose words these are is not known: they stay here
    } catch (...) {
      fail(result, "it threw what is no std::exception", "see its status");
    }
    const std::uint64_t in_row = count(slot, result, timer_.elapsed() - began);
    enter(slot, Phase::waiting);
    if (!options_.alert || stop_.requested()) return;
    if (slot.told ? !result.failed : in_row >= options_.alert_after) tell(slot, result, in_row);
  }

  /// Without memory it is a failure without words.
  static void fail(Result& result, const char* said, const char* told) noexcept {
    result.failed = true;
    try {
      result.said = said;
      result.told = told;
    } catch (const std::exception&) {
    }
  }

  /// The failures in a row, this one included.
  std::uint64_t count(Slot& slot, const Result& result, Duration took) noexcept {
    const std::lock_guard lock(slot.mutex);
    JobStatus& status = slot.status;
    ++status.runs;
    status.took = took;
    status.failed_in_row = result.failed ? status.failed_in_row + 1 : 0;
    if (!result.failed) return 0;
    ++status.failures;
    try {
      status.failure = result.said;
    } catch (const std::exception&) {
      status.failure.clear();
    }
    return status.failed_in_row;
  }

  void tell(Slot& slot, const Result& result, std::uint64_t in_row) {
    slot.told = result.failed;
    try {
      Alert alert{"background_job_failing"};
      alert.edge = result.failed ? Alert::Edge::raised : Alert::Edge::cleared;
      alert.text = "background job " + slot.job.name +
                   (result.failed ? " failed " + std::to_string(in_row) + " times in a row: " + result.told
                                  : " works again");
      alert.at = clock_.now();
      options_.alert(alert);
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (...) {  // as AlertSink says
    }
  }

  bool is_own_thread() const noexcept {
    const std::lock_guard lock(mutex_);
    for (const Slot& slot : slots_) {
      const std::lock_guard hold(slot.mutex);
      if (slot.id == std::this_thread::get_id()) return true;
    }
    return false;
  }

  const WorkerOptions options_;
  T timer_;
  C clock_;
  Stop stop_;
  mutable std::mutex mutex_;  // before a slot's
  bool closed_ = false, started_ = false;
  std::list<Slot> slots_;  // which stays as it is once closed
  std::mutex threads_;     // for starting and joining them; before mutex_
};

}  // namespace paidonce::inline v1
