#pragma once
// What a store holds, added up: how many payments are in which state and what they come to in each currency,
// what is stuck and since when. It reads in pages and holds nothing while it adds, so payments go on beside
// it; what they change meanwhile is counted as it was or as it is.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/record.hpp>
#include <paidonce/recovery/survey/tally.hpp>
#include <paidonce/store.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// A plain value; it carries no key.
struct Survey {
  Timestamp taken_at = {};  ///< the `now` that it was taken with
  bool finished = false;    ///< false: it was stopped, or came to its limit, and is of a part of the records
  bool unfinished_only = false;  ///< by `survey_unfinished`: nothing is said of the other states

  std::size_t abandoned = 0;  ///< in progress with the lease over: their holder is gone, or has stalled
  std::size_t expired = 0;    ///< that a sweep may erase

  /// The unfinished record that nobody has touched for longest: its `updated_at`, which begins, heartbeats,
  /// checkpoints and falling into doubt set. `ScanFilter::updated_before` finds it.
  std::optional<Timestamp> oldest_unfinished = {};
  /// The same among those in doubt: when the one that has waited longest fell into doubt.
  std::optional<Timestamp> oldest_in_doubt = {};
  /// The first begin of the payment that has been without an end for longest, its `created_at`: a running
  /// attempt that never ends keeps its record fresh by heartbeats, and shows here alone. A payment that was
  /// released and begun again counts from its first begin.
  std::optional<Timestamp> earliest_begun = {};

  const StateSurvey& of(State state) const noexcept { return by_state[static_cast<std::size_t>(state) - 1]; }
  std::size_t records() const noexcept {
    std::size_t records = 0;
    for (const StateSurvey& state : by_state) records += state.records;
    return records;
  }
  std::size_t unfinished() const noexcept {
    return of(State::in_progress).records + of(State::in_doubt).records;
  }
  /// How long before `taken_at` that was: zero for nothing and for what is to come.
  Duration age(const std::optional<Timestamp>& since) const noexcept {
    if (!since || *since >= taken_at) return Duration(0);
    const auto length = static_cast<std::uint64_t>(taken_at.time_since_epoch().count()) -
                        static_cast<std::uint64_t>(since->time_since_epoch().count());
    return length < static_cast<std::uint64_t>(INT64_MAX) ? Duration(static_cast<std::int64_t>(length))
                                                          : Duration::max();
  }

  std::array<StateSurvey, 5> by_state = {};  ///< `of(state)` reads it
};

struct SurveyOptions {
  std::size_t page = 1000;                                      ///< most records of one scan
  std::size_t limit = std::numeric_limits<std::size_t>::max();  ///< most records in all
  Stop* stop = nullptr;                                         ///< looked at between two pages
  std::function<void(std::size_t records)> progress = {};       ///< between two pages: how many were read
};

namespace detail {

class SurveyTally {
 public:
  SurveyTally(Timestamp now, const std::vector<State>& states) {
    survey_.taken_at = now;
    survey_.unfinished_only = !states.empty();
  }

  void add(const Record& record) {
    const auto state = static_cast<std::size_t>(record.state) - 1;
    states_[state].add(record.amount);
    if (record.state == State::in_progress || record.state == State::in_doubt) {
      lower(survey_.oldest_unfinished, record.updated_at);
      lower(survey_.earliest_begun, record.created_at);
      if (record.state == State::in_doubt)
        lower(survey_.oldest_in_doubt, record.updated_at);
      else if (survey_.taken_at >= record.lease_until)
        ++survey_.abandoned;
    } else if (protocol::expired(record, survey_.taken_at)) {
      ++survey_.expired;
    }
  }

  void has_seen_all() noexcept { survey_.finished = true; }

  Survey result() {
    for (std::size_t state = 0; state < states_.size(); ++state)
      survey_.by_state[state] = states_[state].result();
    return std::move(survey_);
  }

 private:
  static void lower(std::optional<Timestamp>& oldest, Timestamp time) noexcept {
    if (!oldest || time < *oldest) oldest = time;
  }

  Survey survey_;
  std::array<StateTally, 5> states_;
};

/// Records behind which a survey rests for a moment: a thread that never does takes a processor from the
/// payments whenever it is due, and not when it suits them. With all of a million that is a twentieth of a
/// second.
inline constexpr std::size_t survey_stretch = 1000;

template <ScannableStore S>
Survey take_survey(S& store, Timestamp now, const SurveyOptions& options, std::vector<State> states) {
  if (options.page == 0 || options.limit == 0)
    throw Error(errc::invalid_options, "SurveyOptions: page and limit are numbers of records, 1 at least");
  SurveyTally tally(now, states);
  ScanFilter filter{.states = std::move(states)};
  std::size_t until_rest = survey_stretch;
  for (std::size_t left = options.limit; left > 0;) {
    if (options.stop && options.stop->requested()) break;
    filter.limit = options.page < left ? options.page : left;
    std::size_t seen = 0;
    std::string last;
    store.scan(filter, [&](const IdempotencyKey& key, const Record& record) {
      tally.add(record);
      if (++seen == filter.limit) last = key.bytes();
      return true;
    });
    left -= seen;
    if (options.progress) options.progress(options.limit - left);
    if (seen < filter.limit) {
      tally.has_seen_all();
      break;
    }
    filter.after = std::move(last);
    if (until_rest > seen) {
      until_rest -= seen;
      continue;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    until_rest = survey_stretch;
  }
  return tally.result();
}

}  // namespace detail

/// All records of a store. Throws `invalid_options`, what the store's `scan` throws and what `progress`
/// throws. Safe beside everything else that uses the store.
template <ScannableStore S>
Survey survey(S& store, Timestamp now, const SurveyOptions& options = {}) {
  return detail::take_survey(store, now, options, {});
}

/// Only what is in progress or in doubt: as much work as there is of these, however much is stored, where
/// the store finds them without a walk (all that ship here do). What alerts ask often.
template <ScannableStore S>
Survey survey_unfinished(S& store, Timestamp now, const SurveyOptions& options = {}) {
  return detail::take_survey(store, now, options, {State::in_progress, State::in_doubt});
}

}  // namespace paidonce::inline v1
