#pragma once
// The clauses about callers that race each other.

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>
#include <paidonce/testing/conformance/threads.hpp>

namespace paidonce::inline v1::detail {

inline IdempotencyKey round_key(std::size_t round) { return {"race", "round " + std::to_string(round)}; }

/// What caller `number` writes in a race: like nobody else's.
inline Record contender(const Samples& samples, std::size_t number, Version version) {
  Record record = samples.woven(version);
  record.attempt_id = number + 1;
  record.note = "of caller " + std::to_string(number);
  return record;
}

/// `handle(number)` is the store as caller `number` reaches it.
template <class Run, class Handle>
void check_insert_race(Run& run, const Samples& samples, Handle handle) {
  const std::size_t threads = run.options.threads;
  const std::size_t rounds = run.options.rounds;
  std::vector<std::vector<std::optional<Record>>> answers(rounds,
                                                          std::vector<std::optional<Record>>(threads));
  race(threads, [&](std::size_t number, StartLine& line) {
    for (std::size_t round = 0; round < rounds; ++round) {
      const Record mine = contender(samples, number, 1);
      line.meet();
      answers[round][number] = handle(number).insert(round_key(round), mine);
    }
  });
  for (std::size_t round = 0; round < rounds; ++round) {
    std::size_t winners = 0, winner = 0;
    for (std::size_t number = 0; number < threads; ++number)
      if (!answers[round][number]) {
        ++winners;
        winner = number;
      }
    expect(winners == 1, std::to_string(threads) +
                             " callers inserted the same key at once: expected one nullopt, saw " +
                             std::to_string(winners));
    const Record stored = contender(samples, winner, 1);
    for (std::size_t number = 0; number < threads; ++number) {
      if (number != winner)
        expect_record("what a caller was given that lost the race to insert", answers[round][number], stored);
      expect_record("find after the race", handle(number).find(round_key(round)), stored);
    }
  }
}

template <class Run, class Handle>
void check_replace_race(Run& run, const Samples& samples, Handle handle) {
  const std::size_t threads = run.options.threads;
  const std::size_t rounds = run.options.rounds;
  std::vector<std::vector<char>> answers(rounds, std::vector<char>(threads));
  race(threads, [&](std::size_t number, StartLine& line) {
    for (std::size_t round = 0; round < rounds; ++round) {
      if (number == 0) expect_stored("insert", handle(number).insert(round_key(round), samples.woven(1)));
      const Record mine = contender(samples, number, 2 + number);
      line.meet();
      answers[round][number] = handle(number).replace(round_key(round), 1, mine);
    }
  });
  for (std::size_t round = 0; round < rounds; ++round) {
    std::size_t winners = 0, winner = 0;
    for (std::size_t number = 0; number < threads; ++number)
      if (answers[round][number]) {
        ++winners;
        winner = number;
      }
    expect(winners == 1, std::to_string(threads) +
                             " callers replaced the same version at once: expected one true, saw " +
                             std::to_string(winners));
    for (std::size_t number = 0; number < threads; ++number)
      expect_record("find after the race", handle(number).find(round_key(round)),
                    contender(samples, winner, 2 + winner));
  }
}

/// Each caller raises the version by compare-and-swap; every rise must be there in the end.
template <class Run, class Handle>
void check_no_lost_update(Run& run, const Samples& samples, Handle handle) {
  const IdempotencyKey key("race", "updates");
  expect_stored("insert", handle(0).insert(key, samples.woven(1)));
  race(run.options.threads, [&](std::size_t number, StartLine& line) {
    line.meet();
    for (std::size_t round = 0; round < run.options.rounds; ++round) {
      bool stored = false;
      for (int tries = 0; !stored && tries < 20'000; ++tries) {
        line.go_on();
        if (tries > 0) std::this_thread::yield();
        const std::optional<Record> there = handle(number).find(key);
        expect(there.has_value(), "find of a record that is there: expected it, saw none");
        stored = handle(number).replace(key, there->version, samples.woven(there->version + 1));
      }
      expect(stored, "replace of the version just read: expected true at one of 20000 tries");
    }
  });
  expect_record("find after all updates", handle(0).find(key),
                samples.woven(1 + run.options.threads * run.options.rounds));
}

template <class Run>
void store_race_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;

  run.clause("race.insert_one_winner", [&] {
    auto&& store = fixture.make();
    check_insert_race(
        run, samples, [&](std::size_t) -> auto& { return store; });
  });

  run.clause("race.replace_one_winner", [&] {
    auto&& store = fixture.make();
    check_replace_race(
        run, samples, [&](std::size_t) -> auto& { return store; });
  });

  run.clause("race.no_lost_update", [&] {
    auto&& store = fixture.make();
    check_no_lost_update(
        run, samples, [&](std::size_t) -> auto& { return store; });
  });

  run.clause("race.read_while_write_is_whole", [&] {
    auto&& store = fixture.make();
    const IdempotencyKey key("race", "whole");
    const Version last = run.options.rounds + 1;
    expect_stored("insert", store.insert(key, samples.woven(1)));
    std::atomic<Version> acknowledged = 1;
    race(run.options.threads, [&](std::size_t number, StartLine& line) {
      line.meet();
      if (number == 0) {
        for (Version version = 2; version <= last; ++version) {
          expect(store.replace(key, version - 1, samples.woven(version)),
                 "replace: expected true, saw false");
          acknowledged.store(version);
        }
        return;
      }
      for (Version least = 1; least < last;) {
        line.go_on();
        least = acknowledged.load();
        const std::optional<Record> seen =
            number % 2 == 1 ? store.find(key) : store.insert(key, samples.woven(last + 1));
        expect(seen.has_value(), "a read during writes: expected a record, saw none");
        expect(seen->version >= least, "a read after version " + std::to_string(least) +
                                           " was acknowledged: expected it or a later one, saw version " +
                                           std::to_string(seen->version));
        expect_record("a read during writes, by one who saw half of each", seen,
                      samples.woven(seen->version));
      }
    });
  });

  run.clause("race.keys_are_independent", [&] {
    auto&& store = fixture.make();
    race(run.options.threads, [&](std::size_t number, StartLine& line) {
      line.meet();
      for (std::size_t round = 0; round < run.options.rounds; ++round) {
        const IdempotencyKey key("caller " + std::to_string(number), std::to_string(round));
        expect_stored("insert of a key of one's own", store.insert(key, contender(samples, number, 1)));
        expect(store.replace(key, 1, contender(samples, number, 2)), "replace: expected true, saw false");
      }
    });
    for (std::size_t number = 0; number < run.options.threads; ++number)
      for (std::size_t round = 0; round < run.options.rounds; ++round)
        expect_record("find of a key of one caller's own",
                      store.find(IdempotencyKey("caller " + std::to_string(number), std::to_string(round))),
                      contender(samples, number, 2));
  });
}

}  // namespace paidonce::inline v1::detail
