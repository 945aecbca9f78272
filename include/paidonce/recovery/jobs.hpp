#pragma once
// The jobs that a payment host needs beside its guard, for a BackgroundWorker: recovery, sweeps and alerts.
// Each is a few lines around the function that does the work; what they refer to outlives the worker.

#include <cstddef>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/clock.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/recovery/clock_watch.hpp>
#include <paidonce/recovery/sweep.hpp>
#include <paidonce/recovery/worker.hpp>
#include <paidonce/store.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// Every minute: a restart after a crash begins with it, and after that it is the per-payment backoff of the
/// recoverer that decides who is asked about.
inline constexpr Schedule recovery_schedule{std::chrono::minutes(1), std::chrono::seconds(10), Duration(0)};

/// Has `recovery.run(stop)` called as the job `recovery`. `report` is handed what each round did, on the
/// thread of the job. A round that names a failure counts as failed.
template <class Worker, class Recovery, class Tell = std::nullptr_t>
void add_recovery(Worker& worker, Recovery& recovery, const Schedule& when = recovery_schedule,
                  Tell report = nullptr) {
  worker.add({"recovery", when, [&recovery, report](Stop& stop) mutable {
                const auto round = recovery.run(stop);
                if constexpr (!std::is_null_pointer_v<Tell>)
                  report(round);
                else
                  static_cast<void>(report);
                if (!round.failure.empty()) throw std::runtime_error(round.failure);
              }});
}

struct SweepJobOptions {
  /// The first one when the clock has been watched for an hour: that of a machine that has just started may
  /// be wrong, and nobody can tell yet. Sweeping is never urgent.
  Schedule when = {std::chrono::minutes(15), std::chrono::minutes(1), std::chrono::hours(1)};
  SweepOptions sweep = {};
  ClockWatch watch = ClockWatch();                      ///< a fresh one: of tolerance and settle time
  std::function<void(const SweepReport&)> report = {};  ///< of each sweep, on the thread of the job
  /// Told once when sweeps begin to pause for the clock, and once when they go on: as `wall_clock_jumped`.
  AlertSink alert = {};
};

/// Has `store` swept as the job `sweep`. The clock is watched from now on. A sweep that the store refuses
/// counts as failed.
template <class Worker, SweepableStore S, Clock C>
void add_sweep(Worker& worker, S& store, C& clock, SweepJobOptions options = {}) {
  detail::checked(options.sweep);
  const Schedule when = options.when;
  auto& timer = worker.timer();
  options.watch.agree(clock.now(), timer.elapsed());
  worker.add(
      {"sweep", when,
       [&store, &clock, &timer, options = std::move(options), paused = false](Stop& stop) mutable {
         const SweepReport round = sweep(store, clock, timer, options.watch, options.sweep, stop);
         if (round.paused_for_clock != paused && (round.paused_for_clock || round.batches > 0)) {
           paused = round.paused_for_clock;
           Alert alert{"wall_clock_jumped"};
           alert.edge = paused ? Alert::Edge::raised : Alert::Edge::cleared;
           alert.text =
               paused ? "the wall clock jumped: nothing is swept until it has agreed with the machine's "
                        "timer for some time"
                      : "the wall clock has agreed with the machine's timer for long enough: sweeps go on";
           alert.at = clock.now();
           detail::deliver(options.alert, alert);
         }
         if (options.report) options.report(round);
         if (round.failure) throw *round.failure;
       }});
}

/// Notices jobs that have run for too long, and those whose thread was cancelled. Pure; for one thread at a
/// time.
class JobWatch {
 public:
  explicit JobWatch(Duration hangs_after) : hangs_after_(hangs_after) {}

  /// What began since the last look, and what is over: as `background_job_hanging`.
  std::vector<Alert> look(const std::vector<JobStatus>& jobs, Timestamp at) {
    std::vector<Alert> alerts;
    for (const JobStatus& job : jobs) {
      const bool ended = job.phase == JobStatus::Phase::ended;
      const bool hangs = ended || (job.phase == JobStatus::Phase::running && job.since >= hangs_after_);
      if (hangs == (told_.count(job.name) > 0)) continue;
      Alert alert{"background_job_hanging"};
      alert.edge = hangs ? Alert::Edge::raised : Alert::Edge::cleared;
      alert.text = "background job " + job.name +
                   (ended   ? std::string(" lost its thread and does not run any more")
                    : hangs ? " has run for " + std::to_string(job.since.count() / 1000) + " s without an end"
                            : std::string(" has come to an end"));
      alert.at = at;
      alerts.push_back(std::move(alert));
      if (hangs)
        told_.insert(job.name);
      else
        told_.erase(job.name);
    }
    return alerts;
  }

 private:
  const Duration hangs_after_;
  std::set<std::string> told_;
};

struct AlertsJobOptions {
  Schedule when = {std::chrono::minutes(1), Duration(0), std::chrono::minutes(1)};
  /// A job of this worker that has run for so long is told of. Longer than the deadlines of the others.
  Duration job_hangs_after = std::chrono::minutes(15);
};

/// Has `evaluate()`, which returns a range of `Alert`, called as the job `alerts`, and `sink` told what it
/// found, and which jobs of this worker hang.
template <class Worker, class Evaluate>
void add_alerts(Worker& worker, Evaluate evaluate, AlertSink sink, const AlertsJobOptions& options = {}) {
  worker.add({"alerts", options.when,
              [&worker, evaluate = std::move(evaluate), sink = std::move(sink),
               watch = JobWatch(options.job_hangs_after)](Stop& stop) mutable {
                const auto jobs = worker.status();
                if (stop.requested()) return;  // jobs that ended were told to
                for (const Alert& alert : watch.look(jobs, worker.clock().now()))
                  detail::deliver(sink, alert);
                for (const Alert& alert : evaluate()) detail::deliver(sink, alert);
              }});
}

}  // namespace paidonce::inline v1
