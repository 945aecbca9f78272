// The snippets about choosing and tending a store.

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/cached.hpp>

#include <iostream>

#include "support/catch.hpp"

using namespace paidonce;

TEST_CASE("a store in memory is bounded, swept and listed", "[docs]") {
  // [memory]
  MemoryStore store{MemoryStoreOptions{.max_records = 1'000'000, .max_record_bytes = 64 * 1024}};
  IdempotencyGuard guard{store};  // refers to it: the store outlives the guard
  // [/memory]
  const auto paid = guard.execute(IdempotencyKey("shop", "1"), fingerprint("a"), [] { return 1; },
                                  {.lease = Duration(1), .retention = Duration(2)});
  REQUIRE(paid.succeeded());
  const auto doubt = guard.execute(IdempotencyKey("shop", "2"), fingerprint("a"),
                                   []() -> PaymentResult<int> { return in_doubt("no reply"); });
  REQUIRE(doubt.status() == Status::in_doubt);

  std::size_t listed = 0;
  // [scan]
  store.scan({.states = {State::in_doubt}}, [&](const IdempotencyKey& key, const Record& record) {
    std::cerr << key.text() << ": " << record.amount << ", " << record.note << '\n';
    ++listed;
    return true;  // go on
  });
  // [/scan]
  CHECK(listed == 1);

  const Timestamp now = SystemClock{}.now() + Duration(1000);
  // [sweep]
  while (store.erase_expired(now, 1000) == 1000) {
  }
  // [/sweep]
  CHECK_FALSE(store.find(IdempotencyKey("shop", "1")));
  CHECK(store.find(IdempotencyKey("shop", "2")));
}

TEST_CASE("a memory of completed payments answers for a store that is far away", "[docs]") {
  MemoryStore far_away;
  // [cached]
  CachedStoreOptions options;
  options.most_records = 100'000;
  IdempotencyGuard guard{CachedStore{far_away, options}};
  // [/cached]
  const IdempotencyKey key("shop", "1");
  REQUIRE(guard.execute(key, fingerprint("a"), [] { return 1; }).succeeded());
  far_away = MemoryStore();
  CHECK(guard.execute(key, fingerprint("a"), [] { return 2; }).replayed());
}
