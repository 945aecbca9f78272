#pragma once
// The clauses about many callers at once.

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/lock.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/lock_bench.hpp>

namespace paidonce::inline v1::detail {

struct LockRace {
  explicit LockRace(std::size_t threads, std::size_t given_rounds, Duration given_wait)
      : line(threads), rounds(given_rounds), wait(given_wait) {}
  StartLine line;
  std::size_t rounds;
  Duration wait;
  std::array<std::atomic<int>, 3> inside = {};
};

/// Holds a key for a moment; nobody else may hold it at that moment.
template <class L>
void hold_alone(L& lock, const IdempotencyKey& key, LockRace& race, std::size_t which) {
  const auto held = lock.acquire(key, race.wait);
  expect(held.has_value(),
         "acquire of a key that others hold for moments only: expected a hold, saw nullopt");
  const int before = race.inside[which].fetch_add(1);
  std::this_thread::yield();
  race.inside[which].fetch_sub(1);
  expect(before == 0,
         "callers that hold the same key at once: expected one, saw " + std::to_string(before + 1));
}

template <class Run, class MakeBench>
void lock_race_clauses(Run& run, MakeBench make_bench) {
  const std::size_t threads = run.options.threads;
  const std::size_t rounds = run.options.rounds;

  run.clause("exclusion.under_threads", [&] {
    auto bench = make_bench();
    bench.race(threads, std::make_shared<LockRace>(threads, rounds, bench.long_wait()),
               [](std::size_t, auto& lock, LockRace& race) {
                 const IdempotencyKey key("race", "key");
                 race.line.meet();
                 for (std::size_t i = 0; i < race.rounds; ++i) hold_alone(lock, key, race, 0);
               });
  });

  run.clause("churn.freed_and_taken_again", [&] {
    auto bench = make_bench();
    bench.race(threads, std::make_shared<LockRace>(threads, rounds, bench.long_wait()),
               [](std::size_t number, auto& lock, LockRace& race) {
                 race.line.meet();
                 for (std::size_t i = 0; i < 3 * race.rounds; ++i) {
                   const std::size_t which = (i * (number + 1) + number) % race.inside.size();
                   hold_alone(lock, IdempotencyKey("race", std::to_string(which)), race, which);
                 }
               });
    for (int i = 0; i < 3; ++i)
      bench.expect_free(IdempotencyKey("race", std::to_string(i)), "after everybody has gone");
  });

  run.clause("churn.with_waits_in_vain", [&] {
    auto bench = make_bench();
    bench.race(threads, std::make_shared<LockRace>(threads, rounds, bench.long_wait()),
               [](std::size_t number, auto& lock, LockRace& race) {
                 const IdempotencyKey key("race", "key");
                 race.line.meet();
                 for (std::size_t i = 0; i < race.rounds; ++i)
                   if (number % 2 == 0)
                     hold_alone(lock, key, race, 0);
                   else
                     (void)lock.acquire(key, Duration(i % 2));
               });
    bench.expect_free(IdempotencyKey("race", "key"), "after everybody has gone");
  });

  run.clause("handoff.wakes_every_waiter", [&] {
    auto bench = make_bench();
    const IdempotencyKey key("race", "key");
    for (int repeat = 0; repeat < 3; ++repeat) {
      std::optional held(bench.hold(key));
      std::vector<typename decltype(bench)::Waiter> waiters;
      for (std::size_t i = 0; i < 2 * threads; ++i) waiters.push_back(bench.start(key, bench.long_wait()));
      waiters.back().still_waits();
      // Nobody but the holder's release may be needed to bring the next one in.
      std::vector<Call> passing;
      auto served = std::make_shared<std::atomic<std::size_t>>(0);
      for (auto& waiter : waiters)
        passing.emplace_back([waiter = std::move(waiter), patience = bench.patience(), served]() mutable {
          const auto mine = waiter.finish(patience, "acquire by one of many who wait for a key");
          expect(mine.has_value(), "acquire by one of many who wait for a key: expected a hold, saw nullopt");
          served->fetch_add(1);
        });
      held.reset();
      for (Call& call : passing) call.finish(2 * bench.patience(), "a key passed on from one to the next");
      expect(served->load() == waiters.size(), "callers served: expected all");
    }
  });

  run.clause("handoff.wakes_the_right_waiter", [&] {
    auto bench = make_bench();
    using Bench = decltype(bench);
    constexpr int keys = 8;
    std::vector<std::optional<typename Bench::Hold>> holds;
    std::vector<typename Bench::Waiter> waiters;
    for (int i = 0; i < keys; ++i) holds.emplace_back(bench.hold(IdempotencyKey("race", std::to_string(i))));
    for (int i = 0; i < keys; ++i)
      waiters.push_back(bench.start(IdempotencyKey("race", std::to_string(i)), bench.long_wait()));
    for (auto& waiter : waiters) expect(waiter.still_waits(), "acquire of a held key: expected it to wait");
    for (std::size_t i = keys; i-- > 0;) {
      holds[i].reset();
      const auto got =
          waiters[i].finish(bench.patience(), "acquire of the one key among many that was released");
      expect(got.has_value(),
             "acquire of the one key among many that was released: expected a hold, saw nullopt");
    }
  });
}

}  // namespace paidonce::inline v1::detail
