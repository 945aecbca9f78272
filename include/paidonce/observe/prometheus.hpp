#pragma once
// Metrics and surveys as text for Prometheus. docs/operations/ has the dashboard and the alert rules that go
// with these names.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/observe/metrics_snapshot.hpp>
#include <paidonce/observe/prometheus/page.hpp>
#include <paidonce/record.hpp>
#include <paidonce/recovery/survey.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// What an HTTP reply with such a text says that it is.
inline constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

struct PrometheusOptions {
  std::string prefix = "paidonce";  ///< of all names
};

/// One of several guards on a page, told apart by its labels.
struct LabelledMetrics {
  PrometheusLabels labels;
  MetricsSnapshot metrics;
};
/// One of several stores on a page, told apart by its labels.
struct LabelledSurvey {
  PrometheusLabels labels;
  Survey survey;
};

namespace detail {

inline void write_histogram(PrometheusPage& page, const PrometheusLabels& given, std::string_view label,
                            std::string_view value, const LatencyHistogram& histogram) {
  constexpr int from = 10, to = 37;  // 1.024 µs to 137 s, doubling
  const auto sample = [&](std::string_view suffix, std::string_view bound, std::string_view number) {
    if (label.empty() && bound.empty())
      page.sample(given, {}, number, suffix);
    else if (label.empty())
      page.sample(given, {{"le", bound}}, number, suffix);
    else if (bound.empty())
      page.sample(given, {{label, value}}, number, suffix);
    else
      page.sample(given, {{label, value}, {"le", bound}}, number, suffix);
  };
  for (int bit = from; bit <= to; ++bit) {
    const std::int64_t bound = std::int64_t{1} << bit;
    sample("_bucket", seconds_text(static_cast<std::uint64_t>(bound)),
           std::to_string(histogram.count_up_to(LatencyHistogram::Nanoseconds(bound))));
  }
  const std::string count = std::to_string(histogram.count());
  sample("_bucket", "+Inf", count);
  sample("_sum", {}, seconds_text(histogram.sum()));
  sample("_count", {}, count);
}

/// The age of something at `now`, in seconds; zero for nothing and for what is to come.
inline std::string age_text(const std::optional<Timestamp>& since, Timestamp now) {
  Survey at_now;
  at_now.taken_at = now;
  const auto age = static_cast<std::uint64_t>(at_now.age(since).count());
  const std::string fraction = seconds_text(age % 1000 * 1'000'000);
  return std::to_string(age / 1000) + fraction.substr(1);
}

}  // namespace detail

/// Counters and histograms of several guards. Each needs labels of its own. Throws `Error{invalid_options}`
/// for names that Prometheus does not take.
inline std::string prometheus_text(const std::vector<LabelledMetrics>& guards,
                                   const PrometheusOptions& options = {}) {
  detail::PrometheusPage page(options.prefix);
  for (const LabelledMetrics& guard : guards) page.check(guard.labels);
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help, auto samples) {
    page.family(name, type, help);
    for (const LabelledMetrics& guard : guards) samples(guard.labels, guard.metrics);
  };
  using Labels = PrometheusLabels;
  using Snapshot = MetricsSnapshot;

  family("payments_begun_total", "counter", "Attempts whose callable was started.",
         [&](const Labels& labels, const Snapshot& of) { page.sample(labels, {}, of.began); });
  family("payments_ended_total", "counter", "Payments that came to their end, by the state they ended in.",
         [&](const Labels& labels, const Snapshot& of) {
           page.sample(labels, {{"state", "succeeded"}}, of.succeeded());
           page.sample(labels, {{"state", "declined"}}, of.declined());
           page.sample(labels, {{"state", "released"}}, of.released());
         });
  family("payments_put_in_doubt_total", "counter", "Attempts that left their payment in doubt.",
         [&](const Labels& labels, const Snapshot& of) { page.sample(labels, {}, of.in_doubt()); });
  family("calls_still_in_doubt_total", "counter",
         "Calls, and questions of recovery, that found a payment in doubt and left it so.",
         [&](const Labels& labels, const Snapshot& of) { page.sample(labels, {}, of.still_in_doubt); });
  family("calls_replayed_total", "counter", "Calls that were given a stored result.",
         [&](const Labels& labels, const Snapshot& of) { page.sample(labels, {}, of.replayed); });
  family("calls_refused_total", "counter", "Calls that were turned away, by the reason.",
         [&](const Labels& labels, const Snapshot& of) {
           page.sample(labels, {{"reason", "key_reused"}}, of.refused.key_reused);
           page.sample(labels, {{"reason", "in_progress"}}, of.refused.in_progress);
           page.sample(labels, {{"reason", "refuse_if"}}, of.refused.refuse_if);
         });
  family("leases_lost_total", "counter", "Attempts whose record moved on, or whose lease was not extended.",
         [&](const Labels& labels, const Snapshot& of) { page.sample(labels, {}, of.lease_lost); });
  family("store_failures_total", "counter", "Calls to the store that threw, by the call.",
         [&](const Labels& labels, const Snapshot& of) {
           page.sample(labels, {{"call", "find"}}, of.store_failed.find);
           page.sample(labels, {{"call", "insert"}}, of.store_failed.insert);
           page.sample(labels, {{"call", "replace"}}, of.store_failed.replace);
         });
  family("callable_seconds", "histogram", "Time in callables, by what became of the payment.",
         [&](const Labels& labels, const Snapshot& of) {
           detail::write_histogram(page, labels, "result", "succeeded", of.paying.succeeded);
           detail::write_histogram(page, labels, "result", "declined", of.paying.declined);
           detail::write_histogram(page, labels, "result", "released", of.paying.released);
           detail::write_histogram(page, labels, "result", "in_doubt", of.paying.in_doubt);
         });
  family("store_seconds", "histogram", "Time until a payment's begin, and its report, were stored.",
         [&](const Labels& labels, const Snapshot& of) {
           detail::write_histogram(page, labels, "write", "begin", of.beginning);
           detail::write_histogram(page, labels, "write", "report", of.recording);
         });
  family("wait_seconds", "histogram", "Time that duplicates waited for the lock or a running attempt.",
         [&](const Labels& labels, const Snapshot& of) {
           detail::write_histogram(page, labels, {}, {}, of.waiting);
         });
  return std::move(page).text();
}

/// The same of one guard.
inline std::string prometheus_text(const MetricsSnapshot& metrics, const PrometheusLabels& labels = {},
                                   const PrometheusOptions& options = {}) {
  return prometheus_text(std::vector<LabelledMetrics>{{labels, metrics}}, options);
}

/// What several stores hold, as gauges; ages are those at `now`, so that a survey that is no longer taken
/// shows. Of a survey of the unfinished, only these are told. Throws `Error{invalid_options}`.
inline std::string prometheus_text(const std::vector<LabelledSurvey>& stores, Timestamp now,
                                   const PrometheusOptions& options = {}) {
  detail::PrometheusPage page(options.prefix);
  for (const LabelledSurvey& store : stores) page.check(store.labels);
  const auto family = [&](std::string_view name, std::string_view help, auto samples) {
    page.family(name, "gauge", help);
    for (const LabelledSurvey& store : stores) samples(store.labels, store.survey);
  };
  using Labels = PrometheusLabels;
  const auto by_state = [](const Survey& of, auto sample) {
    for (const State state :
         {State::in_progress, State::succeeded, State::declined, State::in_doubt, State::released})
      if (!of.unfinished_only || state == State::in_progress || state == State::in_doubt)
        sample(to_string(state), of.of(state));
  };

  family("records", "Payments in the store, by state.", [&](const Labels& labels, const Survey& of) {
    by_state(of, [&](std::string_view state, const StateSurvey& held) {
      page.sample(labels, {{"state", state}}, held.records);
    });
  });
  family("records_amount", "What the payments come to, by state and currency.",
         [&](const Labels& labels, const Survey& of) {
           by_state(of, [&](std::string_view state, const StateSurvey& held) {
             for (const CurrencyTotal& total : held.totals)
               page.sample(labels, {{"state", state}, {"currency", total.currency}},
                           total.amount.empty() ? std::string_view("NaN") : std::string_view(total.amount));
           });
         });
  family("records_without_amount", "Payments that are in no amount, by state.",
         [&](const Labels& labels, const Survey& of) {
           by_state(of, [&](std::string_view state, const StateSurvey& held) {
             page.sample(labels, {{"state", state}}, held.without_amount + held.unreadable);
           });
         });
  family("records_abandoned", "Payments in progress with their lease over.",
         [&](const Labels& labels, const Survey& of) { page.sample(labels, {}, of.abandoned); });
  family("records_expired", "Records that a sweep may erase.", [&](const Labels& labels, const Survey& of) {
    if (!of.unfinished_only) page.sample(labels, {}, of.expired);
  });
  family("oldest_unfinished_age_seconds", "Since nobody touched the unfinished payment that waits longest.",
         [&](const Labels& labels, const Survey& of) {
           page.sample(labels, {}, detail::age_text(of.oldest_unfinished, now));
         });
  family("earliest_begun_age_seconds", "Since the first begin of the payment that has no end for longest.",
         [&](const Labels& labels, const Survey& of) {
           page.sample(labels, {}, detail::age_text(of.earliest_begun, now));
         });
  family("oldest_in_doubt_age_seconds", "Since the payment that is in doubt for longest fell into it.",
         [&](const Labels& labels, const Survey& of) {
           page.sample(labels, {}, detail::age_text(of.oldest_in_doubt, now));
         });
  family("survey_age_seconds", "Since the survey was taken that these gauges are of.",
         [&](const Labels& labels, const Survey& of) {
           page.sample(labels, {}, detail::age_text(of.taken_at, now));
         });
  family("survey_finished", "1 if that survey is of all records.",
         [&](const Labels& labels, const Survey& of) { page.sample(labels, {}, of.finished ? 1 : 0); });
  return std::move(page).text();
}

/// The same of one store.
inline std::string prometheus_text(const Survey& survey, Timestamp now, const PrometheusLabels& labels = {},
                                   const PrometheusOptions& options = {}) {
  return prometheus_text(std::vector<LabelledSurvey>{{labels, survey}}, now, options);
}

}  // namespace paidonce::inline v1
