// simulator [--scenario <part of a name>] [--states <most>] [--walks <n>] [--seed <n>] [--extra <n>] [--hunt]
//
// Walks through the large scenarios at random and visits all states of the small ones. --hunt is for who
// expects a broken invariant: random walks everywhere first, an end at the first one that is broken, and few
// words. Exit status 0: no invariant is broken; 1: one is, and the output says which, where and how; 2: bad
// usage.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "explore.hpp"
#include "scenarios.hpp"

namespace {

struct Options {
  std::string scenario = "";
  std::uint64_t most_states = 3'000'000;
  std::uint64_t walks = 20'000;
  std::uint64_t seed = 1;
  std::uint8_t extra = 0;  ///< every fault that a scenario names happens so often more
  bool hunt = false;
};

const char* name_of(model::Step step) {
  static const char* const names[] = {"asks the store",
                                      "asks the store, which throws",
                                      "reads the reply",
                                      "takes the lock",
                                      "gives up the lock",
                                      "admits",
                                      "refuses",
                                      "looks again",
                                      "stops waiting",
                                      "sends its request",
                                      "reports the provider's reply",
                                      "reports a timeout",
                                      "reports that nothing was done",
                                      "starts a heartbeat",
                                      "saves a checkpoint",
                                      "follows its heartbeat",
                                      "follows its heartbeat, the store throws",
                                      "asks the provider",
                                      "asks the provider, which is unsure",
                                      "crashes",
                                      "the clock moves on",
                                      "a delayed write lands",
                                      "the provider charges",
                                      "the provider declines",
                                      "the sweep looks",
                                      "the sweep erases",
                                      "the store commits",
                                      "a commit fails and is lost",
                                      "a commit fails, yet was kept",
                                      "the store crashes",
                                      "the store reopens",
                                      "a lock is lost"};
  return names[static_cast<std::size_t>(step)];
}

void print_trail(const model::Scenario& scenario, const std::vector<model::Move>& trail) {
  const model::Driver driver(scenario);
  for (const model::Move& move : trail) {
    const bool of_client = move.step < model::Step::clock_moves;
    if (of_client)
      std::printf("    client %d %s\n", move.which, name_of(move.step));
    else
      std::printf("    %s (%d)\n", name_of(move.step), move.which);
  }
}

/// Whether all went well.
bool run(const model::Scenario& scenario, const Options& options, bool at_random) {
  model::Explorer explorer(scenario);
  const auto begin = std::chrono::steady_clock::now();
  bool passed = true;
  try {
    if (at_random)
      explorer.walk(options.seed, options.walks);
    else
      explorer.exhaust(options.most_states);
  } catch (const model::Violation& violation) {
    passed = false;
    std::printf("BROKEN invariant %d in \"%s\": %s\n", violation.invariant, scenario.name.c_str(),
                violation.what());
    if (!options.hunt) print_trail(scenario, explorer.trail());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const model::Statistics& s = explorer.statistics();
  if (!options.hunt)
    std::printf("%-52s %9llu states %9llu steps %8llu ends  depth %3zu  %6.2f s  %s\n", scenario.name.c_str(),
                static_cast<unsigned long long>(s.states), static_cast<unsigned long long>(s.steps),
                static_cast<unsigned long long>(s.ends), s.depth, seconds,
                at_random    ? "at random"
                : s.complete ? "all"
                             : "bounded");
  std::fflush(stdout);
  return passed;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--hunt") {
      options.hunt = true;
    } else if (i + 1 == argc) {
      std::fprintf(stderr, "simulator: %s is unknown or lacks its value\n", argv[i]);
      return 2;
    } else if (name == "--scenario") {
      options.scenario = argv[++i];
    } else if (name == "--states") {
      options.most_states = std::strtoull(argv[++i], nullptr, 10);
    } else if (name == "--walks") {
      options.walks = std::strtoull(argv[++i], nullptr, 10);
    } else if (name == "--extra") {
      options.extra = static_cast<std::uint8_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (name == "--seed") {
      options.seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fprintf(stderr, "simulator: %s is unknown\n", argv[i]);
      return 2;
    }
  }
  if (!options.hunt)
    std::printf("seed of the random walks: %llu\n", static_cast<unsigned long long>(options.seed));
  int broken = 0, ran = 0;
  const auto run_all = [&](const std::vector<model::Scenario>& scenarios, bool at_random) {
    for (model::Scenario scenario : scenarios) {
      for (auto& [fault, times] : scenario.faults) times = static_cast<std::uint8_t>(times + options.extra);
      if (scenario.name.find(options.scenario) == std::string::npos) continue;
      ++ran;
      if (run(scenario, options, at_random)) continue;
      ++broken;
      if (options.hunt) return;
    }
  };
  if (options.hunt) run_all(model::small_scenarios(), true);
  if (!options.hunt || broken == 0) run_all(model::large_scenarios(), true);
  if (!options.hunt || broken == 0) run_all(model::small_scenarios(), false);
  if (ran == 0) {
    std::fprintf(stderr, "simulator: no scenario is named like \"%s\"\n", options.scenario.c_str());
    return 2;
  }
  return broken == 0 ? 0 : 1;
}
