#pragma once
// The clauses about transactions, for stores that commit records together with other rows.

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>
#include <paidonce/testing/conformance/store_basics.hpp>
#include <paidonce/testing/conformance/threads.hpp>

namespace paidonce::inline v1::detail {

struct RolledBack : std::runtime_error {
  RolledBack() : std::runtime_error("thrown by the suite") {}
};

/// Runs a transaction that throws in the end.
template <class S, class Body>
void roll_back(S& store, Body body) {
  try {
    store.transact([&](auto& transaction) {
      body(transaction);
      throw RolledBack();
    });
  } catch (const RolledBack&) {
    return;
  }
  throw ClauseFailed("transact whose body throws: expected it to pass that on, saw it return");
}

/// Run where the store models TransactionalStore.
template <class Run>
void store_transaction_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  const IdempotencyKey key("transaction", "key");
  const IdempotencyKey other("transaction", "other");

  run.clause("transaction.is_a_store", [&] {
    auto&& store = fixture.make();
    store.transact([&](auto& transaction) {
      expect_nothing("find in a transaction of a key that was never stored", transaction.find(key));
      expect(!transaction.replace(key, 1, samples.woven(2)),
             "replace in a transaction where there is no record: expected false, saw true");
      check_first_wins(transaction, samples);
      check_compares_version(transaction, samples);
      check_keys(transaction, ambiguous_keys(), samples);
    });
  });

  run.clause("transaction.commits", [&] {
    auto&& store = fixture.make();
    expect_stored("insert", store.insert(other, samples.woven(1)));
    store.transact([&](auto& transaction) {
      expect_stored("insert in a transaction", transaction.insert(key, samples.woven(1)));
      expect_record("find in it", transaction.find(key), samples.woven(1));
      expect(transaction.replace(key, 1, samples.woven(2)),
             "replace in a transaction: expected true, saw false");
      expect_record("find in it of what was there before", transaction.find(other), samples.woven(1));
      expect(transaction.replace(other, 1, samples.woven(3)),
             "replace in a transaction: expected true, saw false");
    });
    expect_record("find after the commit", store.find(key), samples.woven(2));
    expect_record("find after the commit", store.find(other), samples.woven(3));
    expect_record("insert after the commit", store.insert(key, samples.woven(9)), samples.woven(2));
  });

  run.clause("transaction.rolls_back_on_throw", [&] {
    auto&& store = fixture.make();
    expect_stored("insert", store.insert(other, samples.woven(1)));
    roll_back(store, [&](auto& transaction) {
      expect_stored("insert in a transaction", transaction.insert(key, samples.woven(1)));
      expect(transaction.replace(other, 1, samples.woven(2)),
             "replace in a transaction: expected true, saw false");
    });
    expect_nothing("find of what was rolled back", store.find(key));
    expect_record("find of what was there before", store.find(other), samples.woven(1));
    expect_stored("insert after a rollback", store.insert(key, samples.woven(5)));
    expect(store.replace(other, 1, samples.woven(6)), "replace after a rollback: expected true, saw false");
    store.transact([&](auto& transaction) {
      expect_record("find in the next transaction", transaction.find(key), samples.woven(5));
    });
  });

  run.clause("transaction.never_shows_what_is_rolled_back", [&] {
    auto&& store = fixture.make();
    std::optional<Record> seen;
    std::optional<Call> reader;
    roll_back(store, [&](auto& transaction) {
      expect_stored("insert in a transaction", transaction.insert(key, samples.woven(1)));
      reader.emplace([&] { seen = store.find(key); });
      // A store may let readers wait for the transaction instead; it must let them go when that is over.
      reader->returns_within(Duration(200));
    });
    reader->finish(run.options.patience, "find beside a transaction");
    expect_nothing("find beside a transaction that was rolled back", seen);
  });

  run.clause("transaction.conflicting_insert_meets_it", [&] {
    auto&& store = fixture.make();
    std::optional<Record> met;
    bool refused = false;
    std::optional<Call> rival;
    store.transact([&](auto& transaction) {
      expect_stored("insert in a transaction", transaction.insert(key, samples.woven(1)));
      rival.emplace([&] {
        try {
          met = store.insert(key, samples.woven(2));
        } catch (const Error&) {
          refused = true;
        }
      });
      rival->returns_within(Duration(20));
    });
    rival->finish(run.options.patience, "insert of a key that a transaction has inserted");
    if (!refused) expect_record("insert of a key that a transaction has inserted", met, samples.woven(1));
    expect_record("find after both", store.find(key), samples.woven(1));
  });

  run.clause("transaction.race_has_one_winner", [&] {
    auto&& store = fixture.make();
    const std::size_t rounds = run.options.rounds;
    std::vector<std::size_t> stored(rounds * run.options.threads);
    race(run.options.threads, [&](std::size_t number, StartLine& line) {
      for (std::size_t round = 0; round < rounds; ++round) {
        const IdempotencyKey each("transaction", std::to_string(round));
        line.meet();
        try {
          bool mine = false;
          store.transact(
              [&](auto& transaction) { mine = !transaction.insert(each, samples.woven(number + 1)); });
          stored[round * run.options.threads + number] = mine ? 1 : 0;
        } catch (const Error&) {  // a database may refuse one of two that meet
        }
      }
    });
    for (std::size_t round = 0; round < rounds; ++round) {
      std::size_t winners = 0;
      for (std::size_t number = 0; number < run.options.threads; ++number)
        winners += stored[round * run.options.threads + number];
      expect(winners == 1,
             "transactions that insert the same key at once: expected one to be told that it stored "
             "its record, saw " +
                 std::to_string(winners));
    }
  });
}

}  // namespace paidonce::inline v1::detail
