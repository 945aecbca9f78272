// The store in memory when there is no memory: a program of its own, because it replaces operator new.

#include <paidonce/stores/memory.hpp>

#include <optional>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/failing_new.hpp"

using namespace paidonce;

namespace {

IdempotencyKey key(std::size_t number) {
  return {"", "a key too long for its string " + std::to_string(number)};
}

Record record_of(Version version) {
  Record record;
  record.version = version;
  record.response.assign(100, 'r');
  record.note.assign(100, 'n');
  return record;
}

/// Runs `action` with one more allocation granted each time until it goes through; how often it did not.
template <class Action, class Check>
long failures_of(const Action& action, const Check& unchanged) {
  for (long granted = 0;; ++granted) {
    bool failed = false;
    try {
      const Shortage shortage(static_cast<std::size_t>(granted) + 1, for_ever);
      action();
    } catch (const std::bad_alloc&) {
      failed = true;
    }
    if (!failed) return granted;
    unchanged();
    if (granted > 1000) return granted;
  }
}

}  // namespace

TEST_CASE("an insert that finds no memory leaves the store as it was", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  for (std::size_t i = 0; i < 200; ++i) {  // over several growths
    const IdempotencyKey mine = key(i);
    const Record record = record_of(i + 1);
    const long failed = failures_of([&] { (void)store.insert(mine, record); },
                                    [&] {
                                      REQUIRE_FALSE(store.find(mine));
                                      if (i > 0) REQUIRE(store.find(key(i - 1)) == record_of(i));
                                    });
    REQUIRE(failed >= 1);
    REQUIRE(failed <= 3);  // the block, the table, that of the unfinished
    REQUIRE(store.find(mine) == record);
  }
  for (std::size_t i = 0; i < 200; ++i) REQUIRE(store.find(key(i)) == record_of(i + 1));
}

TEST_CASE("a growth that finds no memory does not use up max_records", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.max_records = 20, .shards = 1});
  for (std::size_t i = 0; i < 20; ++i) {
    const IdempotencyKey mine = key(i);
    const Record record = record_of(1);
    failures_of([&] { (void)store.insert(mine, record); }, [] {});
  }
  CHECK_THROWS_MATCHES(store.insert(key(20), record_of(1)), Error,
                       support::has_code<Error>(errc::store_full));
}

TEST_CASE("a replace that finds no memory leaves the record as it was", "[store][memory]") {
  MemoryStore store;
  const IdempotencyKey mine = key(1);
  const Record first = record_of(1), second = record_of(2);
  REQUIRE_FALSE(store.insert(mine, first));
  bool replaced = false;
  const long failed = failures_of([&] { replaced = store.replace(mine, 1, second); },
                                  [&] { REQUIRE(store.find(mine) == first); });
  CHECK(failed == 1);
  CHECK(replaced);
  CHECK(store.find(mine) == second);
}

TEST_CASE("reads that find no memory leave everything as it was, and let others in", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  const IdempotencyKey mine = key(1);
  const Record record = record_of(1);
  REQUIRE_FALSE(store.insert(mine, record));
  std::optional<Record> found, there;
  CHECK(failures_of([&] { found = store.find(mine); }, [] {}) == 2);  // the response, the note
  CHECK(found == record);
  CHECK(failures_of([&] { there = store.insert(mine, record); }, [] {}) == 3);
  CHECK(there == record);
  int visits = 0;
  CHECK(
      failures_of([&] { store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++visits > 0; }); },
                  [] {}) >= 3);
  CHECK(visits == 1);
  CHECK(store.replace(mine, 1, record_of(2)));
}

TEST_CASE("what ends a payment needs memory for its record alone, however many are unfinished",
          "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  constexpr std::size_t count = 3'000;
  for (std::size_t i = 0; i < count; ++i) REQUIRE_FALSE(store.insert(key(i), record_of(1)));
  Record next = record_of(2);
  for (std::size_t i = 0; i < count; ++i) {  // the index of the unfinished would shrink on the way
    next.state = i % 3 == 0 ? State::in_doubt : State::succeeded;
    const IdempotencyKey mine = key(i);
    const Shortage shortage(2, for_ever);
    REQUIRE(store.replace(mine, 1, next));
  }
  std::size_t unfinished = 0;
  store.scan({.states = {State::in_progress, State::in_doubt}, .limit = count},
             [&](const IdempotencyKey&, const Record&) { return ++unfinished > 0; });
  CHECK(unfinished == count / 3);
}

TEST_CASE("a new attempt that finds no memory leaves the record as it was", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  Record released = record_of(1), next = record_of(2);
  released.state = State::released;
  for (std::size_t i = 0; i < 200; ++i) REQUIRE_FALSE(store.insert(key(i), released));
  long most = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const IdempotencyKey mine = key(i);
    bool replaced = false;
    const long failed = failures_of([&] { replaced = store.replace(mine, 1, next); },
                                    [&] { REQUIRE(store.find(mine) == released); });
    REQUIRE(replaced);
    if (failed > most) most = failed;
  }
  CHECK(most == 2);  // the block, the index
  std::size_t unfinished = 0;
  store.scan({.states = {State::in_progress}},
             [&](const IdempotencyKey&, const Record&) { return ++unfinished > 0; });
  CHECK(unfinished == 200);
}

TEST_CASE("a sweep needs no memory", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  for (std::size_t i = 0; i < 1000; ++i) {
    Record record = record_of(1);
    record.state = i % 100 == 0 ? State::in_doubt : State::declined;
    REQUIRE_FALSE(store.insert(key(i), record));
  }
  std::size_t erased = 0;
  {
    const Shortage shortage(1, for_ever);
    erased = store.erase_expired(Timestamp(Duration(1)), SIZE_MAX);
  }
  CHECK(erased == 990);
  for (std::size_t i = 0; i < 1000; ++i) REQUIRE(store.find(key(i)).has_value() == (i % 100 == 0));
}
