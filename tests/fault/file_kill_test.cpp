// A program that pays through a guard over a file store is killed, at every named point and at random ones,
// and started again with the same orders. The ledger is kept here, in another process: nothing is charged
// twice, and what a caller was told once stays so.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fault/crash/ledger.hpp"
#include "fault/fast_directory.hpp"
#include "support/catch.hpp"

namespace {

using crash::Ended;
using crash::Ledger;
using crash::report;
using fault::FastDirectory;

struct Terms {
  std::string mode = "reconcile";
  unsigned orders = 64, threads = 1;  // each order comes twice
  bool compacts = true, direct = true;
};

/// Runs a payer until it ends or, where `kill_after` is given, is killed.
Ended run_payer(const std::filesystem::path& directory, const Terms& terms, const std::string& point,
                unsigned long count, Ledger& ledger,
                std::optional<std::chrono::microseconds> kill_after = std::nullopt) {
  return crash::run_payer({FILE_PAYER, directory.string(), std::to_string(terms.orders), terms.mode,
                           std::to_string(terms.threads), terms.compacts ? "compacts" : "grows",
                           terms.direct ? "direct" : "buffered", point, std::to_string(count)},
                          terms.threads > 1 ? Ledger::Others::may_be_at_it : Ledger::Others::none, ledger,
                          kill_after);
}

const char* const modes[] = {"reconcile", "promise", "doubt"};

/// Kill after kill over one directory, from a seed; then a run to the end.
std::size_t random_kills(std::uint64_t seed, std::size_t kills) {
  std::mt19937_64 random(seed);
  Terms terms;
  terms.mode = modes[random() % 3];
  terms.threads = random() % 3 == 0 ? 4 : 1;
  terms.compacts = random() % 2 == 0;
  terms.direct = random() % 2 == 0;
  terms.orders = 16 + 2 * static_cast<unsigned>(random() % 30);
  const std::string context =
      "seed " + std::to_string(seed) + ", " + terms.mode + ", " + std::to_string(terms.threads) +
      " threads, " + (terms.compacts ? "compacts" : "grows") + (terms.direct ? ", direct" : ", buffered");
  const FastDirectory files;
  const auto directory = files / "store";
  Ledger ledger(terms.mode);
  std::size_t killed = 0;
  for (std::size_t kill = 0; kill < kills; ++kill) {
    Ended ended;
    if (random() % 2 == 0)
      ended = run_payer(directory, terms, "any", 1 + random() % (random() % 2 == 0 ? 60 : 600), ledger);
    else
      ended =
          run_payer(directory, terms, "none", 0, ledger, std::chrono::microseconds(200 + random() % 8000));
    killed += ended.status == 128 + SIGKILL ? 1U : 0U;
    if (!report(ledger, context + ", kill " + std::to_string(kill) + " at " + ended.died_at)) return killed;
  }
  CHECK(run_payer(directory, terms, "none", 0, ledger).status == 0);
  ledger.expect_all(terms.orders / 2);
  report(ledger, context + ", in the end");
  return killed;
}

}  // namespace

TEST_CASE("a payer is killed at each named point, and nothing is charged twice", "[store][file][crash]") {
  std::set<std::string> all, died;
  for (const char* const mode : modes)
    for (const bool direct : {true, false}) {
      Terms terms;
      terms.mode = mode;
      terms.direct = direct;
      const char* const charged = "callable: after the charge";
      // The points of a first life and, after a death in a payment, of a later one.
      std::set<std::string> points;
      {
        const FastDirectory files;
        Ledger ledger(mode);
        CHECK(run_payer(files / "store", terms, charged, 5, ledger).status == 128 + SIGKILL);
        points = run_payer(files / "store", terms, "list", 0, ledger).points;
      }
      {
        const FastDirectory files;
        Ledger ledger(mode);
        points.merge(run_payer(files / "store", terms, "list", 0, ledger).points);
      }
      for (const std::string& point : points) {
        const FastDirectory files;
        Ledger ledger(mode);
        // The later lives begin with what the earlier ones left: each comes to the point at another place,
        // and some with a payment in doubt.
        for (const unsigned long count : {1UL, 2UL, 5UL, 1UL, 3UL}) {
          run_payer(files / "store", terms, charged, count, ledger);
          const Ended ended = run_payer(files / "store", terms, point, count, ledger);
          if (!ended.died_at.empty()) died.insert(ended.died_at);
        }
        CHECK(run_payer(files / "store", terms, "none", 0, ledger).status == 0);
        ledger.expect_all(terms.orders / 2);
        CHECK(run_payer(files / "store", terms, "none", 0, ledger).status == 0);  // all of it replayed
        ledger.expect_all(terms.orders / 2);
        report(ledger, std::string(mode) + (direct ? ", direct, " : ", buffered, ") + point);
      }
      all.merge(points);
    }
  std::string names;
  for (const std::string& name : all)
    names += "\n  " + name + (died.contains(name) ? "" : " (never died there)");
  INFO(all.size() << " points:" << names);
  CHECK(all.size() >= 20);
  CHECK(died.size() >= 20);
  for (const char* const name : {"guard: before the lock",
                                 "guard: locked, before the begin",
                                 "guard: begun, before the callable",
                                 "callable: before the charge",
                                 "callable: after the charge",
                                 "guard: the result is being encoded",
                                 "guard: completed, before the unlock",
                                 "guard: unlocked and told",
                                 "reconcile: before the question",
                                 "reconcile: after the question",
                                 "open: rename, before",
                                 "open: rename, after",
                                 "open: sync, after",
                                 "pay: write, before",
                                 "pay: write, after",
                                 "pay: sync of data, before",
                                 "pay: sync of data, after",
                                 "pay: rename, before",
                                 "pay: rename, after",
                                 "compact: write, before",
                                 "compact: unlink, before",
                                 "compact: unlink, after"}) {
    INFO(name);
    CHECK(died.contains(name));
  }
}

TEST_CASE("a payer is killed at random, and nothing is charged twice", "[store][file][crash]") {
  const std::uint64_t first = std::random_device()();
  INFO("first seed " << first);
  std::size_t killed = 0;
  for (std::uint64_t seed = first; seed < first + 30; ++seed) killed += random_kills(seed, 10);
  CHECK(killed > 100);
}

TEST_CASE("a payer is killed at random 20000 times, and nothing is charged twice",
          "[store][file][crash][soak]") {
  const std::uint64_t first = std::random_device()();
  WARN("first seed " << first);
  std::size_t killed = 0, lives = 0;
  for (std::uint64_t seed = first; killed < 20'000; ++seed, ++lives) {
    killed += random_kills(seed, 40);
    if (lives % 100 == 99) WARN(killed << " kills, up to seed " << seed);
    REQUIRE(lives < 10'000);
  }
  WARN(killed << " kills of " << lives << " stores");
}
