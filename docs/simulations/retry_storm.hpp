#pragma once
// A simulation: 10,000 clients have a payment under way when their gateway goes down, and all try again. What
// do their pauses do to it when it comes back? docs/retry.md shows the answer.
//
// Time goes in steps of a millisecond. The pauses and the budgets are those of the library, by the same code.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/budget.hpp>

namespace retry_storm {

using paidonce::Backoff;
using paidonce::Duration;
using paidonce::Jitter;

/// Turns everybody away while it is down, and while its queue is full. Looking at a request takes some of its
/// time, too: `look` parts of the `work` that a payment is.
struct Gateway {
  Duration down{30'000};
  int payments_per_second = 500;
  int work = 200, look = 1;
  std::size_t queue = 500;
};

/// All notice within `notice` that the gateway is gone. They are at so many hosts, each of which has a budget
/// where there are budgets; who is out of it comes back after a time of the order of a person's, or a
/// queue's.
struct Clients {
  int count = 10'000;
  int hosts = 100;
  Duration notice{100};
  Duration round_trip{20};
  Backoff come_back{Duration(30'000), Duration(90'000)};
};

struct Strategy {
  std::string name;
  Backoff backoff;
  enum class Budget { none, ten_percent } budget = Budget::none;
};

inline std::vector<Strategy> strategies() {
  constexpr Duration first(100), longest(10'000);
  using Budget = Strategy::Budget;
  return {{"no backoff: 0.1 s each time", {first, first, Jitter::none}},
          {"backoff without jitter", {first, longest, Jitter::none}},
          {"full jitter", {first, longest, Jitter::full}},
          {"equal jitter", {first, longest, Jitter::equal}},
          {"decorrelated jitter", {first, longest, Jitter::decorrelated}},
          {"no backoff, with a budget", {first, first, Jitter::none}, Budget::ten_percent},
          {"full jitter, with a budget", {first, longest, Jitter::full}, Budget::ten_percent}};
}

/// What happened from the moment on at which the gateway was back.
struct Course {
  std::string name;
  std::vector<int> load, served;  ///< in each 100 ms: requests that came, payments that were made
  int peak = 0;                   ///< requests a second, in the busiest 100 ms
  std::int64_t requests = 0;      ///< all of them
  Duration half{0}, all{0};       ///< until so many were paid; zero: not within `patience`
};

constexpr std::uint64_t seed_of_the_page = 1;
constexpr Duration patience{600'000};
constexpr int bin = 100;  // ms

/// One client is at one place at a time: on its way to the gateway, in its queue, or done.
class Simulation {
 public:
  Simulation(const Strategy& strategy, const Gateway& gateway, const Clients& clients, std::uint64_t seed)
      : strategy_(strategy),
        gateway_(gateway),
        clients_(clients),
        random_(seed),
        states_(static_cast<std::size_t>(clients.count)) {
    course_.name = strategy.name;
    for (int host = 0; host < clients.hosts; ++host) budgets_.emplace_back();
  }

  Course run() {
    for (std::size_t client = 0; client < states_.size(); ++client) {
      budget_of(client).deposit();
      fail(client, paidonce::detail::duration_between(Duration(0), clients_.notice, random_));
    }
    for (Duration now{0}; paid_ < states_.size() && now < gateway_.down + patience; ++now) step(now);
    for (const int requests : course_.load) course_.peak = std::max(course_.peak, requests * 1000 / bin);
    return course_;
  }

 private:
  struct Client {
    std::uint32_t failures = 0;
    Duration pause{0};
    std::int32_t next = -1;  // who arrives in the same millisecond
  };
  static constexpr std::size_t horizon = 1 << 17;  // ms: longer than any pause

  paidonce::RetryBudget& budget_of(std::size_t client) { return budgets_[client % budgets_.size()]; }

  /// The client learns at `now` that nothing came of it, and decides when it is back.
  void fail(std::size_t client, Duration now) {
    Client& state = states_[client];
    if (strategy_.budget == Strategy::Budget::none || budget_of(client).withdraw()) {
      state.pause = paidonce::pause_after(strategy_.backoff, ++state.failures, state.pause, random_);
      return arrive(client, now + state.pause);
    }
    state = {};
    const Backoff& away = clients_.come_back;
    arrive(client, now + paidonce::detail::duration_between(away.first, away.longest, random_));
  }

  void arrive(std::size_t client, Duration when) {
    std::int32_t& first = arrivals_[static_cast<std::size_t>(when.count()) % horizon];
    states_[client].next = first;
    first = static_cast<std::int32_t>(client);
  }

  void step(Duration now) {
    const bool up = now >= gateway_.down;
    const auto at = static_cast<std::size_t>((now - gateway_.down).count() / bin);
    if (up && course_.load.size() <= at) {
      course_.load.push_back(0);
      course_.served.push_back(0);
    }
    if (up) strength_ += gateway_.payments_per_second * gateway_.work / 1000;
    std::int32_t next = -1;
    std::swap(next, arrivals_[static_cast<std::size_t>(now.count()) % horizon]);
    while (next >= 0) {
      const auto client = static_cast<std::size_t>(next);
      next = states_[client].next;
      if (states_[client].failures == 0) budget_of(client).deposit();
      if (up) {
        ++course_.load[at];
        ++course_.requests;
        strength_ -= strength_ > 0 ? gateway_.look : 0;
      }
      if (up && queued_ < gateway_.queue)
        ++queued_;
      else
        fail(client, now + clients_.round_trip);
    }
    for (; queued_ > 0 && strength_ >= gateway_.work; strength_ -= gateway_.work) {
      --queued_;
      ++course_.served[at];
      ++paid_;
      if (2 * paid_ == states_.size()) course_.half = now - gateway_.down;
      if (paid_ == states_.size()) course_.all = now - gateway_.down;
    }
    if (queued_ == 0) strength_ = 0;  // idle time is not saved up
  }

  const Strategy& strategy_;
  const Gateway& gateway_;
  const Clients& clients_;
  std::mt19937_64 random_;
  std::vector<Client> states_;
  std::deque<paidonce::RetryBudget> budgets_;
  std::vector<std::int32_t> arrivals_ = std::vector<std::int32_t>(horizon, -1);
  std::size_t queued_ = 0, paid_ = 0;
  int strength_ = 0;
  Course course_;
};

/// The courses of all strategies, by the same seed.
inline std::vector<Course> simulate(std::uint64_t seed, const Gateway& gateway = {},
                                    const Clients& clients = {}) {
  std::vector<Course> courses;
  for (const Strategy& strategy : strategies())
    courses.push_back(Simulation(strategy, gateway, clients, seed).run());
  return courses;
}

/// 83300 as 83,300.
inline std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

inline std::string seconds(Duration time) {
  if (time.count() == 0) return "not within 10 min";
  return std::to_string((time.count() + 500) / 1000) + " s";
}

/// The table of the page.
inline std::string table(const std::vector<Course>& courses) {
  std::string text =
      "| pauses | peak load, requests/s | requests, all | half of them paid after | all paid after |\n"
      "| --- | ---: | ---: | ---: | ---: |\n";
  for (const Course& course : courses)
    text += "| " + course.name + " | " + with_commas(course.peak) + " | " + with_commas(course.requests) +
            " | " + seconds(course.half) + " | " + seconds(course.all) + " |\n";
  return text;
}

}  // namespace retry_storm
