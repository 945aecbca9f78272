#include <paidonce/testing/fault_store.hpp>

#include <string>
#include <thread>
#include <vector>

#include <paidonce/testing/store_skeleton.hpp>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

const IdempotencyKey key("shop", "order-1");

Record record(Version version, const char* note = "") {
  Record made;
  made.version = version;
  made.note = note;
  return made;
}

void check_unavailable(auto call) {
  CHECK_THROWS_MATCHES(call(), Error, support::has_code<Error>(errc::store_unavailable));
}

struct RefinedStore : SkeletonStore {
  static constexpr bool local_find = true;
  using Transaction = SkeletonStore;
  SkeletonStore transaction = {};

  void scan(const ScanFilter& filter, auto visitor) {
    for (std::size_t i = 0; i < filter.limit; ++i)
      if (!visitor(key, record(i))) return;
  }
  std::size_t erase_expired(Timestamp, std::size_t limit) { return limit; }
  bool holder_gone(const IdempotencyKey&, const Record& asked) { return asked.version == 7; }
  void transact(auto body) { body(transaction); }
};

}  // namespace

static_assert(std::is_same_v<decltype(FaultStore{SkeletonStore{}}), FaultStore<SkeletonStore>>);
static_assert(
    std::is_same_v<decltype(FaultStore{std::declval<SkeletonStore&>()}), FaultStore<SkeletonStore&>>);
static_assert(Store<FaultStore<SkeletonStore>> && Store<FaultStore<SkeletonStore&>>);
static_assert(!ScannableStore<FaultStore<SkeletonStore>> && !SweepableStore<FaultStore<SkeletonStore>> &&
              !HolderAwareStore<FaultStore<SkeletonStore>> && !TransactionalStore<FaultStore<SkeletonStore>>);
static_assert(ScannableStore<FaultStore<RefinedStore>> && SweepableStore<FaultStore<RefinedStore>> &&
              HolderAwareStore<FaultStore<RefinedStore>> && TransactionalStore<FaultStore<RefinedStore&>>);
static_assert(FaultStore<RefinedStore>::local_find && !FaultStore<SkeletonStore>::local_find);

TEST_CASE("a fault store without faults is the store below it", "[testing][fault_store]") {
  FaultStore store{SkeletonStore{}};
  CHECK(!store.find(key));
  CHECK(!store.insert(key, record(1)));
  CHECK(store.insert(key, record(2)) == record(1));
  CHECK(store.replace(key, 1, record(2)));
  CHECK_FALSE(store.replace(key, 1, record(3)));
  CHECK(store.find(key) == record(2));
  CHECK(store.operations() == 6);
  CHECK(store.operations(events::StoreCall::find) == 2);
  CHECK(store.operations(events::StoreCall::insert) == 2);
  CHECK(store.operations(events::StoreCall::replace) == 2);
  CHECK(store.failures() == 0);
}

TEST_CASE("a fault before the operation keeps it from the store", "[testing][fault_store]") {
  SkeletonStore below;
  FaultStore store{below};
  store.inject({FaultKind::throws_before, 1});
  check_unavailable([&] { return store.insert(key, record(1)); });
  CHECK(!below.find(key));
  CHECK(!store.insert(key, record(1)));
  CHECK(store.operations() == 2);
  CHECK(store.failures() == 1);
}

TEST_CASE("a fault after the operation loses its reply alone", "[testing][fault_store]") {
  SkeletonStore below;
  FaultStore store{below};
  store.inject({FaultKind::throws_after, 2, 2});
  CHECK(!store.find(key));
  check_unavailable([&] { return store.insert(key, record(1)); });
  CHECK(below.find(key) == record(1));
  check_unavailable([&] { return store.replace(key, 1, record(2)); });
  CHECK(store.find(key) == record(2));
}

TEST_CASE("a late write lands before the next operation", "[testing][fault_store]") {
  SkeletonStore below;
  FaultStore store{below};
  store.inject({FaultKind::lands_later});
  check_unavailable([&] { return store.insert(key, record(1)); });
  CHECK(!below.find(key));
  CHECK(store.find(key) == record(1));
}

TEST_CASE("a late write with a delay lands after that many operations", "[testing][fault_store]") {
  FaultStore store{SkeletonStore{}};
  store.inject({.kind = FaultKind::lands_later, .delay = 2});
  check_unavailable([&] { return store.insert(key, record(1)); });
  CHECK(!store.find(key));
  CHECK(!store.find(key));
  CHECK(store.find(key) == record(1));
}

TEST_CASE("a late write lands only where its condition still holds", "[testing][fault_store]") {
  SkeletonStore below;
  FaultStore store{below};
  store.inject({FaultKind::lands_later, 1, 2});
  check_unavailable([&] { return store.insert(key, record(1, "late")); });
  CHECK(!below.insert(key, record(1, "first")));
  check_unavailable([&] { return store.replace(key, 1, record(2, "late")); });
  CHECK(below.replace(key, 1, record(2, "first")));
  CHECK(store.find(key) == record(2, "first"));
}

TEST_CASE("late writes land when told to, and healing does not stop them", "[testing][fault_store]") {
  SkeletonStore below;
  FaultStore store{below};
  store.inject({.kind = FaultKind::lands_later, .delay = 100});
  check_unavailable([&] { return store.insert(key, record(1)); });
  store.heal();
  CHECK(!below.find(key));
  store.land();
  CHECK(below.find(key) == record(1));
}

TEST_CASE("a fault for one kind of operation counts and fails that kind alone", "[testing][fault_store]") {
  FaultStore store{SkeletonStore{}};
  store.inject({.at = 2, .only = events::StoreCall::find, .code = errc::store_poisoned});
  CHECK(!store.find(key));
  CHECK(!store.insert(key, record(1)));
  CHECK_THROWS_MATCHES(store.find(key), Error, support::has_code<Error>(errc::store_poisoned));
  CHECK(store.find(key) == record(1));
}

TEST_CASE("a fault for ever lasts until it is healed", "[testing][fault_store]") {
  FaultStore store{SkeletonStore{}};
  store.inject({.at = 2, .times = Fault::for_ever});
  CHECK(!store.find(key));
  for (int i = 0; i < 5; ++i) check_unavailable([&] { return store.find(key); });
  store.heal();
  CHECK(!store.find(key));
  CHECK(store.failures() == 5);
}

TEST_CASE("the probe is called before each operation and may use the store below", "[testing][fault_store]") {
  SkeletonStore below;
  FaultStore store{below};
  std::vector<events::StoreCall> seen;
  store.probe([&](events::StoreCall call, const IdempotencyKey& asked) {
    seen.push_back(call);
    below.insert(asked, record(9));
  });
  CHECK(store.insert(key, record(1)) == record(9));
  CHECK_FALSE(store.replace(key, 1, record(2)));
  CHECK(seen == std::vector{events::StoreCall::insert, events::StoreCall::replace});
}

TEST_CASE("refinements of the store below go through", "[testing][fault_store]") {
  FaultStore store{RefinedStore{}};
  store.inject({.times = Fault::for_ever});
  std::size_t visited = 0;
  store.scan({.limit = 9}, [&](const IdempotencyKey&, const Record&) { return ++visited < 4; });
  CHECK(visited == 4);
  CHECK(store.erase_expired(Timestamp{}, 12) == 12);
  CHECK(store.holder_gone(key, record(7)));
  CHECK_FALSE(store.holder_gone(key, record(8)));
  store.transact([](SkeletonStore& transaction) { transaction.insert(key, record(3)); });
  CHECK(store.inner().transaction.find(key) == record(3));
  CHECK(store.operations() == 0);
}

TEST_CASE("a fault store counts every operation of many threads", "[testing][fault_store]") {
  FaultStore store{SkeletonStore{}};
  store.inject({.kind = FaultKind::lands_later, .at = 500, .times = 100});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int step = 0; step < 250; ++step) {
        const IdempotencyKey mine(std::to_string(i), std::to_string(step));
        try {
          store.insert(mine, record(1));
        } catch (const Error&) {
        }
      }
    });
  for (auto& thread : threads) thread.join();
  store.land();
  CHECK(store.operations() == 1000);
  CHECK(store.failures() == 100);
  for (int i = 0; i < 4; ++i)
    for (int step = 0; step < 250; ++step)
      REQUIRE(store.inner().find(IdempotencyKey(std::to_string(i), std::to_string(step))));
}
