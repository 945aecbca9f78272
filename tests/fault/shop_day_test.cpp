// Days of a busy shop: whatever breaks, nobody is charged twice and nobody is told what is not so. And days
// on which one part does its work wrongly, which has to be seen.

#include <cstdint>
#include <random>
#include <string>

#include "fault/shop_day.hpp"
#include "support/catch.hpp"

using namespace fault;
using Provider = DayOptions::Provider;

namespace {

enum class Kept : std::uint8_t { in_shared_memory, in_own_directory };

DayReport day(Kept kept, const DayOptions& options) {
  return kept == Kept::in_shared_memory ? ShopDay<SharedMemory>(options).run()
                                        : ShopDay<OwnDirectory>(options).run();
}

std::string describe(Kept kept, const DayOptions& options, const DayReport& report) {
  const char* const providers[] = {"refuses late requests", "takes any request", "knows repeats"};
  std::string text = "seed " + std::to_string(options.seed) + ", records " +
                     (kept == Kept::in_shared_memory ? "in shared memory" : "in an own directory") +
                     ", the provider " + providers[static_cast<std::size_t>(options.provider)];
  for (std::size_t at = 0; at < report.accusations.size() && at < 5; ++at)
    text += "\n  " + report.accusations[at];
  return text;
}

/// A file store is the same whatever else is tested.
bool is_tested(Kept kept) { return support::tested_in_memory() || kept == Kept::in_shared_memory; }

/// True while all is well.
bool holds(Kept kept, const DayOptions& options, const DayReport& report) {
  if (report.accusations.empty()) return true;
  FAIL_CHECK(describe(kept, options, report));
  return false;
}

/// The first seed whose day shows that a part does wrong; 0: none of so many.
std::uint64_t seen_on(Kept kept, Wrong wrong, Provider provider, const std::string& accusation,
                      std::uint64_t seeds = 16) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const DayReport report = day(kept, {.seed = seed, .provider = provider, .wrong = wrong});
    for (const std::string& said : report.accusations)
      if (said.find(accusation) != std::string::npos) return seed;
  }
  return 0;
}

}  // namespace

TEST_CASE("on busy days nobody is charged twice and nobody is told what is not so", "[fault][shop_day]") {
  const auto kept = GENERATE(Kept::in_shared_memory, Kept::in_own_directory);
  const auto provider =
      GENERATE(Provider::refuses_late_requests, Provider::takes_any_request, Provider::knows_repeats);
  if (!is_tested(kept)) return;
  const std::uint64_t days = support::tested_in_memory() ? 3 : 1;
  DayReport all;
  for (std::uint64_t seed = 1; seed <= days; ++seed) {
    const DayOptions options{.seed = seed, .provider = provider};
    const DayReport report = day(kept, options);
    if (!holds(kept, options, report)) return;
    all += report;
  }
  // They were busy days, and bad ones.
  CHECK(all.charges > 1300 * days);
  CHECK(all.told_paid > all.charges);  // some more than once
  CHECK(all.told_declined > 33 * days);
  CHECK(all.told_not_executed > 33 * days);
  CHECK(all.told_in_doubt > 33 * days);
  CHECK(all.crashes > 100 * days);
  CHECK(all.woken_late > days);
  CHECK(all.held_up > 33 * days);
  CHECK(all.lost_replies > 33 * days);
  CHECK(all.recovered > 33 * days);
  CHECK(all.swept > 1000 * days);
  CHECK(all.sweeps_put_off > days);
  CHECK(all.resolved > days);
  CHECK((all.released > 33 * days) == (provider == Provider::refuses_late_requests));
  CHECK((provider != Provider::refuses_late_requests || all.refused_late > 10 * days));
}

TEST_CASE("the same seed is the same day", "[fault][shop_day][memory]") {
  const auto kept = GENERATE(Kept::in_shared_memory, Kept::in_own_directory);
  const DayOptions options{.seed = 7};
  const std::uint64_t history = day(kept, options).history;
  CHECK(day(kept, options).history == history);
  CHECK(day(kept, {.seed = 8}).history != history);
}

TEST_CASE("a day shows each part that does its work wrongly", "[fault][shop_day][memory]") {
  struct Row {
    Wrong wrong;
    Provider provider;
    Kept kept;
    const char* accusation;
  };
  const auto late = Provider::refuses_late_requests, any = Provider::takes_any_request;
  const auto shared = Kept::in_shared_memory, own = Kept::in_own_directory;
  const Row rows[] = {
      {Wrong::releases_without_proof, late, shared, "was charged twice"},
      {Wrong::releases_without_proof, any, own, "was charged twice"},
      {Wrong::releases_while_holder_may_live, late, shared, "was charged twice"},
      {Wrong::releases_without_time, late, shared, "was charged twice"},
      {Wrong::releases_without_time, late, own, "was charged twice"},
      {Wrong::counts_time_of_living_holders, late, shared, "was charged twice"},
      {Wrong::outage_is_not_found, late, shared, "was charged twice"},
      {Wrong::pending_is_paid, any, shared, "was told that it is paid, and was not charged"},
      {Wrong::recovers_running_attempts, late, shared, "was charged twice"},
      {Wrong::sweeps_by_wall_clock, late, shared, "was charged twice"},
      {Wrong::operator_guesses, any, shared, "was charged twice"},
      {Wrong::tells_doubt_as_failure, late, shared, "was told that nothing happened, and was charged"},
      {Wrong::trusts_page_cache, late, own, ""},  // it may refuse to be opened, too,
  };
  for (const Row& row : rows) {
    CAPTURE(static_cast<int>(row.wrong), static_cast<int>(row.provider), static_cast<int>(row.kept));
    const std::uint64_t seed = seen_on(row.kept, row.wrong, row.provider, row.accusation);
    CHECK(seed != 0);
  }
}

TEST_CASE("many days go by and nobody is charged twice", "[fault][shop_day][soak]") {
  const std::uint64_t first = std::random_device()();
  WARN("seeds from " << first);
  for (std::uint64_t seed = first; seed < first + 300; ++seed)
    for (const auto provider :
         {Provider::refuses_late_requests, Provider::takes_any_request, Provider::knows_repeats})
      for (const auto kept : {Kept::in_shared_memory, Kept::in_own_directory}) {
        const DayOptions options{.seed = seed, .provider = provider};
        if (!holds(kept, options, day(kept, options))) return;
      }
}
