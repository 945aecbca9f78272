// The snippets about observers.

#include <paidonce/observe/metrics.hpp>
#include <paidonce/observe/observers.hpp>
#include <paidonce/observe/prometheus.hpp>
#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/alert_rules.hpp>
#include <paidonce/recovery/log_sink.hpp>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace observers {

void page_somebody(std::string_view) {}

// [observer]
using namespace paidonce;

struct Watch {
  std::atomic<int>& in_doubt;

  void on(const events::InDoubt& event) noexcept {
    ++in_doubt;
    page_somebody(event.reason);
  }
  template <class Event>
  void on(const Event&) noexcept {}  // the rest
};
// [/observer]

// [watch_times]
void print(const MetricsSnapshot& now, const MetricsSnapshot& a_minute_ago) {
  const MetricsSnapshot minute = now - a_minute_ago;
  std::printf("%llu payments, 99 of 100 callables within %lld us\n",
              static_cast<unsigned long long>(minute.succeeded()),
              static_cast<long long>(minute.paying.succeeded.quantile(0.99).count() / 1000));
}
// [/watch_times]

// [look]
std::vector<Alert> look(MemoryStore& store, const Metrics& metrics, AlertRules& rules, Timestamp now) {
  return rules.evaluate(survey_unfinished(store, now), metrics.snapshot());
}

void deliver(const std::vector<Alert>& alerts) {
  const LogSink log(stderr);
  for (const Alert& alert : alerts) log(alert);
}
// [/look]

// [page]
std::string metrics_page(MemoryStore& store, const Metrics& metrics, Timestamp now) {
  return prometheus_text(metrics.snapshot(), {{"shop", "north"}}) +
         prometheus_text(survey_unfinished(store, now), now, {{"shop", "north"}});
}
// [/page]

}  // namespace observers

TEST_CASE("an observer sees doubts", "[docs]") {
  using namespace observers;
  std::atomic<int> doubts{0};
  // [use]
  IdempotencyGuard guard{MemoryStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{}, Watch{doubts}};
  // [/use]
  const auto outcome =
      guard.execute(IdempotencyKey("shop", "1"), fingerprint("a"),
                    []() -> PaymentResult<std::string> { throw std::runtime_error("lost"); });
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(doubts == 1);
  CHECK(guard.execute(IdempotencyKey("shop", "2"), fingerprint("a"), [] { return 1; }).succeeded());
  CHECK(doubts == 1);
}

TEST_CASE("metrics and an observer of one's own watch the same guard", "[docs]") {
  using namespace observers;
  std::atomic<int> doubts{0};
  MemoryStore store;
  // [compose]
  Metrics metrics;
  Watch watch{doubts};
  IdempotencyGuard guard{store, KeyedMutex{}, SystemClock{}, GuardOptions{}, Observers{metrics, watch}};
  // [/compose]
  AlertRules rules(AlertLimits{.in_doubt = 0});
  const MetricsSnapshot before = metrics.snapshot();
  REQUIRE(guard.execute(IdempotencyKey("shop", "1"), fingerprint("a"), [] { return 1; }).succeeded());
  REQUIRE(guard
              .execute(IdempotencyKey("shop", "2"), fingerprint("a"),
                       []() -> PaymentResult<std::string> { throw std::runtime_error("lost"); })
              .status() == Status::in_doubt);
  CHECK(doubts == 1);
  print(metrics.snapshot(), before);
  const Timestamp now = guard.clock().now();
  const std::vector<Alert> alerts = look(store, metrics, rules, now);
  deliver(alerts);
  REQUIRE(alerts.size() == 1);
  CHECK(alerts[0].rule == "many_in_doubt");
  const std::string page = metrics_page(store, metrics, now);
  CHECK_THAT(page, support::contains("paidonce_payments_put_in_doubt_total{shop=\"north\"} 1\n"));
  CHECK_THAT(page, support::contains("paidonce_records{shop=\"north\",state=\"in_doubt\"} 1\n"));
}
