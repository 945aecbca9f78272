#include <paidonce/recovery/alert_rules.hpp>
#include <paidonce/recovery/log_sink.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace paidonce;
using namespace std::chrono_literals;

constexpr Timestamp start = Timestamp(Duration(1'700'000'000'000));

/// A store and guards, as rules see them.
struct Watched {
  explicit Watched(AlertLimits limits = {}) : rules(limits) {}

  Survey survey = [] {
    Survey of;
    of.finished = true;
    of.taken_at = start;
    return of;
  }();
  MetricsSnapshot metrics = {};
  Duration elapsed = 1h;
  AlertRules rules;

  void in_doubt(std::size_t records) {
    survey.by_state[static_cast<std::size_t>(State::in_doubt) - 1].records = records;
  }
  /// A minute later.
  std::vector<Alert> evaluate(Duration later = 1min) {
    elapsed += later;
    survey.taken_at += later;
    return rules.evaluate(survey, metrics, elapsed);
  }
};

using Step = std::function<void(Watched&)>;

/// The rule, what keeps it just below its limit, what takes it over that, what is between the limit and
/// where it is cleared, and what clears it.
struct Example {
  AlertRules::Rule rule;
  Step at_limit, above, between, below;
};

const std::vector<Example> examples = {
    {AlertRules::payment_stuck,  //
     [](Watched& of) { of.survey.oldest_unfinished = of.survey.taken_at + 1min - 5min; },
     [](Watched& of) { of.survey.oldest_unfinished = of.survey.taken_at + 1min - 5min - 1ms; },
     [](Watched& of) { of.survey.oldest_unfinished = of.survey.taken_at + 1min - 4min - 1ms; },
     [](Watched& of) { of.survey.oldest_unfinished = of.survey.taken_at + 1min - 4min; }},
    {AlertRules::payment_stuck,  // kept fresh by heartbeats, without an end
     [](Watched& of) { of.survey.earliest_begun = of.survey.taken_at + 1min - 1h; },
     [](Watched& of) { of.survey.earliest_begun = of.survey.taken_at + 1min - 1h - 1ms; },
     [](Watched& of) { of.survey.earliest_begun = of.survey.taken_at + 1min - 49min; },
     [](Watched& of) { of.survey.earliest_begun.reset(); }},
    {AlertRules::many_in_doubt,  //
     [](Watched& of) { of.in_doubt(10); }, [](Watched& of) { of.in_doubt(11); },
     [](Watched& of) { of.in_doubt(9); }, [](Watched& of) { of.in_doubt(8); }},
    {AlertRules::in_doubt_for_long,  //
     [](Watched& of) { of.survey.oldest_in_doubt = of.survey.taken_at + 1min - 1h; },
     [](Watched& of) { of.survey.oldest_in_doubt = of.survey.taken_at + 1min - 1h - 1ms; },
     [](Watched& of) { of.survey.oldest_in_doubt = of.survey.taken_at + 1min - 50min; },
     [](Watched& of) { of.survey.oldest_in_doubt = of.survey.taken_at; }},
    {AlertRules::many_duplicates,
     [](Watched& of) {
       of.metrics.began += 20, of.metrics.replayed += 4, of.metrics.refused.in_progress += 6;
     },
     [](Watched& of) { ++of.metrics.replayed; }, [](Watched& of) { of.metrics.began += 3; },
     [](Watched& of) { of.metrics.began += 7; }},
    {AlertRules::keys_reused,
     [](Watched& of) { of.metrics.began += 200, of.metrics.refused.key_reused += 2; },
     [](Watched& of) { ++of.metrics.refused.key_reused; }, [](Watched& of) { of.metrics.began += 150; },
     [](Watched& of) { of.metrics.began += 50; }},
    {AlertRules::leases_lost,  //
     [](Watched&) {}, [](Watched& of) { ++of.metrics.lease_lost; }, [](Watched&) {},
     [](Watched& of) { of.evaluate(10min); }},
    {AlertRules::store_failing,
     [](Watched& of) {
       of.metrics.store_failed = {1, 1, 2};
     },
     [](Watched& of) { ++of.metrics.store_failed.insert; }, [](Watched&) {}, [](Watched&) {}},
};

}  // namespace

TEST_CASE("each alert is raised once above its limit and cleared once well below it", "[alerts]") {
  for (const Example& example : examples) {
    const std::string name(AlertRules::names[example.rule]);
    INFO(name);
    Watched of;
    REQUIRE(of.evaluate().empty());
    example.at_limit(of);
    REQUIRE(of.evaluate().empty());
    example.above(of);
    const std::vector<Alert> raised = of.evaluate();
    REQUIRE(raised.size() == 1);
    CHECK(raised[0].rule == name);
    CHECK(raised[0].edge == Alert::Edge::raised);
    CHECK(raised[0].at == of.survey.taken_at);
    CHECK(raised[0].key_digest.empty());
    CHECK(of.rules.is_raised(example.rule));
    example.between(of);
    REQUIRE(of.evaluate().empty());
    REQUIRE(of.rules.is_raised(example.rule));
    if (example.rule == AlertRules::leases_lost || example.rule == AlertRules::store_failing) {
      // These are cleared by time alone: what was counted leaves the window.
      std::size_t cleared = 0;
      for (int minute = 0; minute < 10; ++minute)
        for (const Alert& alert : of.evaluate()) {
          CHECK(minute >= 2);
          CHECK(minute <= 5);
          CHECK(alert.rule == name);
          CHECK(alert.edge == Alert::Edge::cleared);
          ++cleared;
        }
      REQUIRE(cleared == 1);
    } else {
      example.below(of);
      const std::vector<Alert> cleared = of.evaluate();
      REQUIRE(cleared.size() == 1);
      CHECK(cleared[0].rule == name);
      CHECK(cleared[0].edge == Alert::Edge::cleared);
    }
    CHECK_FALSE(of.rules.is_raised(example.rule));
    REQUIRE(of.evaluate().empty());
  }
}

TEST_CASE("a survey of a part of the store raises alerts and clears none", "[alerts]") {
  Watched of;
  of.survey.finished = false;
  of.in_doubt(11);
  REQUIRE(of.evaluate().size() == 1);
  of.in_doubt(0);
  REQUIRE(of.evaluate().empty());
  of.survey.finished = true;
  REQUIRE(of.evaluate().size() == 1);
}

TEST_CASE("few calls say nothing about duplicates", "[alerts]") {
  Watched of;
  of.evaluate();
  of.metrics.began = 1;
  of.metrics.replayed = 18;
  REQUIRE(of.evaluate().empty());
  of.metrics.replayed = 19;
  REQUIRE(of.evaluate().size() == 1);
}

TEST_CASE("what a process counts before the first evaluation is judged by it, and leaves the window in time",
          "[alerts]") {
  Watched of;
  of.metrics.began = 1;
  of.metrics.replayed = 973;
  of.metrics.store_failed.find = 5;
  const std::vector<Alert> raised = of.evaluate();
  REQUIRE(raised.size() == 2);
  CHECK(raised[0].text == "973 duplicates beside 1 payments that began since counting began");
  CHECK(raised[1].text == "5 calls to the store failed (limit 4) since counting began");
  for (int minute = 1; minute < 5; ++minute) CHECK(of.evaluate().empty());
  CHECK(of.evaluate().size() == 2);
}

TEST_CASE("what was counted by metrics that began again raises nothing", "[alerts]") {
  Watched of;
  of.metrics.lease_lost = 5;
  REQUIRE(of.evaluate().size() == 1);
  of.metrics = MetricsSnapshot();
  of.metrics.lease_lost = 3;
  const std::vector<Alert> cleared = of.evaluate();
  REQUIRE(cleared.size() == 1);
  CHECK(cleared[0].edge == Alert::Edge::cleared);
  of.metrics.lease_lost = 4;
  REQUIRE(of.evaluate().size() == 1);
}

TEST_CASE("the window is as long as it says, however often it is looked at", "[alerts]") {
  for (const Duration step : {Duration(1s), Duration(7s), Duration(1min), Duration(20min)}) {
    INFO(step.count());
    Watched of;
    of.evaluate();
    ++of.metrics.lease_lost;
    REQUIRE(of.evaluate(step).size() == 1);
    const Duration lost = of.elapsed;
    while (of.evaluate(step).empty()) REQUIRE(of.elapsed - lost < 30min);
    CHECK(of.elapsed - lost >= (step < 5min ? 5min - step : step));
    CHECK(of.elapsed - lost <= (step < 5min ? 5min + step + 5s : step));
  }
}

TEST_CASE("the largest limits turn alerts off, and limits without sense are refused", "[alerts]") {
  AlertLimits off;
  off.untouched_for = off.begun_before = off.in_doubt_for = Duration::max();
  off.in_doubt = std::numeric_limits<std::size_t>::max();
  off.duplicates = off.keys_reused = std::numeric_limits<double>::infinity();
  off.leases_lost = off.store_failures = std::numeric_limits<std::uint64_t>::max();
  Watched of(off);
  of.evaluate();
  of.survey.oldest_unfinished = of.survey.earliest_begun = of.survey.oldest_in_doubt = Timestamp::min();
  of.in_doubt(1'000'000);
  of.metrics.refused = {100, 100, 100};
  of.metrics.lease_lost = of.metrics.store_failed.find = 1'000'000;
  CHECK(of.evaluate().empty());

  const auto refused = [](auto change) {
    AlertLimits limits;
    change(limits);
    try {
      AlertRules rules(limits);
    } catch (const Error& error) {
      return error.code() == errc::invalid_options;
    }
    return false;
  };
  CHECK(refused([](AlertLimits& limits) { limits.untouched_for = Duration(0); }));
  CHECK(refused([](AlertLimits& limits) { limits.begun_before = Duration(-1); }));
  CHECK(refused([](AlertLimits& limits) { limits.in_doubt_for = Duration(0); }));
  CHECK(refused([](AlertLimits& limits) { limits.window = Duration(0); }));
  CHECK(refused([](AlertLimits& limits) { limits.duplicates = -1; }));
  CHECK(refused([](AlertLimits& limits) { limits.keys_reused = std::numeric_limits<double>::quiet_NaN(); }));
  CHECK(refused([](AlertLimits& limits) { limits.cleared_at = 0; }));
  CHECK(refused([](AlertLimits& limits) { limits.cleared_at = 1.1; }));
  CHECK_FALSE(refused([](AlertLimits&) {}));
}

TEST_CASE("an alert is one line of a log, whatever is in it", "[alerts][log_sink]") {
  std::string log;
  const AlertSink sink = LogSink([&log](std::string_view line) { log += line; });
  Alert alert{"left_in_doubt", Alert::Edge::raised, "a\nb\r\t\x1b[2J\x7f\\ \xc2\x9b \xc3\xa4 \xc2\xa0",
              "1f2e3d4c5b6a7988", Timestamp(Duration(1'772'600'767'089))};
  sink(alert);
  CHECK(log ==
        "2026-03-04T05:06:07.089Z raised left_in_doubt 1f2e3d4c5b6a7988: "
        "a\\nb\\x0d\\x09\\x1b[2J\\x7f\\\\ \\x9b \xc3\xa4 \xc2\xa0\n");
  log.clear();
  alert = {"store_failing", Alert::Edge::cleared, "", "", Timestamp(Duration(0))};
  sink(alert);
  CHECK(log == "1970-01-01T00:00:00.000Z cleared store_failing: \n");

  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  LogSink to_file(file);
  to_file(alert);
  to_file(alert);
  CHECK(std::ftell(file) == static_cast<long>(2 * log.size()));
  std::fclose(file);
}

TEST_CASE("times are written in UTC, also those far away", "[alerts][log_sink]") {
  const auto text = [](std::int64_t count) { return detail::utc_text(Timestamp(Duration(count))); };
  CHECK(text(-1) == "1969-12-31T23:59:59.999Z");
  CHECK(text(951'782'400'000) == "2000-02-29T00:00:00.000Z");
  CHECK(text(4'107'542'400'000) == "2100-03-01T00:00:00.000Z");
  CHECK(text(253'402'300'799'999) == "9999-12-31T23:59:59.999Z");
  CHECK(text(-62'135'596'800'000) == "0001-01-01T00:00:00.000Z");
  CHECK(text(std::numeric_limits<std::int64_t>::max()) == "292278994-08-17T07:12:55.807Z");
  CHECK(text(std::numeric_limits<std::int64_t>::min()) == "-292275055-05-16T16:47:04.192Z");
}
