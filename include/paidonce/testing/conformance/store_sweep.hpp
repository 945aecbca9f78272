#pragma once
// The clauses about forgetting: what `erase_expired` may erase, and what must outlive it.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>
#include <paidonce/testing/conformance/threads.hpp>

namespace paidonce::inline v1::detail {

inline constexpr std::size_t all_of_them = 1'000'000;

inline void expect_count(const std::string& what, std::size_t seen, std::size_t expected) {
  expect(seen == expected, what + ": expected " + std::to_string(expected) + ", saw " + std::to_string(seen));
}

/// Run where the store models SweepableStore.
template <class Run>
void store_sweep_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  const IdempotencyKey key("sweep", "key");
  const Timestamp over = samples.expiry();  // the first moment at which the samples have expired
  const Timestamp long_after = over + std::chrono::hours(24 * 365);

  run.clause("sweep.erases_expired", [&] {
    auto&& store = fixture.make();
    for (const State state : {State::succeeded, State::declined, State::released}) {
      const IdempotencyKey each("sweep", std::string(to_string(state)));
      expect_stored("insert", store.insert(each, samples.ended(state, 1)));
    }
    expect_count("erase_expired of three expired records", store.erase_expired(long_after, all_of_them), 3);
    for (const State state : {State::succeeded, State::declined, State::released})
      expect_nothing("find of a swept record",
                     store.find(IdempotencyKey("sweep", std::string(to_string(state)))));
    expect_count("erase_expired of nothing", store.erase_expired(long_after, all_of_them), 0);
    expect_stored("insert of a key that was swept",
                  store.insert(IdempotencyKey("sweep", "succeeded"), samples.woven(2)));
  });

  run.clause("sweep.respects_the_boundary", [&] {
    auto&& store = fixture.make();
    const Record record = samples.ended(State::succeeded, 1);
    expect_stored("insert", store.insert(key, record));
    expect_count("erase_expired one millisecond before expires_at",
                 store.erase_expired(over - Duration(1), all_of_them), 0);
    expect_record("find before it has expired", store.find(key), record);
    expect_count("erase_expired at expires_at", store.erase_expired(over, all_of_them), 1);
    expect_nothing("find after the sweep", store.find(key));
  });

  run.clause("sweep.never_unfinished", [&] {
    auto&& store = fixture.make();
    for (const bool doubtful : {false, true}) {
      const IdempotencyKey each("sweep", doubtful ? "in doubt" : "in progress");
      Record record = doubtful ? samples.in_doubt(1) : samples.woven(1);
      record.expires_at = over;
      expect_stored("insert", store.insert(each, record));
      expect_count("erase_expired of an unfinished record", store.erase_expired(long_after, all_of_them), 0);
      expect_record("find of an unfinished record after the sweep", store.find(each), record);
    }
  });

  run.clause("sweep.never_a_checkpoint", [&] {
    auto&& store = fixture.make();
    Record record = samples.ended(State::released, 1);
    record.checkpoint = "half of it is done";
    expect_stored("insert", store.insert(key, record));
    expect_count("erase_expired of a released record with a checkpoint",
                 store.erase_expired(long_after, all_of_them), 0);
    expect_record("find of it after the sweep", store.find(key), record);
  });

  run.clause("sweep.respects_the_limit", [&] {
    auto&& store = fixture.make();
    constexpr std::size_t records = 25;
    for (std::size_t i = 0; i < records; ++i)
      expect_stored("insert", store.insert(IdempotencyKey("sweep", std::to_string(i)),
                                           samples.ended(State::declined, i + 1)));
    expect_count("erase_expired with limit 0", store.erase_expired(long_after, 0), 0);
    std::size_t left = records;
    while (left > 0) {
      const std::size_t expected = left < 10 ? left : 10;
      expect_count("erase_expired with limit 10", store.erase_expired(long_after, 10), expected);
      left -= expected;
      std::size_t found = 0;
      for (std::size_t i = 0; i < records; ++i)
        found += store.find(IdempotencyKey("sweep", std::to_string(i))) ? 1U : 0U;
      expect_count("records left after a sweep with limit 10", found, left);
    }
    expect_count("erase_expired when nothing is left", store.erase_expired(long_after, 10), 0);
  });

  run.clause("sweep.looks_at_the_newest_version", [&] {
    auto&& store = fixture.make();
    expect_stored("insert", store.insert(key, samples.ended(State::succeeded, 1)));
    expect(store.replace(key, 1, samples.woven(2)), "replace: expected true, saw false");
    expect_count("erase_expired of a record that began anew", store.erase_expired(long_after, all_of_them),
                 0);
    expect_record("find of it after the sweep", store.find(key), samples.woven(2));
    Record renewed = samples.ended(State::succeeded, 3);
    renewed.expires_at = long_after + Duration(1);
    expect(store.replace(key, 2, renewed), "replace: expected true, saw false");
    expect_count("erase_expired of a record that is to live on", store.erase_expired(long_after, all_of_them),
                 0);
    expect_record("find of it after the sweep", store.find(key), renewed);
  });

  run.clause("sweep.makes_old_versions_stale", [&] {
    auto&& store = fixture.make();
    expect_stored("insert", store.insert(key, samples.ended(State::succeeded, 5)));
    expect_count("erase_expired", store.erase_expired(long_after, all_of_them), 1);
    expect(!store.replace(key, 5, samples.woven(6)), "replace of a swept record: expected false, saw true");
    expect_nothing("find after that", store.find(key));
    expect_stored("insert anew", store.insert(key, samples.woven(7)));
    expect(!store.replace(key, 5, samples.woven(6)),
           "replace of the version that was swept: expected false, saw true");
    expect_record("find after that", store.find(key), samples.woven(7));
  });

  run.clause("sweep.spares_what_began_anew", [&] {
    auto&& store = fixture.make();
    const std::size_t rounds = run.options.rounds;
    std::vector<char> swapped(rounds);
    std::vector<std::size_t> erased(rounds);
    std::vector<std::optional<Record>> left(rounds);
    race(2, [&](std::size_t number, StartLine& line) {
      for (std::size_t round = 0; round < rounds; ++round) {
        const IdempotencyKey each("anew", std::to_string(round));
        if (number == 0) expect_stored("insert", store.insert(each, samples.ended(State::succeeded, 1)));
        line.meet();
        if (number == 0) {
          erased[round] = store.erase_expired(long_after, all_of_them);
        } else {
          swapped[round] = store.replace(each, 1, samples.woven(2));
          if (!swapped[round])
            expect_stored("insert after a replace that met no record", store.insert(each, samples.woven(2)));
        }
        line.meet();
        if (number == 0) left[round] = store.find(each);
      }
    });
    for (std::size_t round = 0; round < rounds; ++round) {
      expect_record("find of a record that began anew while a sweep ran", left[round], samples.woven(2));
      expect_count("erase_expired beside a begin anew that " +
                       std::string(swapped[round] ? "replaced the record" : "found it gone"),
                   erased[round], swapped[round] ? 0 : 1);
    }
  });

  run.clause("sweep.erases_each_once", [&] {
    auto&& store = fixture.make();
    std::vector<std::size_t> erased(run.options.threads);
    for (std::size_t i = 0; i < run.options.rounds; ++i)
      expect_stored("insert", store.insert(IdempotencyKey("once", std::to_string(i)),
                                           samples.ended(State::succeeded, 1)));
    race(run.options.threads, [&](std::size_t number, StartLine& line) {
      line.meet();
      for (std::size_t round = 0; round <= run.options.rounds; ++round) {
        const std::size_t now = store.erase_expired(long_after, 3);
        if (now == 0) break;
        erased[number] += now;
      }
    });
    std::size_t sum = 0;
    for (const std::size_t count : erased) sum += count;
    expect_count("what sweeps beside each other erased in all", sum, run.options.rounds);
    expect_count("erase_expired after them", store.erase_expired(long_after, all_of_them), 0);
  });
}

}  // namespace paidonce::inline v1::detail
