// The store with a memory of completed payments in front: what it answers by itself, what it never does, and
// what it forgets when.

#include <paidonce/stores/cached.hpp>

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/guard.hpp>
#include <paidonce/stores/memory.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

/// A store far away: what it is asked is counted, and something may happen while it answers.
struct Remote {
  MemoryStore below = MemoryStore();
  int finds = 0, inserts = 0, replaces = 0;
  std::function<void()> before = {};  // a call takes effect
  std::function<void()> after = {};   // it took effect, and before the caller hears of it

  int calls() const { return finds + inserts + replaces; }

  std::optional<Record> find(const IdempotencyKey& key) {
    ++finds;
    return answered([&] { return below.find(key); });
  }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    ++inserts;
    return answered([&] { return below.insert(key, record); });
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    ++replaces;
    return answered([&] { return below.replace(key, expected, record); });
  }
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    below.scan(filter, visitor);
  }
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    return answered([&] { return below.erase_expired(now, limit); });
  }

 private:
  template <class Call>
  std::invoke_result_t<const Call&> answered(const Call& call) {
    if (const auto happens = std::exchange(before, {})) happens();
    const auto answer = call();
    if (const auto happens = std::exchange(after, {})) happens();
    return answer;
  }
};

struct BareStore {
  std::optional<Record> find(const IdempotencyKey&) { return {}; }
  std::optional<Record> insert(const IdempotencyKey&, const Record&) { return {}; }
  bool replace(const IdempotencyKey&, Version, const Record&) { return false; }
};

using Cached = CachedStore<Remote&, ManualClock>;
static_assert(ScannableStore<Cached> && SweepableStore<Cached>);
static_assert(Store<CachedStore<BareStore>> && !ScannableStore<CachedStore<BareStore>> &&
              !SweepableStore<CachedStore<BareStore>> && !HolderAwareStore<CachedStore<BareStore>>);
static_assert(!detail::has_local_find<Cached>() && detail::has_local_find<CachedStore<MemoryStore&>>());
static_assert(std::is_move_constructible_v<CachedStore<MemoryStore>> &&
              !std::is_copy_constructible_v<CachedStore<MemoryStore>>);

const IdempotencyKey key("shop", "order-1");
const Fingerprint asked = fingerprint("order-1", 450);
constexpr Duration hour = std::chrono::hours(1);

struct World {
  Remote remote = {};
  ManualClock clock = ManualClock();
  CachedStoreOptions options = {.most_age = 100 * hour, .clock_skew = Duration(0)};
  Cached store{remote, clock, options};

  Record record(State state, Version version, const Fingerprint& of = asked) const {
    Record made;
    made.fingerprint = of;
    made.state = state;
    made.version = version;
    made.created_at = made.updated_at = clock.now();
    made.lease_until = clock.now() + hour;
    if (state != State::in_progress && state != State::in_doubt) made.expires_at = clock.now() + hour;
    made.response = "receipt " + std::to_string(version);
    return made;
  }
  /// Past the handle, as others do.
  void store_remotely(State state, Version version, const IdempotencyKey& at = key) {
    REQUIRE_FALSE(remote.below.insert(at, record(state, version)));
  }
  /// Whether the store is asked for it.
  bool asks_for(const IdempotencyKey& which = key) {
    const int before = remote.finds;
    static_cast<void>(store.find(which));
    return remote.finds != before;
  }
  std::optional<Version> version() {
    const auto found = store.find(key);
    return found ? std::optional(found->version) : std::nullopt;
  }
};

IdempotencyKey numbered(int number) { return {"shop", "number " + std::to_string(number)}; }

}  // namespace

TEST_CASE("a completed record is answered for without a call of the store", "[memory][cached]") {
  World world;
  const State state = GENERATE(State::succeeded, State::declined);
  SECTION("once it was found") {
    world.store_remotely(state, 7);
    CHECK(world.version() == 7);
  }
  SECTION("once an insert has met it") {
    world.store_remotely(state, 7);
    const auto there = world.store.insert(key, world.record(State::in_progress, 8));
    REQUIRE(there);
    CHECK(there->version == 7);
  }
  SECTION("once it was completed here") {
    CHECK_FALSE(world.store.insert(key, world.record(State::in_progress, 1)));
    CHECK(world.store.replace(key, 1, world.record(state, 7)));
  }
  const int calls = world.remote.calls();
  const auto found = world.store.find(key);
  const auto there = world.store.insert(key, world.record(State::in_progress, 8));
  CHECK(world.remote.calls() == calls);
  REQUIRE(found);
  REQUIRE(there);
  CHECK(to_bytes(*found) == to_bytes(*world.remote.below.find(key)));
  CHECK(to_bytes(*there) == to_bytes(*found));
}

TEST_CASE("a guard replays what was completed without a call of the store", "[memory][cached]") {
  World world;
  IdempotencyGuard guard{world.store, KeyedMutex(), world.clock};
  const auto pay = [] { return std::string("receipt"); };
  REQUIRE(guard.execute(key, asked, pay).succeeded());
  CHECK(world.remote.calls() == 2);  // a new payment costs what it did
  const auto again = guard.execute(key, asked, pay);
  CHECK(again.replayed());
  CHECK(again.response() == "receipt");
  CHECK(world.remote.calls() == 2);

  CHECK(guard.execute(key, fingerprint("order-1", 451), pay).status() == Status::key_reused);
  CHECK(world.remote.calls() == 3);

  world.clock.advance(std::chrono::hours(24));
  const auto anew = guard.execute(key, asked, pay);
  CHECK(anew.succeeded());
  CHECK_FALSE(anew.replayed());
  CHECK(guard.execute(key, asked, pay).replayed());
}

TEST_CASE("a duplicate of what is remembered waits for no lock, one of another request does",
          "[memory][cached]") {
  struct CountingLock {
    using Hold = KeyedMutex::Hold;
    std::optional<Hold> acquire(const IdempotencyKey& which, Duration wait) {
      ++acquired;
      return below.acquire(which, wait);
    }
    KeyedMutex below = {};
    int acquired = 0;
  };
  World world;
  CountingLock lock;
  IdempotencyGuard guard(world.store, lock, world.clock);
  const auto pay = [] { return std::string("receipt"); };
  REQUIRE(guard.execute(key, asked, pay).succeeded());
  CHECK(lock.acquired == 1);
  CHECK(guard.execute(key, asked, pay).replayed());
  CHECK(lock.acquired == 1);
  CHECK(world.remote.calls() == 2);
  CHECK(guard.execute(key, fingerprint("order-1", 451), pay).status() == Status::key_reused);
  CHECK(lock.acquired == 2);
  CHECK(world.remote.inserts == 2);
}

TEST_CASE("who asks about a payment that is not remembered is told by the store", "[memory][cached]") {
  World world;
  IdempotencyGuard guard{world.store, KeyedMutex(), world.clock};
  const auto nobody_knows = []() -> PaymentResult<std::string> { return in_doubt("no answer"); };
  REQUIRE(guard.execute(key, asked, nobody_knows).status() == Status::in_doubt);
  const auto settled = [](const Record&) -> PaymentResult<std::string> {
    return succeeded(std::string("r"));
  };
  CHECK(guard.reconcile<std::string>(key, settled).succeeded());
}

TEST_CASE("an insert of another request is the store's to answer", "[memory][cached]") {
  World world;
  world.store_remotely(State::succeeded, 7);
  CHECK(world.version() == 7);
  const Record other = world.record(State::in_progress, 8, fingerprint("order-1", 451));
  CHECK(world.store.insert(key, other).has_value());
  CHECK(world.remote.inserts == 1);
  SECTION("and what it stores is what is found") {  // somebody has deleted what was there
    world.remote.below = MemoryStore();
    CHECK_FALSE(world.store.insert(key, other));
    CHECK(world.version() == 8);
  }
  SECTION("and what it finds unfinished, too") {
    world.remote.below = MemoryStore();
    world.store_remotely(State::in_progress, 9);
    CHECK(world.store.insert(key, other)->version == 9);
    CHECK(world.version() == 9);
  }
  SECTION("and where it does not say, nothing is told") {
    world.remote.after = [] { throw Error(errc::store_unavailable, "no reply"); };
    CHECK_THROWS_AS(world.store.insert(key, other), Error);
    CHECK(world.asks_for());
  }
}

TEST_CASE("what is not completed is asked for each time", "[memory][cached]") {
  World world;
  const State state = GENERATE(State::in_progress, State::in_doubt, State::released);
  Record record = world.record(state, 1);
  record.expires_at = world.clock.now() + hour;
  CHECK_FALSE(world.store.insert(key, record));
  for (Version version = 1; version < 4; ++version) {
    CHECK(world.asks_for());
    const int inserts = world.remote.inserts;
    CHECK(world.store.insert(key, record).has_value());
    CHECK(world.remote.inserts == inserts + 1);
    Record next = record;
    next.version = version + 1;
    CHECK(world.store.replace(key, version, next));
  }
  CHECK(world.store.size().records == 0);
}

TEST_CASE("that there is no record is never remembered", "[memory][cached]") {
  World world;
  CHECK_FALSE(world.store.find(key));
  world.store_remotely(State::succeeded, 7);
  CHECK(world.version() == 7);
}

TEST_CASE("a record is told until its retention is over, less what clocks may differ", "[memory][cached]") {
  World world;
  world.options.clock_skew = Duration(GENERATE(0, 500));
  Cached store{world.remote, world.clock, world.options};
  world.store_remotely(State::succeeded, 7);
  CHECK(store.find(key));
  world.clock.advance(hour - world.options.clock_skew - Duration(1));
  CHECK(store.find(key));
  CHECK(world.remote.finds == 1);
  world.clock.advance(Duration(1));
  CHECK(store.find(key));  // the store still has it
  CHECK(store.insert(key, world.record(State::in_progress, 8)));
  CHECK(world.remote.finds == 2);
  CHECK(world.remote.inserts == 1);
  CHECK(store.find(key));  // and it was not kept again
  CHECK(world.remote.finds == 3);
}

TEST_CASE("a record is told for so long, and then asked for again", "[memory][cached]") {
  World world;
  world.options.most_age = Duration(1000);
  Cached store{world.remote, world.clock, world.options};
  world.store_remotely(State::succeeded, 7);
  CHECK(store.find(key));
  world.clock.advance(Duration(999));
  CHECK(store.find(key));
  CHECK(world.remote.finds == 1);
  world.clock.advance(Duration(1));
  world.remote.below = MemoryStore();
  CHECK_FALSE(store.find(key));
}

TEST_CASE("a replace ends what was told, whatever becomes of it", "[memory][cached]") {
  World world;
  world.store_remotely(State::succeeded, 7);
  CHECK(world.version() == 7);
  const Record anew = world.record(State::in_progress, 8);
  SECTION("it is stored") {
    CHECK(world.store.replace(key, 7, anew));
    CHECK(world.version() == 8);
  }
  SECTION("others were first") {
    REQUIRE(world.remote.below.replace(key, 7, world.record(State::in_progress, 9)));
    CHECK_FALSE(world.store.replace(key, 7, anew));
    CHECK(world.version() == 9);
  }
  SECTION("nobody knows") {
    world.remote.after = [] { throw Error(errc::store_unavailable, "no reply"); };
    CHECK_THROWS_AS(world.store.replace(key, 7, anew), Error);
    CHECK(world.version() == 8);
  }
  SECTION("it is under way") {
    world.remote.before = [&] { CHECK(world.asks_for()); };
    CHECK(world.store.replace(key, 7, anew));
    CHECK(world.version() == 8);  // and what was read meanwhile is not told any more
  }
  SECTION("it is under way, and then fails") {
    world.remote.before = [&] {
      CHECK(world.asks_for());
      world.remote.after = [] { throw Error(errc::store_unavailable, "no reply"); };
    };
    CHECK_THROWS_AS(world.store.replace(key, 7, anew), Error);
    CHECK(world.version() == 8);
  }
}

TEST_CASE("what was read before others wrote is not told after", "[memory][cached]") {
  World world;
  const Record anew = world.record(State::in_progress, 8);
  const auto begin_anew = [&] { REQUIRE(world.store.replace(key, 7, anew)); };
  SECTION("by a find") {
    world.store_remotely(State::succeeded, 7);
    world.remote.after = begin_anew;
    CHECK(world.version() == 7);
  }
  SECTION("by an insert") {
    world.store_remotely(State::succeeded, 7);
    world.remote.after = begin_anew;
    CHECK(world.store.insert(key, anew)->version == 7);
  }
  SECTION("nor what was written before") {
    world.store_remotely(State::in_progress, 6);
    world.remote.after = begin_anew;
    CHECK(world.store.replace(key, 6, world.record(State::succeeded, 7)));
  }
  CHECK(world.version() == 8);
}

TEST_CASE("what was read before it was deleted is not told after", "[memory][cached]") {
  World world;
  world.store_remotely(State::succeeded, 7);
  world.remote.after = [&] {
    world.remote.below = MemoryStore();
    world.store.forget(key);
  };
  CHECK(world.version() == 7);
  CHECK_FALSE(world.store.find(key));
}

TEST_CASE("what is forgotten is asked for again", "[memory][cached]") {
  World world;
  const IdempotencyKey other = numbered(1);
  world.store_remotely(State::succeeded, 7);
  world.store_remotely(State::succeeded, 7, other);
  for (const auto& each : {key, other}) CHECK(world.asks_for(each));
  SECTION("one") {
    world.store.forget(key);
    CHECK_FALSE(world.asks_for(other));
  }
  SECTION("all") {
    world.store.forget_all();
    CHECK(world.store.size().records == 0);
    CHECK(world.store.size().bytes == 0);
    CHECK(world.asks_for(other));
  }
  SECTION("all, and what is on its way") {
    world.store.forget(key);
    world.remote.after = [&] { world.store.forget_all(); };
    CHECK(world.asks_for());
  }
  CHECK(world.asks_for());
}

TEST_CASE("what a sweep erases is not told, whatever time it goes by", "[memory][cached]") {
  World world;
  world.store_remotely(State::succeeded, 7);
  CHECK(world.version() == 7);
  CHECK(world.store.erase_expired(world.clock.now() + hour - Duration(1), 10) == 0);
  CHECK_FALSE(world.asks_for());
  SECTION("by the clock") { world.clock.advance(hour); }
  SECTION("ahead of it") {}
  const Timestamp now = world.clock.now() + hour;
  SECTION("what was read before it") {
    world.store.forget(key);
    world.remote.after = [&] { CHECK(world.store.erase_expired(now, 10) == 1); };
    CHECK(world.version() == 7);
    CHECK_FALSE(world.store.find(key));
    return;
  }
  SECTION("and nobody knows what it has erased") {
    world.remote.after = [] { throw Error(errc::store_unavailable, "no reply"); };
    CHECK_THROWS_AS(world.store.erase_expired(now, 10), Error);
    CHECK_FALSE(world.store.find(key));
    return;
  }
  CHECK(world.store.erase_expired(now, 10) == 1);
  CHECK_FALSE(world.store.find(key));
}

TEST_CASE("no more is kept than there is room for, and what is asked for stays", "[memory][cached]") {
  World world;
  world.options.most_records = 10;
  Cached store{world.remote, world.clock, world.options};
  for (int i = 0; i < 100; ++i) {
    world.store_remotely(State::succeeded, 7, numbered(i));
    CHECK(store.find(numbered(i)));
    CHECK(store.find(numbered(0)));
    CHECK(store.size().records == static_cast<std::size_t>(i < 10 ? i + 1 : 10));
  }
  CHECK(world.remote.finds == 100);  // the first one was never asked for again
  for (int i = 1; i < 100; ++i) CHECK(store.find(numbered(i))->version == 7);
  CHECK(world.remote.finds > 180);
}

TEST_CASE("what is over goes first, however often it was asked for", "[memory][cached]") {
  for (int first = 0; first < 30; first += 3) {  // wherever they stand
    World world;
    world.options.most_records = 2;
    Cached store{world.remote, world.clock, world.options};
    const auto put = [&](int number) {
      world.store_remotely(State::succeeded, 7, numbered(number));
      for (int again = 0; again < 2; ++again) CHECK(store.find(numbered(number)));
    };
    put(first);
    world.clock.advance(hour);
    put(first + 1);
    put(first + 2);
    CHECK(store.find(numbered(first + 1)));
    CHECK(world.remote.finds == 3);
    CHECK(store.size().records == 2);
  }
}

TEST_CASE("no more bytes are kept than there is room for", "[memory][cached]") {
  World world;
  world.options.most_bytes = 4096;
  Cached store{world.remote, world.clock, world.options};
  const auto put = [&](int number, std::size_t size) {
    Record record = world.record(State::succeeded, 7);
    record.response = std::string(size, 'r');
    REQUIRE_FALSE(world.remote.below.insert(numbered(number), record));
    CHECK(store.find(numbered(number))->response.size() == size);
  };
  for (int i = 0; i < 20; ++i) {
    put(i, 1000);
    CHECK(store.size().bytes <= 4096);
  }
  CHECK(store.size().records == 3);
  put(20, 5000);  // greater than all the room: what is there stays
  CHECK(store.size().records == 3);
  put(21, 3000);
  CHECK(store.size().records == 1);
}

TEST_CASE("an answer of the store is not lost for want of a clock", "[memory][cached]") {
  struct Stopping {
    std::atomic<bool>* stopped;
    Timestamp now() const {
      if (*stopped) throw Error(errc::store_unavailable, "the clock stands");
      return Timestamp(hour);
    }
  };
  std::atomic<bool> stopped = false;
  Remote remote;
  CachedStore store{remote, Stopping{&stopped}};
  World world;
  CHECK_FALSE(store.insert(key, world.record(State::in_progress, 1)));
  stopped = true;
  CHECK(store.replace(key, 1, world.record(State::succeeded, 2)));
  CHECK(store.size().records == 0);
}

TEST_CASE("a store may be moved in, and the whole moves", "[memory][cached]") {
  ManualClock clock;
  CachedStore store{MemoryStore(), clock, CachedStoreOptions{.most_records = 100}};
  static_assert(std::is_same_v<decltype(store), CachedStore<MemoryStore, ManualClock&>>);
  World world;
  CHECK_FALSE(store.insert(key, world.record(State::in_progress, 1)));
  CHECK(store.replace(key, 1, world.record(State::succeeded, 2)));
  CachedStore moved(std::move(store));
  CHECK(moved.size().records == 1);
  CHECK(moved.find(key)->version == 2);
  CHECK(moved.store().find(key)->version == 2);

  MemoryStore below;
  CachedStore by_default{below};
  static_assert(std::is_same_v<decltype(by_default), CachedStore<MemoryStore&, SystemClock>>);
  CachedStore with_options{below, CachedStoreOptions{}};
  static_assert(std::is_same_v<decltype(with_options), decltype(by_default)>);
}

TEST_CASE("options that make no sense are refused", "[memory][cached]") {
  const CachedStoreOptions wrong =
      GENERATE(CachedStoreOptions{.most_records = 0}, CachedStoreOptions{.most_bytes = 4095},
               CachedStoreOptions{.most_age = Duration(0)}, CachedStoreOptions{.clock_skew = Duration(-1)});
  CHECK_THROWS_MATCHES(CachedStore(MemoryStore(), wrong), Error,
                       support::has_code<Error>(errc::invalid_options));
}

TEST_CASE("threads never find less than what was acknowledged before they asked", "[memory][cached]") {
  constexpr int keys = 3, readers = 3;
  constexpr Version rounds = 2000;
  MemoryStore below;
  ManualClock clock;
  CachedStore store{below, clock, CachedStoreOptions{.most_records = 2}};
  World world;
  std::atomic<Version> acknowledged[keys] = {};
  std::atomic<int> behind = 0, left = keys;
  const auto write = [&](int which) {
    const IdempotencyKey own = numbered(which);
    static_cast<void>(store.insert(own, world.record(State::in_progress, 1)));
    for (Version version = 1; version < rounds; ++version) {
      acknowledged[which] = version;
      const State next = version % 2 == 0 ? State::in_progress : State::succeeded;
      if (!store.replace(own, version, world.record(next, version + 1))) ++behind;
    }
    --left;
  };
  const auto read = [&] {
    for (int which = 0; left > 0; which = (which + 1) % keys) {
      const Version before = acknowledged[which];
      const auto found = which == 0 ? store.insert(numbered(0), world.record(State::in_progress, 1))
                                    : store.find(numbered(which));
      if (before != 0 && (!found || found->version < before)) ++behind;
    }
  };
  CHECK_FALSE(store.insert(numbered(0), world.record(State::in_progress, 1)));
  std::vector<std::thread> threads;
  for (int i = 0; i < keys; ++i) threads.emplace_back(write, i);
  for (int i = 0; i < readers; ++i) threads.emplace_back(read);
  for (std::thread& thread : threads) thread.join();
  CHECK(behind == 0);
}
