#include "background.hpp"

#include <chrono>
#include <cstdio>

#include <paidonce/recovery/alert_rules.hpp>
#include <paidonce/recovery/jobs.hpp>
#include <paidonce/recovery/log_sink.hpp>
#include <paidonce/recovery/recover.hpp>

namespace payment_server {
namespace {

using paidonce::http::Response;

/// Recovery begins with what an earlier process left, and looks again often: a customer is waiting.
constexpr paidonce::Schedule recovery_schedule{std::chrono::seconds(5), std::chrono::seconds(1),
                                               paidonce::Duration(0)};
constexpr paidonce::Schedule survey_schedule{std::chrono::seconds(15), paidonce::Duration(0),
                                             paidonce::Duration(0)};

struct Ask {
  const Gateway& gateway;
  paidonce::PaymentResult<Response> operator()(const paidonce::Doubt& doubt) const {
    return ask_about(gateway, doubt.key, doubt.record);
  }
};

paidonce::RecoveryOptions recovery_options(const paidonce::AlertSink& pager) {
  paidonce::RecoveryOptions options;
  options.backoff = {std::chrono::seconds(5), std::chrono::hours(1), paidonce::Jitter::equal};
  options.only = [](const paidonce::IdempotencyKey&, const paidonce::Record& record) {
    return kind_of(record).has_value();  // what a webhook brought is not known to the gateway by a key
  };
  options.alert = pager;
  return options;
}

paidonce::WorkerOptions worker_options(const paidonce::AlertSink& pager) {
  paidonce::WorkerOptions options;
  options.alert = pager;
  return options;
}

}  // namespace

struct Background::Jobs {
  Jobs(Service& service, LastSurvey& survey)
      : pager(paidonce::LogSink(stderr)),
        recovery(service.guard, Ask{service.gateway}, recovery_options(pager)),
        worker(worker_options(pager)) {
    paidonce::add_recovery(worker, recovery, recovery_schedule);
    paidonce::SweepJobOptions sweeps;
    sweeps.alert = pager;
    paidonce::add_sweep(worker, service.store, service.guard.clock(), sweeps);
    worker.add({"survey", survey_schedule, [&service, &survey](paidonce::Stop& stop) {
                  paidonce::SurveyOptions options;
                  options.stop = &stop;
                  survey.set(paidonce::survey(service.store, service.guard.clock().now(), options));
                }});
    paidonce::add_alerts(
        worker,
        [this, &service] {
          return rules.evaluate(paidonce::survey_unfinished(service.store, service.guard.clock().now()),
                                service.metrics.snapshot());
        },
        pager);
  }

  paidonce::AlertSink pager;
  paidonce::AlertRules rules;
  paidonce::Recovery<Guard, Ask> recovery;
  paidonce::BackgroundWorker<> worker;  // last: it stops before what its jobs use goes away
};

Background::Background(Service& service, LastSurvey& survey)
    : jobs_(std::make_unique<Jobs>(service, survey)) {}
Background::~Background() = default;
void Background::start() { jobs_->worker.start(); }
void Background::stop() noexcept { jobs_->worker.stop(); }

}  // namespace payment_server
