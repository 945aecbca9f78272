// The snippets about what runs beside the payments.

#include <paidonce/observe/metrics.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/alert_rules.hpp>
#include <paidonce/recovery/jobs.hpp>
#include <paidonce/recovery/provider_query.hpp>
#include <paidonce/recovery/recover.hpp>
#include <paidonce/recovery/survey.hpp>
#include <paidonce/stores/file.hpp>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "elsewhere.hpp"
#include "fault/event.hpp"
#include "provider.hpp"
#include "support/catch.hpp"

extern template class paidonce::BasicFileStore<>;

namespace background {

using namespace paidonce;
using namespace std::chrono_literals;

// [host_types]
using PaymentGuard = IdempotencyGuard<FileStore, KeyedMutex, SystemClock, Metrics&>;

/// Asks a provider that is somewhere else.
struct Ask {
  const shop::Provider& provider;
  ProviderAnswer<std::string> operator()(const Doubt& doubt) const {
    const auto found = provider.look_up(doubt.provider_key());
    if (!found) return ProviderAnswer<std::string>::not_found();
    if (found->declined) return ProviderAnswer<std::string>::declined(found->body);
    return ProviderAnswer<std::string>::succeeded(found->body);
  }
};
// [/host_types]

fault::Event rounds;

void print_round(const RecoveryReport& round) {
  if (round.asked > 0) std::printf("recovery: %zu of %zu settled\n", round.succeeded, round.asked);
  rounds.happen();
}

// [host]
void take_payments(const std::filesystem::path& directory, const shop::Provider& provider, AlertSink pager,
                   const std::function<void(PaymentGuard&)>& serve) {
  Metrics metrics;
  PaymentGuard guard{FileStore{directory}, KeyedMutex{}, SystemClock{}, GuardOptions{}, metrics};

  RecoveryOptions doubts;
  doubts.alert = pager;
  Recovery recovery{guard, provider_query<std::string>(NotFound::means_in_doubt(), Ask{provider}), doubts};
  SweepJobOptions sweeps;
  sweeps.alert = pager;
  AlertRules rules;

  WorkerOptions options;
  options.alert = pager;
  BackgroundWorker<> background{options};  // last: it stops before what its jobs use goes away
  add_recovery(background, recovery, recovery_schedule, print_round);
  add_sweep(background, guard.store(), guard.clock(), sweeps);
  add_alerts(
      background,
      [&] {
        return rules.evaluate(survey_unfinished(guard.store(), guard.clock().now()), metrics.snapshot());
      },
      pager);
  background.start();  // recovery begins with what the process before this one left

  serve(guard);  // until the host shuts down
  background.stop();
  guard.shut_down();
}
// [/host]

// [job]
void add_heartbeat(BackgroundWorker<>& background, const std::function<void(Stop&)>& ping_the_monitor) {
  background.add({.name = "heartbeat",
                  .when = {.every = 30s, .jitter = 5s, .first = 10s},
                  .work = [ping_the_monitor](Stop& stop) { ping_the_monitor(stop); }});
}
// [/job]

// [status]
void print(const std::vector<JobStatus>& jobs) {
  for (const JobStatus& job : jobs)
    std::printf("%s: %llu runs, %llu failed, %llu in a row; the last took %lld ms %s\n", job.name.c_str(),
                static_cast<unsigned long long>(job.runs), static_cast<unsigned long long>(job.failures),
                static_cast<unsigned long long>(job.failed_in_row), static_cast<long long>(job.took.count()),
                job.failure.c_str());
}
// [/status]

// [once]
SweepReport sweep_once(FileStore& store) {
  SystemClock clock;
  SteadyTimer timer;
  ClockWatch watch;  // knows of no jump before its first reading
  Stop stop;
  return sweep(store, clock, timer, watch, SweepOptions{}, stop);
}
// [/once]

}  // namespace background

TEST_CASE("a payment host settles what the process before it left, and sweeps", "[docs]") {
  using namespace background;
  const integration::ElsewhereForNow elsewhere;
  shop::Provider provider;
  const IdempotencyKey key("coffee-shop", "order-1001");
  const auto pay = [&](Attempt& attempt) {
    return provider.charge("order-1001", attempt.provider_key()).body;
  };
  provider.mood = shop::Provider::Mood::charges_and_hangs_up;
  take_payments("payments.store", provider, {}, [&](PaymentGuard& guard) {
    CHECK(guard.execute(key, fingerprint("order-1001"), pay).status() == Status::in_doubt);
    REQUIRE(rounds.await());  // there was nothing to ask about yet, or there was
  });
  const int before = rounds.count();
  take_payments("payments.store", provider, {}, [&](PaymentGuard& guard) {
    REQUIRE(rounds.await(before + 1));
    CHECK(guard.find(key)->state == State::succeeded);
    const auto again = guard.execute(key, fingerprint("order-1001"), pay);
    CHECK(again.replayed());
  });
  CHECK(provider.charges == 1);

  FileStore store{"payments.store"};
  CHECK(sweep_once(store).finished);
  CHECK(store.find(key));
  BackgroundWorker<> worker;
  add_heartbeat(worker, [](Stop&) {});
  print(worker.status());
}
