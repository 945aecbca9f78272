// The text for Prometheus, and whether the rules, the dashboard, the runbook and the code agree on their
// names.

#include <paidonce/observe/prometheus.hpp>
#include <paidonce/recovery/alert_rules.hpp>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "integration/support/process.hpp"
#include "support/catch.hpp"

namespace {

using namespace paidonce;
using integration::content_of;
using std::chrono::nanoseconds;

const std::filesystem::path operations = std::filesystem::path(PAIDONCE_SOURCE) / "docs" / "operations";

MetricsSnapshot some_metrics() {
  MetricsSnapshot metrics;
  metrics.began = 7;
  metrics.paying.succeeded.add(nanoseconds(2048));
  metrics.paying.succeeded.add(nanoseconds(1'500'000'000));
  metrics.untimed.succeeded = 3;
  metrics.refused = {1, 2, 3};
  metrics.store_failed = {4, 5, 6};
  return metrics;
}

Survey some_survey() {
  Survey survey;
  survey.finished = true;
  survey.taken_at = Timestamp(Duration(10'000));
  survey.oldest_unfinished = Timestamp(Duration(3'500));
  survey.by_state[static_cast<std::size_t>(State::in_doubt) - 1] = {
      9, 1, 2, {{"EUR", 5, "1204.50"}, {"XYZ", 1, ""}}};
  survey.by_state[static_cast<std::size_t>(State::succeeded) - 1].records = 1000;
  survey.expired = 4;
  return survey;
}

std::string both_texts() {
  const PrometheusLabels labels = {{"shop", "\"north\"\\\n\xc3\xa4"}};
  return prometheus_text(some_metrics(), labels) +
         prometheus_text(some_survey(), Timestamp(Duration(12'345)), labels);
}

/// Where promtool is. Where it cannot be had the test says so and does nothing, except in CI, where it fails.
std::string promtool() {
  const auto installed = integration::run({PAIDONCE_SOURCE "/tests/support/install_promtool", PROMTOOL});
  if (installed.status == 0) return installed.out.substr(0, installed.out.find('\n'));
  const char* const ci = std::getenv("CI");
  if (ci != nullptr && std::string_view(ci) == "true") FAIL(installed.err);
  WARN("not run: " << installed.err);
  return {};
}

/// Every word of a text that begins so.
std::set<std::string> words(std::string_view text, std::string_view beginning) {
  std::set<std::string> found;
  for (std::size_t at = text.find(beginning); at != std::string_view::npos;
       at = text.find(beginning, at + 1)) {
    std::size_t end = at;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
      ++end;
    found.emplace(text.substr(at, end - at));
  }
  return found;
}

/// What stands behind each `before` up to the next `end`.
std::set<std::string> behind(std::string_view text, std::string_view before, char end) {
  std::set<std::string> found;
  for (std::size_t at = text.find(before); at != std::string_view::npos; at = text.find(before, at + 1)) {
    const std::size_t from = at + before.size();
    found.emplace(text.substr(from, text.find(end, from) - from));
  }
  return found;
}

/// The names of all samples and families of the text.
std::set<std::string> exposed() {
  std::set<std::string> names = words(both_texts(), "paidonce_");
  REQUIRE(names.size() > 20);
  return names;
}

std::set<std::string> rule_names() { return {AlertRules::names.begin(), AlertRules::names.end()}; }

}  // namespace

TEST_CASE("metrics become the text that Prometheus reads", "[observe][prometheus]") {
  const std::string text = prometheus_text(some_metrics());
  CHECK_THAT(
      text, support::starts_with("# HELP paidonce_payments_begun_total Attempts whose callable was started.\n"
                                 "# TYPE paidonce_payments_begun_total counter\n"
                                 "paidonce_payments_begun_total 7\n"));
  for (const char* const line :
       {"paidonce_payments_ended_total{state=\"succeeded\"} 5",
        "paidonce_calls_refused_total{reason=\"key_reused\"} 1",
        "paidonce_calls_refused_total{reason=\"refuse_if\"} 3",
        "paidonce_store_failures_total{call=\"replace\"} 6",
        "paidonce_callable_seconds_bucket{result=\"succeeded\",le=\"0.000001024\"} 0",
        "paidonce_callable_seconds_bucket{result=\"succeeded\",le=\"0.000002048\"} 1",
        "paidonce_callable_seconds_bucket{result=\"succeeded\",le=\"1.073741824\"} 1",
        "paidonce_callable_seconds_bucket{result=\"succeeded\",le=\"2.147483648\"} 2",
        "paidonce_callable_seconds_bucket{result=\"succeeded\",le=\"+Inf\"} 2",
        "paidonce_callable_seconds_sum{result=\"succeeded\"} 1.500002048",
        "paidonce_callable_seconds_count{result=\"succeeded\"} 2",
        "paidonce_wait_seconds_bucket{le=\"+Inf\"} 0", "paidonce_wait_seconds_sum 0",
        "paidonce_wait_seconds_count 0"})
    CHECK_THAT(text, support::contains('\n' + std::string(line) + '\n'));
}

TEST_CASE("a survey becomes gauges, with its ages as of now", "[observe][prometheus]") {
  const std::string text = prometheus_text(some_survey(), Timestamp(Duration(12'345)), {{"store", "a"}});
  for (const char* const line :
       {"paidonce_records{store=\"a\",state=\"in_doubt\"} 9",
        "paidonce_records{store=\"a\",state=\"succeeded\"} 1000",
        "paidonce_records_amount{store=\"a\",state=\"in_doubt\",currency=\"EUR\"} 1204.50",
        "paidonce_records_amount{store=\"a\",state=\"in_doubt\",currency=\"XYZ\"} NaN",
        "paidonce_records_without_amount{store=\"a\",state=\"in_doubt\"} 3",
        "paidonce_records_expired{store=\"a\"} 4",
        "paidonce_oldest_unfinished_age_seconds{store=\"a\"} 8.845",
        "paidonce_oldest_in_doubt_age_seconds{store=\"a\"} 0",
        "paidonce_survey_age_seconds{store=\"a\"} 2.345", "paidonce_survey_finished{store=\"a\"} 1"})
    CHECK_THAT(text, support::contains('\n' + std::string(line) + '\n'));

  Survey unfinished = some_survey();
  unfinished.unfinished_only = true;
  const std::string part = prometheus_text(unfinished, unfinished.taken_at);
  CHECK_THAT(part, support::contains("paidonce_records{state=\"in_doubt\"} 9\n"));
  CHECK_THAT(part, !support::contains("succeeded"));
  CHECK_THAT(part, !support::contains("paidonce_records_expired 4"));
}

TEST_CASE("several guards share a page, each name once", "[observe][prometheus]") {
  const std::string text = prometheus_text({{{{"guard", "a"}}, some_metrics()}, {{{"guard", "b"}}, {}}});
  CHECK_THAT(text, support::contains("paidonce_payments_begun_total{guard=\"a\"} 7\n"
                                     "paidonce_payments_begun_total{guard=\"b\"} 0\n"));
  const std::string type = "# TYPE paidonce_payments_begun_total counter\n";
  CHECK(text.find(type) == text.rfind(type));
  CHECK_THAT(prometheus_text(MetricsSnapshot(), {}, {.prefix = "shop"}),
             support::starts_with("# HELP shop_payments_begun_total "));
}

TEST_CASE("labels are escaped, and those that Prometheus would not take are refused",
          "[observe][prometheus]") {
  CHECK_THAT(both_texts(), support::contains("{shop=\"\\\"north\\\"\\\\\\n\xc3\xa4\"} 7\n"));
  const auto refused = [](const PrometheusLabels& labels) {
    try {
      prometheus_text(MetricsSnapshot(), labels);
    } catch (const Error& error) {
      return error.code() == errc::invalid_options;
    }
    return false;
  };
  for (const char* const name : {"", "1a", "a-b", "a:b", "__a", "le", "state", "\xc3\xa4"}) {
    INFO(name);
    CHECK(refused({{name, "x"}}));
  }
  CHECK(refused({{"a", "x"}, {"a", "y"}}));
  for (const char* const value :
       {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"})
    CHECK(refused({{"a", value}}));
  for (const char* const value : {"", "\xe2\x82\xac", "\xf0\x9f\x92\xb6", "\xef\xbf\xbf", "\xed\x9f\xbf"})
    CHECK_FALSE(refused({{"a", value}}));
  CHECK_THROWS_MATCHES(prometheus_text(MetricsSnapshot(), {}, {.prefix = "a b"}), Error,
                       support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("promtool accepts the text, the rules and what makes them fire",
          "[observe][prometheus][promtool]") {
  const std::string tool = promtool();
  if (tool.empty()) return;
  const ScratchDirectory files;
  const std::filesystem::path page = files / "page";
  const auto check_metrics = [&](const std::string& text) {
    std::ofstream(page, std::ios::binary) << text;
    const int in = ::open(page.c_str(), O_RDONLY | O_CLOEXEC);
    const auto checked = integration::run({tool, "check", "metrics"}, in);
    ::close(in);
    INFO(checked.out << checked.err);
    CHECK(checked.out.empty());
    CHECK(checked.err.empty());
    return checked.status;
  };
  CHECK(check_metrics(both_texts()) == 0);
  CHECK(check_metrics(prometheus_text({{{{"guard", "a"}}, some_metrics()}, {{{"guard", "b"}}, {}}})) == 0);
  for (const auto& command : std::vector<std::vector<std::string>>{
           {tool, "check", "rules", "--lint-fatal", operations / "prometheus_alerts.yml"},
           {tool, "test", "rules", PAIDONCE_SOURCE "/tests/unit/prometheus_alerts_test.yml"}}) {
    const auto checked = integration::run(command);
    INFO(checked.out << checked.err);
    CHECK(checked.status == 0);
  }
}

TEST_CASE("rules, dashboard and pages name metrics that there are", "[observe][prometheus][docs]") {
  const std::set<std::string> names = exposed();
  std::set<std::string> families;
  for (const std::string& family : behind(both_texts(), "# TYPE ", ' ')) families.insert(family);
  for (const char* const file :
       {"prometheus_alerts.yml", "grafana_dashboard.json", "index.md", "runbook.md"}) {
    const std::set<std::string> used = words(content_of(operations / file), "paidonce_");
    for (const std::string& name : used) {
      INFO(file << " has " << name);
      CHECK((names.count(name) == 1 || name == "paidonce_admin"));
    }
    if (std::string_view(file) == "index.md" || std::string_view(file) == "grafana_dashboard.json")
      for (const std::string& family : families) {
        INFO(file << " lacks " << family);
        const auto shows = [&](const std::string& name) { return name.starts_with(family); };
        CHECK(std::any_of(used.begin(), used.end(), shows));
      }
  }
}

TEST_CASE("every alert has an entry in the runbook, and in the rules for Prometheus",
          "[observe][alerts][docs]") {
  const std::string runbook = content_of(operations / "runbook.md");
  const std::set<std::string> entries = behind(runbook, "\n## ", '\n');
  std::set<std::string> told = rule_names();
  CHECK(told.size() == AlertRules::names.size());
  // What recovery, the workers, the audit log, orders and relays tell of themselves.
  for (const char* const part : {"recovery", "audit", "orders", "queue"})
    for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(PAIDONCE_SOURCE) /
                                                                "include/paidonce" / part))
      if (file.path().extension() == ".hpp") {
        const std::string source = content_of(file.path());
        for (const char* const before :
             {"Alert alert{\"", "alerts_.push_back({\"", "tell(\"", "options_.alert, sinks_, \""})
          told.merge(behind(source, before, '"'));
        for (const std::string& name : behind(source, " = \"order_", '"')) told.insert("order_" + name);
      }
  CHECK(told.size() > AlertRules::names.size());
  CHECK(entries == told);
  for (const char* const part : {"**Means**", "**Look**", "**Do**", "**Never**"}) {
    std::size_t parts = 0;
    for (std::size_t at = runbook.find(part); at != std::string::npos; at = runbook.find(part, at + 1))
      ++parts;
    INFO(part);
    CHECK(parts == entries.size());
  }

  const std::string rules = content_of(operations / "prometheus_alerts.yml");
  CHECK(behind(rules, "runbook: ", '}') == rule_names());
  std::set<std::string> alerts;
  for (const std::string& name : rule_names()) {
    std::string alert = "Paidonce";
    bool upper = true;
    for (const char c : name) {
      if (c != '_') alert += upper ? static_cast<char>(c - 'a' + 'A') : c;
      upper = c == '_';
    }
    alerts.insert(alert);
  }
  CHECK(behind(rules, "- alert: ", '\n') == alerts);
}
