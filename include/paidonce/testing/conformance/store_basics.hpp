#pragma once
// The clauses about the three operations, one caller at a time, and about what keys and records may hold.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>

namespace paidonce::inline v1::detail {

/// The promises of find, insert and replace to a single caller. `make` gives an empty store, or something
/// that models one, such as a transaction.
template <class S>
void check_first_wins(S& store, const Samples& samples) {
  const IdempotencyKey key("suite", "first");
  const Record first = samples.extreme(State::in_progress, 5);
  expect_stored("insert where there is no record", store.insert(key, first));
  const auto existing = store.insert(key, samples.woven(6));
  expect(existing.has_value(), "insert where there is a record: expected that record, saw nullopt");
  expect_record("what insert returned of the record that is there", existing, first);
  expect_record("find after a second insert", store.find(key), first);
}

template <class S>
void check_compares_version(S& store, const Samples& samples) {
  const IdempotencyKey key("suite", "versions");
  const Record first = samples.woven(1000);
  expect_stored("insert", store.insert(key, first));
  for (const Version wrong :
       {Version{0}, Version{1}, Version{999}, Version{1001}, Version{1000} + (Version{1} << 32U)}) {
    expect(!store.replace(key, wrong, samples.woven(2000)),
           "replace with expected version " + std::to_string(wrong) +
               " of a record of version 1000: expected false, saw true");
    expect_record("find after a replace that was refused", store.find(key), first);
  }
  const Record second = samples.woven(2000);
  expect(store.replace(key, 1000, second), "replace of the version that is there: expected true, saw false");
  expect_record("find after replace", store.find(key), second);
  expect(!store.replace(key, 1000, samples.woven(3000)),
         "a second replace of the same version: expected false, saw true");
  expect_record("find after a stale replace", store.find(key), second);
}

template <class Run>
void store_basic_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  const IdempotencyKey key("suite", "key");

  run.clause("find.absent_is_nullopt", [&] {
    auto&& store = fixture.make();
    expect_nothing("find of a key that was never stored", store.find(key));
    expect_stored("insert after such a find", store.insert(key, samples.woven(1)));
    expect_nothing("find of another key", store.find(IdempotencyKey("suite", "another")));
  });

  run.clause("find.sees_acknowledged", [&] {
    auto&& store = fixture.make();
    for (Version version = 1; version < 20; ++version) {
      if (version == 1)
        expect_stored("insert", store.insert(key, samples.woven(1)));
      else
        expect(store.replace(key, version - 1, samples.woven(version)), "replace: expected true, saw false");
      expect_record("find after an acknowledged write", store.find(key), samples.woven(version));
    }
  });

  run.clause("insert.first_wins", [&] {
    auto&& store = fixture.make();
    check_first_wins(store, samples);
  });

  run.clause("insert.returns_complete_record", [&] {
    auto&& store = fixture.make();
    const Record completed = samples.ended(State::succeeded, 2);
    expect_stored("insert", store.insert(key, samples.woven(1)));
    expect_record("what insert returned", store.insert(key, samples.woven(9)), samples.woven(1));
    expect(store.replace(key, 1, completed), "replace: expected true, saw false");
    expect_record("what insert returned after a replace", store.insert(key, samples.woven(9)), completed);
  });

  run.clause("replace.compares_version", [&] {
    auto&& store = fixture.make();
    check_compares_version(store, samples);
  });

  run.clause("replace.absent_is_false", [&] {
    auto&& store = fixture.make();
    for (const Version expected : {Version{0}, Version{1}, Version{7}})
      expect(!store.replace(key, expected, samples.woven(7)),
             "replace where there is no record: expected false, saw true");
    expect_nothing("find after a replace where there was no record", store.find(key));
  });

  run.clause("replace.versions_are_the_records", [&] {
    auto&& store = fixture.make();
    const std::vector<Version> versions = {1'700'000'000'000'000, 1'700'000'000'000'001,
                                           1'700'000'060'000'000, 9'000'000'000'000'000,
                                           std::numeric_limits<std::int64_t>::max()};
    Record record = samples.woven(1);
    record.version = versions[0];
    expect_stored("insert", store.insert(key, record));
    for (std::size_t i = 1; i < versions.size(); ++i) {
      const Version expected = record.version;
      record.version = versions[i];
      expect(store.replace(key, expected, record), "replace of version " + std::to_string(expected) + " by " +
                                                       std::to_string(record.version) +
                                                       ": expected true, saw false");
      expect_record("find after replace", store.find(key), record);
      expect(!store.replace(key, expected, record),
             "replace of version " + std::to_string(expected) + ", which is gone: expected false, saw true");
    }
  });

  run.clause("record.every_field_survives", [&] {
    auto&& store = fixture.make();
    int number = 0;
    for (const State state :
         {State::in_progress, State::succeeded, State::declined, State::in_doubt, State::released}) {
      const IdempotencyKey inserted("inserted", std::to_string(++number));
      const IdempotencyKey replaced("replaced", std::to_string(number));
      const Record extreme = samples.extreme(state, 77);
      expect_stored("insert", store.insert(inserted, extreme));
      expect_record("find after insert", store.find(inserted), extreme);
      expect_stored("insert", store.insert(replaced, samples.woven(1)));
      expect(store.replace(replaced, 1, extreme), "replace: expected true, saw false");
      expect_record("find after replace", store.find(replaced), extreme);
    }
  });

  run.clause("record.empty_fields_survive", [&] {
    auto&& store = fixture.make();
    Record bare;
    bare.version = 2;
    expect_stored("insert", store.insert(key, bare));
    expect_record("find after insert of empty fields", store.find(key), bare);
    const IdempotencyKey full("suite", "full");
    expect_stored("insert", store.insert(full, samples.extreme(State::in_doubt, 1)));
    expect(store.replace(full, 1, bare), "replace: expected true, saw false");
    expect_record("find after filled fields were replaced by empty ones", store.find(full), bare);
  });

  run.clause("record.fingerprint_survives", [&] {
    auto&& store = fixture.make();
    int number = 0;
    for (const Fingerprint& print :
         {fingerprint("order", 450), Fingerprinter("secret")("order", 450), Fingerprint()}) {
      const IdempotencyKey each("fingerprints", std::to_string(++number));
      Record record = samples.woven(1);
      record.fingerprint = print;
      expect_stored("insert", store.insert(each, record));
      expect_record("find after insert", store.find(each), record);
      Record completed = samples.ended(State::succeeded, 2);
      completed.fingerprint = print;
      expect(store.replace(each, 1, completed), "replace: expected true, saw false");
      expect_record("find after the completion", store.find(each), completed);
      expect_record("what insert returned after it", store.insert(each, samples.woven(3)), completed);
    }
  });
}

/// Every key must reach its own record: one is stored under each, and read back once all are there.
template <class S>
void check_keys(S& store, const std::vector<IdempotencyKey>& keys, const Samples& samples) {
  const auto name = [](const IdempotencyKey& key) {
    return in_quotes(key.scope()) + ", " + in_quotes(key.text());
  };
  for (std::size_t i = 0; i < keys.size(); ++i)
    expect_stored("insert of the key " + name(keys[i]) + ", the first with it",
                  store.insert(keys[i], samples.woven(i + 1)));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    expect_record("find of the key " + name(keys[i]), store.find(keys[i]), samples.woven(i + 1));
    expect(store.replace(keys[i], i + 1, samples.woven(i + 1001)),
           "replace of the key " + name(keys[i]) + ": expected true, saw false");
  }
  for (std::size_t i = 0; i < keys.size(); ++i)
    expect_record("find of the key " + name(keys[i]), store.find(keys[i]), samples.woven(i + 1001));
}

template <class Run>
void store_key_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  run.clause("keys.are_opaque_bytes", [&] {
    auto&& store = fixture.make();
    check_keys(store, hostile_keys(), samples);
  });
  run.clause("keys.scope_and_text_are_apart", [&] {
    auto&& store = fixture.make();
    check_keys(store, ambiguous_keys(), samples);
  });
  run.clause("keys.count_to_their_last_byte", [&] {
    auto&& store = fixture.make();
    check_keys(store, long_keys(), samples);
  });
  if constexpr (requires { fixture.make_colliding(); })
    run.clause("hash_collisions.compare_full_keys", [&] {
      auto&& store = fixture.make_colliding();
      check_keys(store, hostile_keys(), samples);
    });
  else
    run.skip("hash_collisions.", "the fixture has no make_colliding()");
}

}  // namespace paidonce::inline v1::detail
