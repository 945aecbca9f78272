// The store in memory: growth, keys that collide, limits, no memory left, scans, sweeps, many threads.

#include <paidonce/stores/memory.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

static_assert(Store<MemoryStore> && ScannableStore<MemoryStore> && SweepableStore<MemoryStore>);
static_assert(!HolderAwareStore<MemoryStore> && !TransactionalStore<MemoryStore>);
static_assert(detail::has_local_find<MemoryStore&>());
static_assert(std::is_nothrow_move_constructible_v<MemoryStore> &&
              !std::is_copy_constructible_v<MemoryStore>);

/// Where every key collides with every other.
struct SameHash {
  std::uint64_t value = 0;
  std::uint64_t operator()(const IdempotencyKey&) const noexcept { return value; }
};
/// Where all keys are neighbours in one shard and one table, in a few homes at its very end.
struct CrowdedHash {
  std::uint64_t operator()(const IdempotencyKey& key) const noexcept {
    return key.hash() | ~std::uint64_t{0} << 3;
  }
};
using CollidingStore = BasicMemoryStore<SameHash>;
using CrowdedStore = BasicMemoryStore<CrowdedHash>;

IdempotencyKey key(std::size_t number) { return {"shop", "order-" + std::to_string(number)}; }

Timestamp at(std::int64_t millis) { return Timestamp(Duration(millis)); }

/// A record in which nothing has its default, different for each number.
Record full_record(std::size_t number) {
  const auto count = static_cast<std::int64_t>(number);
  Record record;
  record.fingerprint = fingerprint("order", number);
  record.state = State::succeeded;
  record.version = number + 1;
  record.attempt_id = ~std::uint64_t{0} - number;
  record.attempts = static_cast<std::uint32_t>(number % 7 + 1);
  record.created_at = at(1'700'000'000'000 + count);
  record.updated_at = at(1'700'000'000'100 - 2 * count);
  record.lease_until = at(1'700'000'030'000 + count);
  record.expires_at = at(1'700'086'400'000 + count);
  record.amount = "4.50 EUR";
  record.description = "coffee " + std::to_string(number);
  record.checkpoint = std::string(number % 300, 'c');
  record.response = std::string(number % 1000, static_cast<char>(number));
  record.response_format = "text";
  record.note = "note";
  return record;
}

Record record_of(State state, Timestamp expires = {}, Version version = 1) {
  Record record;
  record.state = state;
  record.version = version;
  record.expires_at = expires;
  return record;
}

template <class AnyStore>
std::vector<std::string> scanned(AnyStore& store, const ScanFilter& filter = {}) {
  std::vector<std::string> keys;
  store.scan(filter, [&](const IdempotencyKey& key, const Record&) {
    keys.emplace_back(key.bytes());
    return true;
  });
  return keys;
}

const std::vector<State> all_states{State::in_progress, State::succeeded, State::declined, State::in_doubt,
                                    State::released};
const std::vector<State> unfinished_states{State::in_progress, State::in_doubt};

using Listing = std::vector<std::pair<std::string, Version>>;

/// Pages of so many records; what of it these states have, picked by the scan or behind it.
template <class AnyStore>
Listing pages_of(AnyStore& store, ScanFilter filter, const std::vector<State>& picked) {
  Listing listing;
  for (std::size_t seen = filter.limit; seen == filter.limit;) {
    seen = 0;
    store.scan(filter, [&](const IdempotencyKey& key, const Record& record) {
      ++seen;
      filter.after = key.bytes();
      for (const State state : picked)
        if (state == record.state) listing.emplace_back(std::string(key.bytes()), record.version);
      return true;
    });
  }
  return listing;
}

using Shards = detail::RecordShards<KeyHash>;

void put(Shards& shards, const IdempotencyKey& key, const Record& record) {
  const auto place = shards.place_of(key);
  auto packed = detail::PackedRecord::make(key.bytes(), place.hash.order, record);
  auto& table = place.shard.table;
  if (const std::size_t at = table.find(place.hash, key.bytes()); at != detail::RecordTable::nowhere) {
    table.reserve_exchange(at, record.state);
    table.exchange(at, std::move(packed));
  } else {
    table.reserve(record.state);
    table.add(std::move(packed), place.hash);
  }
}

struct Walk {
  std::size_t pages = 0, records = 0;
};

/// How often a scan takes the lock of a shard, each time for a bounded number of slots.
Walk walk(Shards& shards, const ScanFilter& filter) {
  Walk walk;
  std::vector<const detail::PackedRecord*> room;
  for (Shards::Cursor cursor; !shards.at_end(cursor); ++walk.pages)
    shards.read_page(filter, cursor, room, Shards::page_size, [&](const detail::PackedRecord&) {
      ++walk.records;
      return true;
    });
  return walk;
}

}  // namespace

TEST_CASE("a record comes back as it was stored, whatever its values", "[store][memory]") {
  MemoryStore store;
  std::vector<Record> records{Record{}, full_record(1), full_record(999)};
  Record extreme = full_record(2);
  extreme.version = UINT64_MAX;
  extreme.attempts = UINT32_MAX;
  extreme.created_at = Timestamp::min();
  extreme.updated_at = Timestamp::max();
  extreme.lease_until = Timestamp::min();
  extreme.expires_at = at(-1);
  extreme.response = std::string("\0\xff\n", 3);
  extreme.fingerprint = Fingerprinter("secret")("order", 1);
  records.push_back(extreme);
  extreme.created_at = Timestamp::max();
  extreme.lease_until = at(0);
  records.push_back(extreme);
  for (std::size_t i = 0; i < records.size(); ++i) {
    CHECK_FALSE(store.find(key(i)));
    CHECK_FALSE(store.insert(key(i), records[i]));
    CHECK(store.find(key(i)) == records[i]);
    CHECK(store.insert(key(i), full_record(3)) == records[i]);
    CHECK(store.find(key(i)) == records[i]);
  }
}

TEST_CASE("keys of every length are kept apart", "[store][memory]") {
  CollidingStore store;
  for (const std::size_t scope : {0u, 1u, 255u})
    for (const std::size_t text : {1u, 2u, 255u}) {
      const IdempotencyKey mine(std::string(scope, 'a'), std::string(text, 'a'));
      CHECK_FALSE(store.insert(mine, record_of(State::in_progress, {}, 1000 * scope + text)));
    }
  CHECK(store.find({std::string(255, 'a'), std::string(255, 'a')})->version == 255'255);
  CHECK(store.find({"", "aa"})->version == 2);
  CHECK(store.find({"a", "a"})->version == 1001);
}

TEST_CASE("a replace takes place over the expected version only", "[store][memory]") {
  MemoryStore store;
  const Record first = full_record(1), second = full_record(2);
  CHECK_FALSE(store.replace(key(1), first.version, second));
  CHECK_FALSE(store.find(key(1)));
  CHECK_FALSE(store.insert(key(1), first));
  CHECK_FALSE(store.replace(key(1), first.version + 1, second));
  CHECK_FALSE(store.replace(key(1), first.version - 1, second));
  CHECK(store.find(key(1)) == first);
  CHECK(store.replace(key(1), first.version, second));
  CHECK(store.find(key(1)) == second);
  CHECK_FALSE(store.replace(key(1), first.version, first));
}

TEST_CASE("digests under previous secrets are not kept", "[store][memory]") {
  MemoryStore store;
  Record record;
  record.fingerprint = Fingerprinter("new", {"old"})("order");
  CHECK_FALSE(store.insert(key(1), record));
  CHECK_FALSE(store.find(key(1))->fingerprint.matches(Fingerprinter("old")("order")));
  CHECK(store.find(key(1))->fingerprint == Fingerprinter("new")("order"));
}

TEMPLATE_TEST_CASE("a store grows with every record in its place", "[store][memory]", MemoryStore,
                   CollidingStore, CrowdedStore) {
  const std::size_t count = std::is_same_v<TestType, MemoryStore> ? 20'000 : 400;
  for (const std::size_t shards : {1u, 2u, 64u, 4096u}) {
    TestType store(MemoryStoreOptions{.shards = shards});
    for (std::size_t i = 0; i < count; ++i) {
      REQUIRE_FALSE(store.insert(key(i), full_record(i)));
      REQUIRE(store.replace(key(i / 2), i / 2 * 2 < i ? i / 2 + 2 : i / 2 + 1,
                            record_of(State::in_doubt, {}, i / 2 + 2)));
    }
    for (std::size_t i = 0; i < count; ++i) {
      const auto found = store.find(key(i));
      REQUIRE(found);
      if (i < count / 2)
        REQUIRE(found->version == i + 2);
      else
        REQUIRE(*found == full_record(i));
    }
    REQUIRE_FALSE(store.find(key(count)));
  }
}

TEST_CASE("shards are a power of two from 1 to 4096", "[store][memory]") {
  for (const std::size_t shards : {0u, 3u, 63u, 8192u})
    CHECK_THROWS_MATCHES(MemoryStore(MemoryStoreOptions{.shards = shards}), Error,
                         support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("at max_records a new key is refused and those there live on", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.max_records = 10});
  for (std::size_t i = 0; i < 10; ++i) CHECK_FALSE(store.insert(key(i), record_of(State::declined, at(100))));
  for (int twice = 0; twice < 2; ++twice)
    CHECK_THROWS_MATCHES(store.insert(key(10), Record{}), Error, support::has_code<Error>(errc::store_full));
  CHECK_FALSE(store.find(key(10)));
  CHECK(store.insert(key(3), Record{}));
  CHECK(store.replace(key(3), 1, record_of(State::in_progress, {}, 2)));
  CHECK(store.erase_expired(at(100), 2) == 2);
  CHECK_FALSE(store.insert(key(10), Record{}));
  CHECK_FALSE(store.insert(key(11), Record{}));
  CHECK_THROWS_MATCHES(store.insert(key(12), Record{}), Error, support::has_code<Error>(errc::store_full));
}

TEST_CASE("a record beyond max_record_bytes is refused and changes nothing", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.max_record_bytes = 100});
  Record record = record_of(State::in_progress);
  record.response = std::string(60, 'r');
  record.checkpoint = std::string(40, 'c');
  CHECK_FALSE(store.insert(key(1), record));
  Record larger = record;
  larger.checkpoint += 'c';
  CHECK_THROWS_MATCHES(store.insert(key(2), larger), Error, support::has_code<Error>(errc::store_full));
  CHECK_FALSE(store.find(key(2)));
  CHECK_THROWS_MATCHES(store.replace(key(1), 1, larger), Error, support::has_code<Error>(errc::store_full));
  CHECK(store.find(key(1)) == record);
  larger.checkpoint.clear();
  larger.response = std::string(101, 'r');
  CHECK_THROWS_MATCHES(store.replace(key(1), 1, larger), Error, support::has_code<Error>(errc::store_full));
}

TEST_CASE("a store moves with all that it holds", "[store][memory]") {
  MemoryStore store;
  CHECK_FALSE(store.insert(key(1), full_record(1)));
  MemoryStore moved(std::move(store));
  CHECK(moved.find(key(1)) == full_record(1));
  store = MemoryStore();
  CHECK_FALSE(store.find(key(1)));
}

TEMPLATE_TEST_CASE("a scan visits each record once, in an order that stays", "[store][memory]", MemoryStore,
                   CollidingStore, CrowdedStore) {
  TestType store;
  std::set<std::string> expected;
  const std::size_t count = std::is_same_v<TestType, MemoryStore> ? 10'000 : 500;
  for (std::size_t i = 0; i < count; ++i) {
    REQUIRE_FALSE(store.insert(key(i), full_record(i)));
    expected.emplace(key(i).bytes());
  }
  const auto everything = scanned(store, {.limit = SIZE_MAX});
  CHECK(everything.size() == count);
  CHECK(std::set<std::string>(everything.begin(), everything.end()) == expected);

  std::vector<std::string> by_pages;
  for (ScanFilter filter{.limit = 7};; filter.after = by_pages.back()) {
    const auto page = scanned(store, filter);
    by_pages.insert(by_pages.end(), page.begin(), page.end());
    if (page.size() < 7) break;
  }
  CHECK(by_pages == everything);

  for (std::size_t i = count; i < 3 * count; ++i) REQUIRE_FALSE(store.insert(key(i), full_record(i)));
  std::vector<std::string> same_keys;
  for (auto& bytes : scanned(store, {.limit = SIZE_MAX}))
    if (expected.count(bytes) != 0) same_keys.push_back(std::move(bytes));
  CHECK(same_keys == everything);
}

TEST_CASE("a scan goes on behind a key that is gone", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 1});
  for (std::size_t i = 0; i < 100; ++i)
    REQUIRE_FALSE(store.insert(key(i), record_of(State::declined, at(static_cast<std::int64_t>(i)))));
  const auto before = scanned(store);
  REQUIRE(store.erase_expired(at(49), 1000) == 50);
  const auto after = scanned(store);
  REQUIRE(after.size() == 50);
  for (std::size_t i = 0; i < before.size(); ++i) {
    std::vector<std::string> expected;
    for (std::size_t j = i + 1; j < before.size(); ++j)
      if (store.find(IdempotencyKey::from_bytes(before[j]))) expected.push_back(before[j]);
    CHECK(scanned(store, {.after = before[i]}) == expected);
  }
}

TEST_CASE("a scan applies its filter, its limit and its visitor's word", "[store][memory]") {
  MemoryStore store;
  for (std::size_t i = 0; i < 300; ++i) {
    Record record = record_of(i % 3 == 0   ? State::in_doubt
                              : i % 3 == 1 ? State::in_progress
                                           : State::released);
    record.updated_at = at(static_cast<std::int64_t>(i));
    REQUIRE_FALSE(store.insert(key(i), record));
  }
  CHECK(scanned(store).size() == 300);
  CHECK(scanned(store, {.states = {State::in_doubt}}).size() == 100);
  CHECK(scanned(store, {.states = {State::in_doubt, State::in_progress}}).size() == 200);
  CHECK(scanned(store, {.states = {State::succeeded}}).empty());
  CHECK(scanned(store, {.updated_before = at(30)}).size() == 30);
  CHECK(scanned(store, {.states = {State::in_doubt}, .updated_before = at(30)}).size() == 10);
  CHECK(scanned(store, {.limit = 0}).empty());
  CHECK(scanned(store, {.states = {State::in_doubt}, .limit = 99}).size() == 99);
  CHECK_THROWS_MATCHES(scanned(store, {.after = "\x05no"}), Error,
                       support::has_code<Error>(errc::invalid_key));
  int visits = 0;
  store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++visits < 5; });
  CHECK(visits == 5);
}

TEMPLATE_TEST_CASE("a scan of the unfinished is the full scan filtered, whatever happened before",
                   "[store][memory]", MemoryStore, CollidingStore, CrowdedStore) {
  TestType store(MemoryStoreOptions{.shards = 4});
  std::map<std::size_t, Record> plain;
  std::uint64_t random = GENERATE(1U, 2U);
  CAPTURE(random);
  const std::size_t keys = std::is_same_v<TestType, MemoryStore> ? 1'000 : 120;
  for (std::size_t step = 0; step < 8 * keys; ++step) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const std::size_t number = (random >> 33) % keys;
    // Ever more, then ever fewer of them are unfinished: the index grows and shrinks.
    const bool wants_unfinished = (random >> 20) % 8 < (step < 4 * keys ? 6U : 1U);
    const State state =
        wants_unfinished ? unfinished_states[(random >> 45) % 2] : all_states[(random >> 45) % 5];
    Record record = record_of(state, at(static_cast<std::int64_t>((random >> 50) % 100)), step + 1);
    record.updated_at = at(static_cast<std::int64_t>((random >> 40) % 100));
    if (const auto there = plain.find(number); there == plain.end())
      REQUIRE_FALSE(store.insert(key(number), record));
    else
      REQUIRE(store.replace(key(number), there->second.version, record));
    plain[number] = record;
    if (step % 97 == 0) {
      const Timestamp now = at(static_cast<std::int64_t>((random >> 35) % 100));
      store.erase_expired(now, 50);
      std::erase_if(plain, [&](const auto& one) { return !store.find(key(one.first)); });
    }
    if (step % (keys / 4) != 0 && step + 1 != 8 * keys) continue;
    std::set<std::string> expected;
    for (const auto& [other, there] : plain)
      if (detail::is_unfinished(there.state)) expected.emplace(key(other).bytes());
    const Listing all = pages_of(store, {.limit = SIZE_MAX}, unfinished_states);
    REQUIRE(all.size() == expected.size());
    for (const auto& [bytes, version] : all) REQUIRE(expected.count(bytes) == 1);
    for (const std::size_t limit : {std::size_t{1}, std::size_t{7}, std::size_t{64}, SIZE_MAX}) {
      if (limit == 1 && all.size() > 200) continue;
      REQUIRE(pages_of(store, {.states = unfinished_states, .limit = limit}, all_states) == all);
    }
    for (const State one : unfinished_states)
      REQUIRE(pages_of(store, {.states = {one}, .limit = 10}, all_states) ==
              pages_of(store, {.limit = SIZE_MAX}, {one}));
    REQUIRE(pages_of(store, {.states = {State::in_doubt, State::released}, .limit = 50}, all_states) ==
            pages_of(store, {.limit = SIZE_MAX}, {State::in_doubt, State::released}));
    REQUIRE(
        pages_of(store, {.states = unfinished_states, .updated_before = at(50), .limit = 50}, all_states) ==
        pages_of(store, {.updated_before = at(50), .limit = SIZE_MAX}, unfinished_states));
  }
}

TEST_CASE("pages of the unfinished show each that stays so once, while others come and go",
          "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.shards = 2});
  std::set<std::string> lasting;
  for (std::size_t i = 0; i < 600; ++i) {
    REQUIRE_FALSE(store.insert(key(i), record_of(i % 3 == 1 ? State::succeeded : State::in_progress)));
    if (i % 3 == 0) lasting.emplace(key(i).bytes());
  }
  std::multiset<std::string> seen;
  Version version = 1;
  std::size_t pages = 0;
  for (ScanFilter filter{.states = unfinished_states, .limit = 5};; ++pages) {
    const auto page = scanned(store, filter);
    seen.insert(page.begin(), page.end());
    if (page.size() < filter.limit) break;
    filter.after = page.back();
    for (std::size_t i = 0; i < 600; ++i)  // one half ends, the other begins
      if (i % 3 != 0)
        REQUIRE(
            store.replace(key(i), version,
                          record_of((i % 3 == 1) == (version % 2 == 1) ? State::in_doubt : State::released,
                                    at(1'000), version + 1)));
    ++version;
  }
  CHECK(pages > 50);
  for (const std::string& bytes : lasting) REQUIRE(seen.count(bytes) == 1);
  for (const std::string& bytes : seen) REQUIRE(seen.count(bytes) == 1);
}

TEST_CASE("what a scan of the unfinished costs does not grow with what is stored", "[store][memory]") {
  const ScanFilter unfinished{.states = unfinished_states};
  Walk walks[2];
  for (const std::size_t stored : {3'000U, 100'000U}) {
    Shards shards(1, KeyHash());
    for (std::size_t i = 0; i < stored; ++i)
      put(shards, key(i), record_of(i % (stored / 10) == 0 ? State::in_doubt : State::succeeded));
    walks[stored > 3'000] = walk(shards, unfinished);
    CHECK(walk(shards, {}).pages > stored / Shards::page_size / 2);
    CHECK(walk(shards, {.states = {State::in_doubt, State::succeeded}}).records == stored);
  }
  CHECK(walks[0].records == 10);
  CHECK(walks[1].records == 10);
  CHECK(walks[0].pages == 1);
  CHECK(walks[1].pages == 1);
}

TEST_CASE("what a scan of the unfinished costs falls when much of it has ended", "[store][memory]") {
  Shards shards(1, KeyHash());
  constexpr std::size_t count = 100'000;
  for (std::size_t i = 0; i < count; ++i) put(shards, key(i), record_of(State::in_progress));
  const ScanFilter unfinished{.states = unfinished_states};
  CHECK(walk(shards, unfinished).pages > 1'000);
  for (std::size_t i = 10; i < count; ++i) put(shards, key(i), record_of(State::succeeded));
  const Walk left = walk(shards, unfinished);
  CHECK(left.records == 10);
  CHECK(left.pages == 1);
}

TEST_CASE("a page of a scan ends where enough was copied", "[store][memory]") {
  const IdempotencyKey mine = key(1);
  Record record = full_record(1);
  record.response.assign(100'000, 'r');
  const auto large = detail::PackedRecord::make(mine.bytes(), 1, record);
  detail::RecordPage page;
  CHECK(page.add(*large));
  CHECK(page.add(*large));
  CHECK_FALSE(page.add(*large));
  std::size_t visits = 0;
  CHECK(page.visit([&](const IdempotencyKey& there, const Record& copy) {
    ++visits;
    CHECK(there == mine);
    CHECK(copy == record);
    return true;
  }));
  CHECK(visits == 3);

  MemoryStore store(MemoryStoreOptions{.shards = 1});
  for (std::size_t i = 0; i < 100; ++i) {
    record.version = i;
    record.response.assign(i % 3 == 0 ? 100'000 : i, 'r');
    REQUIRE_FALSE(store.insert(key(i), record));
  }
  std::set<Version> seen;
  store.scan({}, [&](const IdempotencyKey& there, const Record& copy) {
    CHECK(store.find(there) == copy);
    seen.insert(copy.version);
    return true;
  });
  CHECK(seen.size() == 100);
}

TEST_CASE("a visitor may write to the store that it visits", "[store][memory]") {
  MemoryStore store;
  for (std::size_t i = 0; i < 200; ++i) REQUIRE_FALSE(store.insert(key(i), record_of(State::in_progress)));
  std::size_t replaced = 0;
  store.scan({}, [&](const IdempotencyKey& there, const Record& record) {
    Record next = record;
    next.version += 1;
    if (store.replace(there, record.version, next)) ++replaced;
    return true;
  });
  CHECK(replaced == 200);
}

TEMPLATE_TEST_CASE("a sweep erases what is over, and nothing unfinished", "[store][memory]", MemoryStore,
                   CollidingStore, CrowdedStore) {
  TestType store;
  const std::size_t count = std::is_same_v<TestType, MemoryStore> ? 6'000 : 600;
  constexpr State states[] = {State::in_progress, State::succeeded, State::declined,
                              State::in_doubt,    State::released,  State::released};
  for (std::size_t i = 0; i < count; ++i) {
    Record record = record_of(states[i % 6], at(i % 12 < 6 ? 100 : 101));
    if (i % 6 == 5) record.checkpoint = "one step taken";
    REQUIRE_FALSE(store.insert(key(i), record));
  }
  CHECK(store.erase_expired(at(99), SIZE_MAX) == 0);
  CHECK(store.erase_expired(at(100), 0) == 0);
  std::size_t erased = 0;
  while (const std::size_t now = store.erase_expired(at(100), 17)) {
    CHECK(now <= 17);
    erased += now;
  }
  CHECK(erased == count / 4);
  CHECK(scanned(store, {.limit = SIZE_MAX}).size() == count - count / 4);
  CHECK(store.erase_expired(at(1000), SIZE_MAX) == count / 4);
  for (std::size_t i = 0; i < count; ++i) {
    const bool over = i % 6 == 1 || i % 6 == 2 || i % 6 == 4;
    REQUIRE(store.find(key(i)).has_value() != over);
  }
  CHECK(store.erase_expired(at(1000), SIZE_MAX) == 0);
}

TEST_CASE("a swept store takes new records, and agrees with a plain map throughout", "[store][memory]") {
  CrowdedStore crowded;
  MemoryStore spread(MemoryStoreOptions{.shards = 2});
  std::map<std::string, Record> plain;
  std::uint64_t random = 1;
  for (int step = 0; step < 20'000; ++step) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const std::size_t number = (random >> 33) % 200;
    const IdempotencyKey mine = key(number);
    const std::string bytes(mine.bytes());
    const auto there = plain.find(bytes);
    if ((random >> 50) % 8 == 0) {
      const Timestamp now = at(static_cast<std::int64_t>((random >> 40) % 100));
      std::size_t expected = 0;
      for (auto it = plain.begin(); it != plain.end();) {
        const bool over = it->second.state == State::succeeded && it->second.expires_at <= now;
        it = over ? plain.erase(it) : std::next(it);
        if (over) ++expected;
      }
      REQUIRE(crowded.erase_expired(now, SIZE_MAX) == expected);
      REQUIRE(spread.erase_expired(now, SIZE_MAX) == expected);
    } else if (there == plain.end()) {
      const Record record = record_of(step % 3 == 0 ? State::in_progress : State::succeeded,
                                      at(static_cast<std::int64_t>((random >> 45) % 100)), random);
      REQUIRE_FALSE(crowded.insert(mine, record));
      REQUIRE_FALSE(spread.insert(mine, record));
      plain.emplace(bytes, record);
    } else {
      Record record = full_record(number);
      record.expires_at = at(static_cast<std::int64_t>((random >> 45) % 100));
      REQUIRE(crowded.replace(mine, there->second.version, record));
      REQUIRE(spread.replace(mine, there->second.version, record));
      there->second = record;
    }
    for (const std::size_t other : {number, (number + 1) % 200, (number + 199) % 200}) {
      const auto expected = plain.find(std::string(key(other).bytes()));
      const auto found = crowded.find(key(other));
      REQUIRE(found.has_value() == (expected != plain.end()));
      REQUIRE((!found || *found == expected->second));
      REQUIRE(spread.find(key(other)) == found);
    }
  }
}

TEST_CASE("of racing inserts one wins, and no update is lost", "[store][memory]") {
  constexpr std::size_t threads = 4, keys = 300, rounds = 20;
  MemoryStore store(MemoryStoreOptions{.shards = 4});
  std::atomic<std::size_t> inserted{0}, replaced{0}, torn{0};
  std::vector<std::thread> running;
  for (std::size_t thread = 0; thread < threads; ++thread)
    running.emplace_back([&, thread] {
      for (std::size_t i = 0; i < keys; ++i) {
        Record record = full_record(i + thread * keys);
        record.version = 1;
        const auto there = store.insert(key(i), record);
        if (!there) ++inserted;
        if (there && there->response_format != "text") ++torn;
      }
      for (std::size_t done = 0; done < rounds * keys;) {
        const std::size_t i = done % keys;
        auto record = store.find(key(i));
        if (!record || record->response != std::string(record->response.size(), record->response[0])) ++torn;
        const Version version = record->version++;
        record->response.assign(1 + record->version % 500, static_cast<char>('a' + thread));
        if (!store.replace(key(i), version, *record)) continue;
        ++replaced;
        ++done;
      }
    });
  for (std::thread& thread : running) thread.join();
  CHECK(inserted == keys);
  CHECK(replaced == threads * keys * rounds);
  CHECK(torn == 0);
  std::size_t versions = 0;
  for (std::size_t i = 0; i < keys; ++i) versions += store.find(key(i))->version - 1;
  CHECK(versions == threads * keys * rounds);
}

TEST_CASE("reads, writes, scans and sweeps go on side by side", "[store][memory]") {
  MemoryStore store(MemoryStoreOptions{.max_records = 500, .shards = 2});
  constexpr std::size_t keys = 400;
  std::atomic<bool> over{false};
  std::atomic<std::size_t> unfinished_erased{0}, wrong{0};
  std::thread sweeper([&] {
    while (!over) store.erase_expired(at(50), 10);
  });
  std::thread scanner([&] {
    while (!over) {
      std::set<std::string> seen;
      store.scan({}, [&](const IdempotencyKey& there, const Record& record) {
        if (!seen.emplace(there.bytes()).second || record.response.size() != record.version % 300) ++wrong;
        return true;
      });
    }
  });
  // Stuck ones are there at every look; none of the others is shown that has ended.
  for (std::size_t i = keys; i < keys + 20; ++i)
    REQUIRE_FALSE(store.insert(key(i), record_of(i % 2 == 0 ? State::in_doubt : State::in_progress, {}, 0)));
  std::thread watcher([&] {
    while (!over) {
      std::set<std::string> seen;
      std::size_t stuck = 0;
      store.scan({.states = unfinished_states, .limit = SIZE_MAX},
                 [&](const IdempotencyKey& there, const Record& record) {
                   if (!seen.emplace(there.bytes()).second || !detail::is_unfinished(record.state)) ++wrong;
                   if (record.version == 0) ++stuck;
                   return true;
                 });
      if (stuck != 20) ++wrong;
    }
  });
  std::thread reader([&] {
    for (std::size_t i = 0; !over; ++i)
      if (const auto found = store.find(key(i % keys));
          found && found->response.size() != found->version % 300)
        ++wrong;
  });
  for (std::size_t round = 1; round <= 20; ++round)
    for (std::size_t i = 0; i < keys; ++i) {
      Record record = record_of(State::in_progress, at(0), round);
      record.response.assign(round % 300, 'x');
      const auto there = store.insert(key(i), record);
      const Version last = there ? there->version : round;
      if (there && there->state == State::in_progress) ++wrong;
      record.version = last + 1;
      record.response.assign(record.version % 300, 'y');
      if (there ? !store.replace(key(i), last, record) && store.insert(key(i), record).has_value()
                : !store.replace(key(i), last, record))
        ++unfinished_erased;
      const Version unfinished = record.version++;
      record.state = State::succeeded;
      record.response.assign(record.version % 300, 'z');
      record.expires_at = at(static_cast<std::int64_t>(i % 100));
      if (!store.replace(key(i), unfinished, record)) ++unfinished_erased;
    }
  over = true;
  sweeper.join();
  scanner.join();
  watcher.join();
  reader.join();
  CHECK(wrong == 0);
  CHECK(unfinished_erased == 0);
}
