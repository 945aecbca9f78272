#pragma once
// The worlds that are simulated: small ones, whose every state is visited, and large ones for random walks.
// Each small one is there for the faults that it names.

#include "scenario.hpp"

namespace model {

inline std::vector<Scenario> small_scenarios() {
  using enum Fault;
  using Means = protocol::DoubtRule::Means;
  const Call pays{}, asks{flow::Purpose::reconcile}, resolves{flow::Purpose::resolve};
  const Call pays_another{flow::Purpose::pay, 1};
  const auto before = flow::FirstLook::before_lock;
  return {
      {.name = "two that pay, the store throws",
       .clients = {{pays}, {pays}},
       .faults = {{throws, 2}, {tick, 1}, {timeout, 1}}},
      {.name = "crash, and again",
       .clients = {{pays, pays}, {pays}},
       .faults = {{crash, 1}, {tick, 2}, {throws, 1}, {not_executed, 1}}},
      {.name = "a lock, waiting duplicates",
       .clients = {{pays, pays}, {pays}},
       .faults = {{crash, 1}, {tick, 1}, {throws, 1}, {not_executed, 1}, {poll, 2}},
       .lock = LockKind::keyed,
       .first_look = before,
       .wait = Duration(5)},
      {.name = "a lock that is lost",
       .clients = {{pays}, {pays, pays}},
       .faults = {{crash, 1}, {tick, 1}, {throws, 1}, {lock_lost, 1}, {poll, 1}, {timeout, 1}},
       .lock = LockKind::may_be_lost,
       .wait = Duration(5)},
      {.name = "refuse_if under a lock, read first",
       .clients = {{pays, pays}, {pays}},
       .faults = {{refuse, 1}, {not_executed, 1}, {throws, 1}, {timeout, 1}},
       .lock = LockKind::keyed,
       .first_look = before,
       .admission = flow::Admission::asked},
      {.name = "refuse_if under a lock",
       .clients = {{pays, pays}, {pays}},
       .faults = {{refuse, 1}, {crash, 1}, {throws, 1}, {tick, 1}},
       .lock = LockKind::keyed,
       .admission = flow::Admission::asked},
      {.name = "the provider deduplicates",
       .clients = {{pays}, {pays, pays}},
       .faults = {{crash, 1}, {tick, 2}, {not_executed, 1}, {decline, 1}},
       .means = Means::provider_deduplicates},
      {.name = "the provider deduplicates, the store throws",
       .clients = {{pays}, {pays}},
       .faults = {{tick, 1}, {timeout, 1}, {throws, 1}, {beat, 1}},
       .means = Means::provider_deduplicates},
      {.name = "the provider forgets",
       .clients = {{pays}, {pays}},
       .faults = {{crash, 2}, {tick, 4}, {timeout, 1}},
       .means = Means::provider_deduplicates},
      {.name = "the provider is asked",
       .clients = {{pays, pays}, {pays}},
       .faults = {{crash, 1}, {tick, 1}, {timeout, 1}, {throws, 1}, {decline, 1}, {unsure, 1}},
       .means = Means::ask_provider},
      {.name = "recovery asks the provider",
       .clients = {{pays}, {asks, asks}},
       .faults = {{crash, 2}, {tick, 2}, {timeout, 1}, {throws, 2}, {decline, 1}, {unsure, 1}}},
      {.name = "a person resolves",
       .clients = {{pays, pays}, {resolves}},
       .faults = {{crash, 2}, {tick, 2}, {timeout, 1}, {throws, 1}, {decline, 1}}},
      {.name = "a hasty person resolves",
       .clients = {{pays}, {resolves, pays}},
       .faults = {{crash, 1}, {tick, 2}, {timeout, 1}, {throws, 1}, {not_executed, 1}},
       .hasty_person = true},
      {.name = "heartbeats of unknown fate",
       .clients = {{pays}, {pays}},
       .faults = {{tick, 1}, {throws, 2}, {beat, 1}, {checkpoint, 1}}},
      {.name = "heartbeats, the store fails four times",
       .clients = {{pays}},
       .faults = {{tick, 1}, {throws, 5}, {beat, 2}, {crash, 1}}},
      {.name = "the store fails again and again", .clients = {{pays}, {pays}}, .faults = {{throws, 4}}},
      {.name = "a checkpoint, nothing done, and again",
       .clients = {{pays, pays}, {pays}},
       .faults = {{crash, 1}, {tick, 2}, {checkpoint, 1}, {not_executed, 2}, {sweep, 1}}},
      {.name = "retention, sweep, begin anew",
       .clients = {{pays, pays}, {pays}},
       .faults = {{tick, 2}, {sweep, 1}, {not_executed, 1}, {throws, 1}}},
      {.name = "a payment in doubt outlives every sweep",
       .clients = {{pays}, {pays}},
       .faults = {{tick, 3}, {sweep, 1}, {timeout, 1}, {crash, 1}, {beat, 1}}},
      {.name = "swept while its first holder sleeps",
       .clients = {{pays}, {asks, pays}},
       .faults = {{tick, 3}, {sweep, 1}, {throws, 1}}},
      {.name = "two requests under one key",
       .clients = {{pays, pays}, {pays_another}},
       .faults = {{crash, 1}, {tick, 2}, {timeout, 1}, {not_executed, 1}, {throws, 1}}},
      {.name = "two requests, the provider deduplicates",
       .clients = {{pays}, {pays_another}},
       .faults = {{crash, 1}, {tick, 2}, {timeout, 1}, {not_executed, 1}},
       .lock = LockKind::keyed,
       .first_look = before,
       .means = Means::provider_deduplicates,
       .wait = Duration(5)},
      {.name = "the store knows the dead",
       .clients = {{pays, pays}, {pays}},
       .faults = {{crash, 1}, {tick, 1}, {timeout, 1}, {throws, 1}},
       .means = Means::ask_provider,
       .holder_aware = true},
      {.name = "group commit",
       .clients = {{pays}, {pays}},
       .faults = {{store_crash, 1}, {commit_fails, 1}, {tick, 1}, {crash, 1}},
       .group_commit = true},
      {.name = "group commit, the provider is asked",
       .clients = {{pays}, {pays}},
       .faults = {{store_crash, 1}, {tick, 1}, {timeout, 1}},
       .means = Means::ask_provider,
       .group_commit = true},
      {.name = "the clock is read late",
       .clients = {{pays, pays}, {pays}},
       .faults = {{crash, 1}, {tick, 2}, {not_executed, 1}},
       .late_clock = true},
  };
}

inline std::vector<Scenario> large_scenarios() {
  using enum Fault;
  using Means = protocol::DoubtRule::Means;
  const Call pays{}, asks{flow::Purpose::reconcile}, resolves{flow::Purpose::resolve};
  const Call pays_another{flow::Purpose::pay, 1};
  const std::vector<std::pair<Fault, std::uint8_t>> all{
      {crash, 2},        {throws, 4}, {tick, 6},   {beat, 2},   {checkpoint, 1}, {timeout, 2},  {decline, 1},
      {not_executed, 2}, {poll, 2},   {unsure, 1}, {refuse, 1}, {sweep, 2},      {lock_lost, 1}};
  std::vector<std::pair<Fault, std::uint8_t>> commits = all;
  commits.insert(commits.end(), {{store_crash, 2}, {commit_fails, 1}});
  for (auto& [fault, times] : commits)
    if (fault == beat || fault == checkpoint) times = 0;
  const auto before = flow::FirstLook::before_lock;
  return {
      {.name = "three at random", .clients = {{pays, pays}, {pays, pays}, {pays, asks}}, .faults = all},
      {.name = "four at random, a lock",
       .clients = {{pays, pays}, {pays, asks}, {pays_another, pays}, {resolves, asks}},
       .faults = all,
       .lock = LockKind::keyed,
       .first_look = before,
       .admission = flow::Admission::asked,
       .wait = Duration(5),
       .late_clock = true},
      {.name = "four at random, the provider deduplicates",
       .clients = {{pays, pays}, {pays, pays}, {pays, asks}, {resolves, pays_another}},
       .faults = all,
       .lock = LockKind::may_be_lost,
       .means = Means::provider_deduplicates,
       .wait = Duration(5)},
      {.name = "four at random, the provider is asked",
       .clients = {{pays, pays}, {pays, pays}, {asks, pays_another}, {pays, asks}},
       .faults = all,
       .means = Means::ask_provider,
       .holder_aware = true,
       .late_clock = true},
      {.name = "three at random, group commit",
       .clients = {{pays, pays}, {pays, pays}, {pays, asks}},
       .faults = commits,
       .means = Means::ask_provider,
       .group_commit = true},
  };
}

}  // namespace model
