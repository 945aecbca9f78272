#include <paidonce/recovery/jobs.hpp>
#include <paidonce/recovery/worker.hpp>

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <paidonce/testing/manual_clock.hpp>

#include "fault/event.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

using Worker = BackgroundWorker<ManualClock, ManualClock>;
using Phase = JobStatus::Phase;

/// What comes from several threads.
template <class T>
class Collected {
 public:
  void add(T value) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(value));
  }
  std::vector<T> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<T> all_;
};

/// A worker on a clock that the test moves.
struct World {
  explicit World(WorkerOptions options = {}) : worker(std::move(options), clock, clock) {}

  /// Lets time pass in steps, each when all so many jobs wait.
  void pass(Duration time, Duration step, std::size_t jobs = 1) {
    for (Duration passed(0); passed < time; passed += step) {
      clock.await_waiting(jobs);
      clock.advance(step);
      clock.await_waiting(jobs);
    }
  }

  ManualClock clock;
  Worker worker;
};

Job job(std::string name, std::function<void(Stop&)> work, Schedule when = {}) {
  return {std::move(name), when, std::move(work)};
}

const auto nothing = [](Stop&) {};

}  // namespace

TEST_CASE("a job runs first when it should, and then an interval after its end", "[worker]") {
  Collected<Duration> begins;
  World world;
  ManualClock clock = world.clock;
  world.worker.add(job("count",
                       [&begins, clock](Stop&) mutable {
                         begins.add(clock.elapsed());
                         clock.advance(7s);
                       },
                       {1min, 0s, 30s}));
  CHECK(world.worker.status()[0].phase == Phase::not_started);
  world.worker.start();
  world.clock.await_waiting(1);
  CHECK(world.worker.status()[0].phase == Phase::waiting);
  CHECK(world.worker.status()[0].runs == 0);
  world.clock.advance(30s);
  world.clock.await_waiting(1);
  world.clock.advance(59'999ms);
  world.clock.await_waiting(1);
  CHECK(world.worker.status()[0].runs == 1);
  world.clock.advance(1ms);
  world.clock.await_waiting(1);
  CHECK(begins.all() == std::vector<Duration>{30s, 97s});
  const JobStatus status = world.worker.status()[0];
  CHECK(status.name == "count");
  CHECK(status.phase == Phase::waiting);
  CHECK(status.runs == 2);
  CHECK(status.failures == 0);
  CHECK(status.took == 7s);
  CHECK(status.since == 0s);
}

TEST_CASE("jobs of different workers do not run in step", "[worker]") {
  const auto begins_of = [](std::optional<std::uint32_t> seed) {
    WorkerOptions options;
    options.seed = seed;
    Collected<Duration> one, other;
    World world(options);
    for (Collected<Duration>* to : {&one, &other})
      world.worker.add(job(to == &one ? "one" : "other",
                           [to, clock = world.clock](Stop&) { to->add(clock.elapsed()); }, {10s, 5s, 3s}));
    world.worker.start();
    world.pass(200s, 500ms, 2);
    world.worker.stop();
    for (const auto& begins : {one.all(), other.all()}) {
      REQUIRE(begins.size() >= 13);
      CHECK(begins[0] >= 3s);
      CHECK(begins[0] <= 8s + 500ms);
      bool shorter = false, longer = false;
      for (std::size_t i = 1; i < begins.size(); ++i) {
        const Duration interval = begins[i] - begins[i - 1];
        CHECK(interval >= 5s);
        CHECK(interval <= 15s + 500ms);
        shorter = shorter || interval < 9s;
        longer = longer || interval > 11s;
      }
      if (!seed) continue;  // by chance, some draws are all of one kind
      CHECK(shorter);
      CHECK(longer);
    }
    CHECK(one.all() != other.all());
    return one.all();
  };
  const auto begins = begins_of(7);
  CHECK(begins_of(7) == begins);
  CHECK(begins_of(8) != begins);
  CHECK(begins_of({}) != begins_of({}));
}

TEST_CASE("a job that hangs delays no other, and is told to stop", "[worker]") {
  fault::Event hangs, runs;
  std::atomic<bool> told{false};
  World world;
  world.worker.add(job("hangs", [&](Stop& stop) {
    hangs.happen();
    stop.wait([] { return false; });
    told = stop.requested();
  }));
  world.worker.add(job("runs", [&](Stop&) { runs.happen(); }));
  world.worker.start();
  REQUIRE(hangs.await());
  for (int i = 0; i < 5; ++i) {
    world.clock.await_waiting(1);
    world.clock.advance(1min);
  }
  CHECK(runs.await(6));
  const std::vector<JobStatus> status = world.worker.status();
  CHECK(status[0].phase == Phase::running);
  CHECK(status[0].since == 5min);
  CHECK(status[0].runs == 0);
  world.worker.stop();
  CHECK(told);
  CHECK(world.worker.status()[0].phase == Phase::ended);
  CHECK(world.worker.status()[1].phase == Phase::ended);
  world.worker.stop();  // again
}

TEST_CASE("a job survives whatever it throws, and what it said is kept", "[worker]") {
  int run = 0;
  World world;
  world.worker.add(job("throws", [&run](Stop&) {
    switch (++run) {
      case 1: throw Error(errc::store_unavailable, "no answer");
      case 2: throw std::runtime_error("card 4242");
      case 3: throw 17;
      case 4: throw std::bad_alloc();
      default: return;
    }
  }));
  world.worker.start();
  std::vector<std::string> said;
  for (int i = 0; i < 5; ++i) {
    world.clock.await_waiting(1);
    const JobStatus status = world.worker.status()[0];
    said.push_back(status.failure);
    CHECK(status.failures == (i < 4 ? static_cast<std::uint64_t>(i) + 1 : 4));
    CHECK(status.failed_in_row == (i < 4 ? static_cast<std::uint64_t>(i) + 1 : 0));
    CHECK(status.runs == static_cast<std::uint64_t>(i) + 1);
    world.clock.advance(1min);
  }
  CHECK_THAT(said[0], support::starts_with("no answer"));
  CHECK(said[1] == "card 4242");
  CHECK(said[2] == "it threw what is no std::exception");
  CHECK(said[3] == std::bad_alloc().what());
  CHECK(said[4] == said[3]);
}

TEST_CASE("failures in a row are told once, and so is their end", "[worker]") {
  Collected<Alert> alerts;
  WorkerOptions options;
  options.alert = [&](const Alert& alert) {
    alerts.add(alert);
    throw std::runtime_error("the pager is broken");
  };
  int run = 0;
  World world(options);
  world.worker.add(job("charged_cards", [&run](Stop&) {
    ++run;
    if (run <= 2 || (run >= 4 && run <= 9)) throw Error(errc::store_unavailable, "no answer");
    if (run >= 12) throw std::runtime_error("card 4242");
  }));
  world.worker.start();
  world.pass(13min, 1min);
  const std::vector<Alert> told = alerts.all();
  REQUIRE(told.size() == 3);
  CHECK(told[0].rule == "background_job_failing");
  CHECK(told[0].edge == Alert::Edge::raised);
  CHECK_THAT(told[0].text,
             support::starts_with("background job charged_cards failed 3 times in a row: no answer"));
  CHECK(told[0].at == ManualClock().now() + 5min);
  CHECK(told[1].rule == told[0].rule);
  CHECK(told[1].edge == Alert::Edge::cleared);
  CHECK(told[1].at == ManualClock().now() + 9min);
  CHECK(told[2].edge == Alert::Edge::raised);
  CHECK(told[2].text.find("4242") == std::string::npos);  // whose words these are is not known
}

TEST_CASE("a job that fails because it is stopped is nothing to be told of", "[worker]") {
  std::atomic<int> alerts{0};
  WorkerOptions options;
  options.alert = [&](const Alert&) { ++alerts; };
  options.alert_after = 1;
  fault::Event begun;
  World world(options);
  world.worker.add(job("stopped", [&](Stop& stop) {
    begun.happen();
    stop.wait([] { return false; });
    throw Error(errc::shutting_down);
  }));
  world.worker.start();
  REQUIRE(begun.await());
  world.worker.stop();
  CHECK(alerts == 0);
  CHECK(world.worker.status()[0].failures == 1);
}

TEST_CASE("stopping ends waits at once, whoever stops", "[worker]") {
  std::atomic<int> runs{0};
  fault::Event stopped;
  {
    World world;  // whose clock stands still
    for (const char* name : {"one", "other"})
      world.worker.add(job(name, [&](Stop&) { ++runs; }, {1h, 30min, 1h}));
    SECTION("its owner") {
      world.worker.start();
      world.clock.await_waiting(2);
      world.worker.stop();
      CHECK(world.worker.status()[0].phase == Phase::ended);
    }
    SECTION("its destructor") {
      world.worker.start();
      world.clock.await_waiting(2);
    }
    SECTION("a job") {
      world.worker.add(job("stops", [&](Stop& stop) {
        world.worker.stop();
        if (stop.requested()) stopped.happen();
      }));
      world.worker.start();
      REQUIRE(stopped.await());
      world.worker.stop();
      CHECK(world.worker.status()[2].phase == Phase::ended);
    }
    SECTION("somebody, before it was started") {
      world.worker.stop();
      world.worker.start();
      world.worker.stop();
      CHECK(world.worker.status()[0].phase == Phase::not_started);
      CHECK_THROWS_MATCHES(world.worker.add(job("late", nothing)), Error,
                           support::has_code<Error>(errc::wrong_state));
    }
  }
  CHECK(runs == 0);
}

TEST_CASE("jobs that make no sense are refused", "[worker]") {
  const auto refused = support::has_code<Error>(errc::invalid_options);
  World world;
  world.worker.add(job("first", nothing));
  CHECK_THROWS_MATCHES(world.worker.add(job("", nothing)), Error, refused);
  CHECK_THROWS_MATCHES(world.worker.add(job("second", {})), Error, refused);
  CHECK_THROWS_MATCHES(world.worker.add(job("first", nothing)), Error, refused);
  for (const Schedule when : {Schedule{0s, 0s, 0s}, Schedule{-1s, 0s, 0s}, Schedule{1s, -1ms, 0s},
                              Schedule{1s, 1001ms, 0s}, Schedule{1s, 0s, -1ms}})
    CHECK_THROWS_MATCHES(world.worker.add(job("second", nothing, when)), Error, refused);
  WorkerOptions never;
  never.alert_after = 0;
  CHECK_THROWS_MATCHES(Worker(never), Error, refused);
  world.worker.add(job("rarely", nothing, {Duration::max(), Duration::max(), Duration::max()}));
  world.worker.start();
  world.clock.await_waiting(2);
  CHECK_THROWS_MATCHES(world.worker.add(job("third", nothing)), Error,
                       support::has_code<Error>(errc::wrong_state));
  CHECK_THROWS_MATCHES(world.worker.start(), Error, support::has_code<Error>(errc::wrong_state));
}

TEST_CASE("the application's signals do not come to the threads of jobs", "[worker]") {
  fault::Event ran;
  std::atomic<int> blocked{0};
  World world;
  world.worker.add(job("signals", [&](Stop&) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGALRM}) blocked += sigismember(&mask, signal);
    ran.happen();
  }));
  world.worker.start();
  REQUIRE(ran.await());
  CHECK(blocked == 4);
  sigset_t here;
  pthread_sigmask(SIG_SETMASK, nullptr, &here);
  CHECK(sigismember(&here, SIGTERM) == 0);
}

TEST_CASE("a worker says so where there can be no thread, and is stopped", "[worker]") {
  World world;
  world.worker.add(job("never", nothing));
  pthread_attr_t before, huge;
  REQUIRE(pthread_getattr_default_np(&before) == 0);
  REQUIRE(pthread_getattr_default_np(&huge) == 0);
  pthread_attr_setstacksize(&huge, std::size_t{1} << 48);  // more than there are addresses
  REQUIRE(pthread_setattr_default_np(&huge) == 0);
  CHECK_THROWS_AS(world.worker.start(), std::system_error);
  REQUIRE(pthread_setattr_default_np(&before) == 0);
  pthread_attr_destroy(&before);
  pthread_attr_destroy(&huge);
  CHECK(world.worker.status()[0].phase == Phase::not_started);
  CHECK_THROWS_MATCHES(world.worker.start(), Error, support::has_code<Error>(errc::wrong_state));
}

namespace {

/// What a recoverer looks like to a job.
struct Recoverer {
  struct Report {
    std::string failure;
  };
  Report run(Stop& stop) {
    begun.happen();
    if (failure.empty()) stop.wait([] { return false; });
    return {failure};
  }
  fault::Event begun;
  std::string failure;
};

/// Has one expired record, for ever.
struct Sweepable {
  std::optional<Record> find(const IdempotencyKey&) { return {}; }
  std::optional<Record> insert(const IdempotencyKey&, const Record&) { return {}; }
  bool replace(const IdempotencyKey&, Version, const Record&) { return false; }
  std::size_t erase_expired(Timestamp, std::size_t) {
    if (fails) throw Error(errc::store_unavailable, "no answer");
    return 1;
  }
  std::atomic<bool> fails{false};
};

}  // namespace

TEST_CASE("recovery as a job stops with the worker, and its failures count", "[worker][jobs]") {
  Recoverer recoverer;
  Collected<std::string> reports;
  World world;
  add_recovery(world.worker, recoverer, recovery_schedule,
               [&](const Recoverer::Report& report) { reports.add(report.failure); });
  SECTION("stopped") {
    world.worker.start();  // it begins at once
    REQUIRE(recoverer.begun.await());
    world.worker.stop();
    CHECK(reports.all() == std::vector<std::string>{""});
    CHECK(world.worker.status()[0].failures == 0);
  }
  SECTION("failed") {
    recoverer.failure = "no answer";
    world.worker.start();
    world.clock.await_waiting(1);
    CHECK(reports.all() == std::vector<std::string>{"no answer"});
    CHECK(world.worker.status()[0].failure == "no answer");
    CHECK(world.worker.status()[0].name == "recovery");
  }
}

TEST_CASE("sweeps as a job know the clock from the start, and tell when they pause for it",
          "[worker][jobs]") {
  Sweepable store;
  Collected<Alert> alerts;
  Collected<SweepReport> reports;
  ManualClock wall;
  World world;
  SweepJobOptions options;
  CHECK(options.when.first >= 1h);  // nothing is swept before the clock was watched for some time
  options.when = {15min, 0s, 15min};
  options.report = [&](const SweepReport& report) { reports.add(report); };
  options.alert = [&](const Alert& alert) {
    alerts.add(alert);
    throw 17;
  };
  wall = world.clock;
  add_sweep(world.worker, store, wall, options);
  wall.set(wall.now() + 24h);  // before the first sweep
  world.worker.start();
  for (int quarter = 1; quarter <= 5; ++quarter) {
    world.clock.await_waiting(1);
    world.clock.advance(15min);
  }
  world.clock.await_waiting(1);
  REQUIRE(reports.all().size() == 5);
  for (std::size_t i = 0; i < 4; ++i) CHECK(reports.all()[i].paused_for_clock);
  CHECK(reports.all()[4].erased == 1);
  store.fails = true;
  world.clock.advance(15min);
  world.clock.await_waiting(1);
  CHECK(reports.all().size() == 6);
  const JobStatus status = world.worker.status()[0];
  CHECK(status.name == "sweep");
  CHECK(status.failures == 1);
  CHECK_THAT(status.failure, support::starts_with("no answer"));
  const std::vector<Alert> told = alerts.all();
  REQUIRE(told.size() == 2);
  CHECK(told[0].rule == "wall_clock_jumped");
  CHECK(told[0].edge == Alert::Edge::raised);
  CHECK(told[1].edge == Alert::Edge::cleared);
  CHECK(told[1].at == wall.now() - 15min);

  SweepJobOptions bad;
  bad.sweep.batch = 0;
  World other;
  CHECK_THROWS_MATCHES(add_sweep(other.worker, store, wall, bad), Error,
                       support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("alerts as a job are delivered, also past a sink that throws", "[worker][jobs]") {
  Collected<std::string> told;
  World world;
  add_alerts(
      world.worker,
      [] {
        return std::vector<Alert>{{"first"}, {"second"}};
      },
      [&](const Alert& alert) {
        told.add(alert.rule);
        throw std::runtime_error("the pager is broken");
      });
  world.worker.start();
  world.pass(1min, 1min);
  CHECK(told.all() == std::vector<std::string>{"first", "second"});
  CHECK(world.worker.status()[0].name == "alerts");
  CHECK(world.worker.status()[0].failures == 0);
}

TEST_CASE("a job that hangs is told of once, and so is its end", "[worker][jobs]") {
  JobWatch watch(15min);
  const Timestamp now = ManualClock().now();
  JobStatus hanging{"sweep", Phase::running};
  JobStatus fine{"recovery", Phase::waiting};
  fine.since = 24h;
  hanging.since = 15min - 1ms;
  CHECK(watch.look({hanging, fine}, now).empty());
  hanging.since = 15min;
  const std::vector<Alert> raised = watch.look({hanging, fine}, now);
  REQUIRE(raised.size() == 1);
  CHECK(raised[0].rule == "background_job_hanging");
  CHECK(raised[0].edge == Alert::Edge::raised);
  CHECK(raised[0].text == "background job sweep has run for 900 s without an end");
  CHECK(raised[0].at == now);
  CHECK(watch.look({hanging, fine}, now).empty());
  hanging.phase = Phase::waiting;
  const std::vector<Alert> cleared = watch.look({hanging, fine}, now);
  REQUIRE(cleared.size() == 1);
  CHECK(cleared[0].edge == Alert::Edge::cleared);
  CHECK(watch.look({hanging, fine}, now).empty());
  fine.phase = Phase::ended;
  CHECK(watch.look({hanging, fine}, now).size() == 1);
}

TEST_CASE("the alerts of a worker are told which of its jobs hang", "[worker][jobs]") {
  fault::Event hangs;
  Collected<std::string> told;
  World world;
  world.worker.add(job("hangs", [&](Stop& stop) {
    hangs.happen();
    stop.wait([] { return false; });
  }));
  add_alerts(
      world.worker, [] { return std::vector<Alert>{}; }, [&](const Alert& alert) { told.add(alert.text); });
  world.worker.start();
  REQUIRE(hangs.await());
  world.pass(20min, 1min);
  CHECK(told.all() == std::vector<std::string>{"background job hangs has run for 900 s without an end"});
}
