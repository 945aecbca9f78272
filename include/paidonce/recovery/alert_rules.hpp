#pragma once
// When a person should look: limits on what a store holds and on what guards count, told at their edges.

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/observe/metrics_snapshot.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/recovery/survey.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// The limits. An alert is raised above its limit; the largest value of a limit's type turns it off.
struct AlertLimits {
  /// `payment_stuck`: an unfinished payment that nobody has touched for so long, or that began so long ago.
  Duration untouched_for = std::chrono::minutes(5), begun_before = std::chrono::hours(1);
  std::size_t in_doubt = 10;                      ///< `many_in_doubt`: payments
  Duration in_doubt_for = std::chrono::hours(1);  ///< `in_doubt_for_long`: the one that waits longest
  double duplicates = 0.5;                        ///< `many_duplicates`: for each payment that began
  double keys_reused = 0.01;                      ///< `keys_reused`: for each payment that began
  std::uint64_t leases_lost = 0;                  ///< `leases_lost`: within `window`
  std::uint64_t store_failures = 4;               ///< `store_failing`: within `window`

  /// What calls are counted over: as long as this, or as the pause between two evaluations.
  Duration window = std::chrono::minutes(5);
  /// Fewer calls than these within the window say nothing about duplicates and reused keys.
  std::uint64_t least_calls = 20;
  /// An alert is cleared at this part of its limit, so that what lies at the limit is not told each minute.
  double cleared_at = 0.8;
};

/// Judges a survey and the metrics of the guards over it. `evaluate` returns what changed since the last
/// time: each alert is raised once and cleared once. Decides and remembers, nothing else; for one thread at a
/// time.
class AlertRules {
 public:
  enum Rule : std::size_t {
    payment_stuck,
    many_in_doubt,
    in_doubt_for_long,
    many_duplicates,
    keys_reused,
    leases_lost,
    store_failing
  };
  /// `Alert::rule`, by `Rule`.
  static constexpr std::array<std::string_view, 7> names = {
      "payment_stuck", "many_in_doubt", "in_doubt_for_long", "many_duplicates",
      "keys_reused",   "leases_lost",   "store_failing"};

  /// Throws `Error{invalid_options}`.
  explicit AlertRules(AlertLimits limits = {}) : limits_(limits) {
    for (const Duration length :
         {limits.untouched_for, limits.begun_before, limits.in_doubt_for, limits.window})
      require(length.count() > 0, "AlertLimits: lengths of time are longer than zero");
    for (const double rate : {limits.duplicates, limits.keys_reused})
      require(rate >= 0, "AlertLimits: duplicates and keys_reused are numbers from 0");
    require(limits.cleared_at > 0 && limits.cleared_at <= 1,
            "AlertLimits: cleared_at is above 0 and at most 1");
  }

  /// `survey` and `metrics` are of now; `elapsed` is a timer's, which does not jump. The first evaluation
  /// judges all that was counted until then, as metrics begin at zero with their process: rules that come
  /// later to metrics that have counted for long are evaluated once, and what that returns is dropped. What
  /// was counted before a snapshot that counts less than the last one is of no window.
  std::vector<Alert> evaluate(const Survey& survey, const MetricsSnapshot& metrics, Duration elapsed) {
    std::vector<Alert> alerts;
    judge_stock(survey, alerts);
    judge_calls(Calls(metrics, elapsed), survey.taken_at, alerts);
    return alerts;
  }
  /// The same, on the machine's timer.
  std::vector<Alert> evaluate(const Survey& survey, const MetricsSnapshot& metrics) {
    return evaluate(survey, metrics, SteadyTimer().elapsed());
  }

  bool is_raised(Rule rule) const noexcept { return raised_[rule]; }

 private:
  /// What the rules read of a snapshot.
  struct Calls {
    /// Where metrics began.
    static Calls none(Duration at) noexcept {
      Calls calls(MetricsSnapshot(), at);
      calls.are_none = true;
      return calls;
    }
    Calls(const MetricsSnapshot& of, Duration at)
        : elapsed(at),
          began(of.began),
          duplicates(of.replayed + of.refused.in_progress),
          reused(of.refused.key_reused),
          lost(of.lease_lost),
          failed(of.store_failed.find + of.store_failed.insert + of.store_failed.replace) {}
    /// Whether `later` can have come of this by counting.
    bool leads_to(const Calls& later) const noexcept {
      return elapsed <= later.elapsed && began <= later.began && duplicates <= later.duplicates &&
             reused <= later.reused && lost <= later.lost && failed <= later.failed;
    }
    Duration elapsed;
    std::uint64_t began, duplicates, reused, lost, failed;
    bool are_none = false;
  };
  enum class Extent : std::uint8_t { all, part };

  static void require(bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  }
  static double seconds(Duration length) noexcept { return static_cast<double>(length.count()) / 1000; }
  static std::string seconds_text(Duration length) { return std::to_string(length.count() / 1000) + " s"; }

  /// A survey of a part of the store may raise an alert, and clears none.
  void judge_stock(const Survey& survey, std::vector<Alert>& alerts) {
    const Extent extent = survey.finished ? Extent::all : Extent::part;
    const auto edge = [&](Rule rule, double part_of_limit, const std::string& text) {
      judge(rule, part_of_limit, extent, text, survey.taken_at, alerts);
    };
    const Duration untouched = survey.age(survey.oldest_unfinished);
    const Duration running = survey.age(survey.earliest_begun);
    const double by_touch = part(seconds(untouched), seconds(limits_.untouched_for), limits_.untouched_for);
    const double by_begin = part(seconds(running), seconds(limits_.begun_before), limits_.begun_before);
    edge(payment_stuck, by_touch > by_begin ? by_touch : by_begin,
         "an unfinished payment was last touched " + seconds_text(untouched) + " ago (limit " +
             seconds_text(limits_.untouched_for) + "), one first began " + seconds_text(running) +
             " ago (limit " + seconds_text(limits_.begun_before) + ")");
    const std::size_t doubts = survey.of(State::in_doubt).records;
    edge(
        many_in_doubt,
        part(static_cast<double>(doubts), static_cast<double>(limits_.in_doubt), limits_.in_doubt),
        "payments in doubt: " + std::to_string(doubts) + " (limit " + std::to_string(limits_.in_doubt) + ")");
    const Duration in_doubt = survey.age(survey.oldest_in_doubt);
    edge(in_doubt_for_long, part(seconds(in_doubt), seconds(limits_.in_doubt_for), limits_.in_doubt_for),
         "a payment has been in doubt for " + seconds_text(in_doubt) + " (limit " +
             seconds_text(limits_.in_doubt_for) + ")");
  }

  void judge_calls(const Calls& now, Timestamp at, std::vector<Alert>& alerts) {
    const bool first = window_.empty();
    if (first) window_.push_back(Calls::none(now.elapsed));
    if (!first && !window_.back().leads_to(now)) window_.clear();
    while (window_.size() > 1 && now.elapsed - window_[1].elapsed >= limits_.window) window_.pop_front();
    const Calls& base = window_.empty() ? now : window_.front();
    const std::uint64_t began = now.began - base.began;
    const auto edge = [&](Rule rule, double part_of_limit, const std::string& text) {
      judge(rule, part_of_limit, Extent::all,
            text + (base.are_none ? " since counting began"
                                  : " within " + seconds_text(now.elapsed - base.elapsed)),
            at, alerts);
    };
    const auto rate = [&](Rule rule, std::uint64_t count, double limit, const char* what) {
      const double payments = static_cast<double>(began);
      const bool enough = count + began >= limits_.least_calls;
      edge(rule, enough ? part(static_cast<double>(count), limit * payments, limit) : 0,
           std::to_string(count) + what + " beside " + std::to_string(began) + " payments that began");
    };
    const auto number = [&](Rule rule, std::uint64_t count, std::uint64_t limit, const char* what) {
      edge(rule, part(static_cast<double>(count), static_cast<double>(limit), limit),
           std::to_string(count) + what + " (limit " + std::to_string(limit) + ")");
    };
    rate(many_duplicates, now.duplicates - base.duplicates, limits_.duplicates, " duplicates");
    rate(keys_reused, now.reused - base.reused, limits_.keys_reused,
         " calls with the key of another request");
    number(leases_lost, now.lost - base.lost, limits_.leases_lost, " attempts lost their lease");
    number(store_failing, now.failed - base.failed, limits_.store_failures, " calls to the store failed");
    // Few enough to keep, however often this is called.
    if (first || window_.empty() || now.elapsed - window_.back().elapsed >= limits_.window / 64)
      window_.push_back(now);
  }

  /// How much of its limit a value is: above 1 it is exceeded. Nothing exceeds the largest value of `limit`'s
  /// type, as little as a rate without an end.
  template <class Limit>
  static double part(double value, double limit, Limit given) noexcept {
    if constexpr (std::is_same_v<Limit, double>) {
      if (std::isinf(given) || given == std::numeric_limits<double>::max()) return 0;
    } else if constexpr (std::is_same_v<Limit, Duration>) {
      if (given == Duration::max()) return 0;
    } else {
      if (given == std::numeric_limits<Limit>::max()) return 0;
    }
    if (value <= 0) return 0;
    return limit > 0 ? value / limit : std::numeric_limits<double>::infinity();
  }

  void judge(Rule rule, double part_of_limit, Extent extent, const std::string& text, Timestamp at,
             std::vector<Alert>& alerts) {
    bool& raised = raised_[rule];
    const bool edge =
        raised ? extent == Extent::all && part_of_limit <= limits_.cleared_at : part_of_limit > 1;
    if (!edge) return;
    raised = !raised;
    alerts.push_back(
        {std::string(names[rule]), raised ? Alert::Edge::raised : Alert::Edge::cleared, text, {}, at});
  }

  const AlertLimits limits_;
  std::array<bool, names.size()> raised_{};
  std::deque<Calls> window_;  // its first element is where the window begins
};

}  // namespace paidonce::inline v1
