#include <paidonce/testing/transactional_store.hpp>

#include <future>
#include <stdexcept>
#include <thread>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

const IdempotencyKey key("shop", "order-1");

Record record(Version version) {
  Record made;
  made.version = version;
  return made;
}

TransactionalMemoryStore impatient_store() { return TransactionalMemoryStore({.lock_timeout = Duration(0)}); }

void pay(TransactionalMemoryStore::Transaction& transaction) {
  transaction.insert(key, record(1));
  transaction.native()["order-1"] = "paid";
}

auto unavailable() { return support::has_code<Error>(errc::store_unavailable); }
auto busy() { return support::has_code<Error>(errc::store_busy); }

}  // namespace

TEST_CASE("a transaction commits record and rows together", "[testing][transactional_store]") {
  TransactionalMemoryStore store;
  store.transact([&](auto& transaction) {
    pay(transaction);
    CHECK(transaction.find(key) == record(1));
    CHECK(transaction.replace(key, 1, record(2)));
    CHECK_FALSE(transaction.replace(key, 1, record(3)));
    CHECK(transaction.insert(key, record(4)) == record(2));
    CHECK(!store.find(key));
    CHECK(store.rows().empty());
  });
  CHECK(store.find(key) == record(2));
  CHECK(store.rows().at("order-1") == "paid");
}

TEST_CASE("a transaction that throws leaves nothing, and passes on what it threw",
          "[testing][transactional_store]") {
  auto store = impatient_store();
  CHECK_THROWS_AS(store.transact([](auto& transaction) {
    pay(transaction);
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK(!store.find(key));
  CHECK(store.rows().empty());
  CHECK(!store.insert(key, record(5)));
}

TEST_CASE("a commit that fails leaves nothing", "[testing][transactional_store]") {
  auto store = impatient_store();
  store.next_commit(CommitFate::fails);
  CHECK_THROWS_MATCHES(store.transact(pay), Error, unavailable());
  CHECK(store.rows().empty());
  CHECK(!store.insert(key, record(5)));
  store.transact([](auto& transaction) { transaction.native()["order-2"] = "paid"; });
  CHECK(store.rows().size() == 1);
}

TEST_CASE("a commit whose reply is lost has committed all of it", "[testing][transactional_store]") {
  auto store = impatient_store();
  store.next_commit(CommitFate::reply_lost);
  CHECK_THROWS_MATCHES(store.transact(pay), Error, unavailable());
  CHECK(store.rows().size() == 1);
  CHECK(store.insert(key, record(5)) == record(1));
}

TEST_CASE("a commit that hangs holds its locks until it is settled", "[testing][transactional_store]") {
  const auto fate = GENERATE(CommitFate::done, CommitFate::fails);
  auto store = impatient_store();
  store.next_commit(CommitFate::hangs);
  CHECK_THROWS_MATCHES(store.transact(pay), Error, unavailable());
  CHECK(!store.find(key));
  CHECK_THROWS_MATCHES(store.insert(key, record(5)), Error, busy());
  CHECK_THROWS_MATCHES(store.replace(key, 1, record(5)), Error, busy());
  CHECK_THROWS_MATCHES(store.transact([](auto&) { FAIL("called"); }), Error, busy());
  store.settle(fate);
  CHECK(store.rows().size() == (fate == CommitFate::done ? 1U : 0U));
  CHECK(store.insert(key, record(5)).has_value() == (fate == CommitFate::done));
  store.settle(CommitFate::done);
  CHECK(store.rows().size() == (fate == CommitFate::done ? 1U : 0U));
}

TEST_CASE("a conflicting insert waits for the transaction and meets its record",
          "[testing][transactional_store]") {
  TransactionalMemoryStore store({.lock_timeout = std::chrono::minutes(1)});
  std::future<std::optional<Record>> conflicting;
  store.transact([&](auto& transaction) {
    conflicting = std::async(std::launch::async, [&] { return store.insert(key, record(5)); });
    pay(transaction);
  });
  CHECK(conflicting.get() == record(1));
}

TEST_CASE("transactions of many threads go one after the other", "[testing][transactional_store]") {
  TransactionalMemoryStore store({.lock_timeout = std::chrono::minutes(1)});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int step = 0; step < 50; ++step)
        store.transact([](auto& transaction) { transaction.native()["count"] += 'x'; });
    });
  for (auto& thread : threads) thread.join();
  CHECK(store.rows().at("count").size() == 200);
}
