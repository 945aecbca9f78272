// Payments that consist of rows of the store's own database.

#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/fault_store.hpp>
#include <paidonce/testing/manual_clock.hpp>
#include <paidonce/testing/transactional_store.hpp>

#include "support/catch.hpp"
#include "support/tested_bank.hpp"

using namespace paidonce;
using support::has_code;

namespace {

using Bank = support::TestedBank;
using Transaction = Bank::Transaction;

const IdempotencyKey key("bank", "transfer-1");
const Fingerprint request = fingerprint("transfer-1", "4.50", "EUR");

/// A guard over a store with transactions that waits for nobody for long.
struct World {
  Bank bank{TransactionalMemoryStoreOptions{.lock_timeout = Duration(20)}};
  ManualClock clock = {};
  IdempotencyGuard<Bank&, KeyedMutex, ManualClock&> guard{bank, {}, clock};
  int runs = 0;

  /// Books one row, and says what `report` says.
  template <class Report>
  Outcome<std::string> book(Report report, const std::string& row = "booking") {
    return guard.execute_in_transaction(
        key, request, [&](Attempt&, Transaction& transaction) -> PaymentResult<std::string> {
          ++runs;
          transaction.native()[row] += '1';
          return report();
        });
  }
  Outcome<std::string> book() { return book(booked); }
  static PaymentResult<std::string> booked() { return succeeded("booked"); }

  std::size_t rows() const { return bank.rows().size(); }
  std::optional<Record> record() { return bank.find(key); }

  /// The next call settles it, and the row is there once.
  void check_settled() {
    const auto outcome = book();
    CHECK(outcome.succeeded());
    CHECK(outcome.response() == "booked");
    CHECK(bank.rows() == Bank::Rows{{"booking", "1"}});
    CHECK(record()->state == State::succeeded);
    const int before = runs;
    CHECK(book().replayed());
    CHECK(runs == before);
  }
};

/// Leaves a record of an earlier payment for the transaction to be made over.
enum class Over { nothing, a_release, an_expired_success };

void lay(World& world, Over over) {
  if (over == Over::nothing) return;
  Record record;
  const Timestamp now = world.clock.now();
  protocol::begin_first(record, {request, now, std::chrono::seconds(30), 77, "", ""});
  if (over == Over::a_release)
    protocol::release(record, "nothing happened", now, std::chrono::hours(24));
  else
    protocol::complete(record, {State::succeeded, "an old one", "text", now, std::chrono::hours(24)});
  REQUIRE(!world.bank.insert(key, record));
  world.clock.advance(over == Over::a_release ? Duration(1000) : Duration(std::chrono::hours(24)));
}

Over any_ground() { return GENERATE(Over::nothing, Over::a_release, Over::an_expired_success); }

}  // namespace

TEST_CASE("rows and record become visible together", "[guard][transaction]") {
  World world;
  lay(world, any_ground());
  const auto before = world.record();
  const auto outcome = world.book([&]() -> PaymentResult<std::string> {
    CHECK(world.rows() == 0);
    CHECK(world.record() == before);
    return succeeded("booked");
  });
  CHECK(outcome.succeeded());
  CHECK(!outcome.replayed());
  CHECK(outcome.response() == "booked");
  CHECK(world.rows() == 1);
  REQUIRE(world.record());
  CHECK(world.record()->state == State::succeeded);
  CHECK(world.record()->response == "booked");
  if (before) CHECK(world.record()->version > before->version);
}

TEST_CASE("a booking is replayed and not repeated, in a transaction or without", "[guard][transaction]") {
  World world;
  REQUIRE(world.book().succeeded());
  const auto again = world.book();
  CHECK(again.succeeded());
  CHECK(again.replayed());
  CHECK(again.response() == "booked");
  const auto plain = world.guard.execute(key, request, [] { return std::string("plain"); });
  CHECK(plain.replayed());
  CHECK(plain.response() == "booked");
  CHECK(world.runs == 1);
  CHECK(world.rows() == 1);
}

TEST_CASE("another request under the same key books nothing", "[guard][transaction]") {
  World world;
  REQUIRE(world.book().succeeded());
  const auto other = world.guard.execute_in_transaction(
      key, fingerprint("transfer-1", "4.51", "EUR"), [&](Attempt&, Transaction& transaction) -> std::string {
        transaction.native()["other"] = "1";
        return "other";
      });
  CHECK(other.status() == Status::key_reused);
  CHECK(world.rows() == 1);
}

TEST_CASE("a declined booking is committed, rows included", "[guard][transaction]") {
  World world;
  lay(world, any_ground());
  const auto outcome =
      world.book([]() -> PaymentResult<std::string> { return declined("no cover"); }, "refusal");
  CHECK(outcome.declined());
  CHECK(world.bank.rows().contains("refusal"));
  CHECK(world.record()->state == State::declined);
  const auto again = world.book();
  CHECK(again.declined());
  CHECK(again.replayed());
  CHECK(again.response() == "no cover");
}

TEST_CASE("a throw rolls everything back, and the key is free", "[guard][transaction]") {
  World world;
  lay(world, any_ground());
  const auto before = world.record();
  const int thrown = GENERATE(0, 1, 2);
  const auto outcome = world.book([&]() -> PaymentResult<std::string> {
    if (thrown == 0) throw std::runtime_error("constraint violated");
    if (thrown == 1) throw NotExecuted("no account");
    throw 42;
  });
  CHECK(outcome.status() == Status::not_executed);
  CHECK(outcome.cause() != nullptr);
  CHECK(outcome.retry_after() > Duration(0));
  if (thrown == 0) {
    CHECK(outcome.reason() == "constraint violated");
    CHECK_THROWS_AS(std::rethrow_exception(outcome.cause()), std::runtime_error);
  }
  CHECK(world.rows() == 0);
  CHECK(world.record() == before);
  world.check_settled();
}

TEST_CASE("a booking that says that it was not executed is rolled back", "[guard][transaction]") {
  World world;
  const auto outcome = world.book([]() -> PaymentResult<std::string> { return not_executed("no account"); });
  CHECK(outcome.status() == Status::not_executed);
  CHECK(outcome.reason() == "no account");
  CHECK(outcome.cause() == nullptr);
  CHECK(world.rows() == 0);
  CHECK(!world.record());
  world.check_settled();
}

TEST_CASE("a booking that says that it is in doubt is committed so, for a person to resolve",
          "[guard][transaction]") {
  World world;
  const auto outcome = world.book([]() -> PaymentResult<std::string> { return in_doubt("who knows"); });
  CHECK(outcome.status() == Status::in_doubt);
  CHECK(outcome.reason() == "who knows");
  CHECK(world.rows() == 1);
  CHECK(world.record()->state == State::in_doubt);
  CHECK(world.book().status() == Status::in_doubt);
  CHECK(world.runs == 1);
  CHECK(world.guard.resolve<std::string>(key, succeeded("booked"), "ada", "it was").succeeded());
  CHECK(world.book().replayed());
}

TEST_CASE("a transaction has neither provider key nor checkpoint nor lease", "[guard][transaction]") {
  World world;
  const auto outcome =
      world.guard.execute_in_transaction(key, request, [](Attempt& attempt, Transaction&) -> std::string {
        CHECK_THROWS_AS(attempt.provider_key(), std::logic_error);
        CHECK_THROWS_AS(attempt.checkpoint(), std::logic_error);
        CHECK_THROWS_AS(attempt.save_checkpoint("step"), std::logic_error);
        CHECK_THROWS_AS(attempt.extend_lease(), std::logic_error);
        CHECK(!attempt.lease_lost());
        CHECK(attempt.number() == 1);
        CHECK(attempt.key() == key);
        return "booked";
      });
  CHECK(outcome.succeeded());
}

TEST_CASE("a commit whose reply was lost is found to have committed", "[guard][transaction]") {
  World world;
  lay(world, any_ground());
  world.bank.next_commit(CommitFate::reply_lost);
  const auto outcome = world.book();
  CHECK(outcome.succeeded());
  CHECK(!outcome.replayed());
  CHECK(outcome.response() == "booked");
  CHECK(world.runs == 1);
  world.check_settled();
}

TEST_CASE("a commit that failed is found to have failed, and can never come after that",
          "[guard][transaction]") {
  World world;
  lay(world, any_ground());
  const auto before = world.record();
  world.bank.next_commit(CommitFate::fails);
  const auto outcome = world.book();
  CHECK(outcome.status() == Status::not_executed);
  CHECK(outcome.cause() != nullptr);
  CHECK(outcome.evidence() == nullptr);
  CHECK(world.rows() == 0);
  REQUIRE(world.record());  // what conflicts with the transaction: it cannot commit over it
  CHECK(world.record()->state == State::released);
  if (before) CHECK(world.record()->version > before->version);
  world.check_settled();
}

TEST_CASE("a commit that hangs leaves a doubt with evidence, which ends when it is decided",
          "[guard][transaction]") {
  World world;
  lay(world, any_ground());
  const bool commits = GENERATE(false, true);
  world.bank.next_commit(CommitFate::hangs);
  const auto outcome = world.book();
  CHECK(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence());
  CHECK(*outcome.evidence() == "booked");
  CHECK(outcome.evidence_state() == State::succeeded);
  CHECK_THROWS_MATCHES(world.book(), Error, has_code<Error>(errc::store_busy));
  CHECK(world.runs == 1);
  world.bank.settle(commits ? CommitFate::done : CommitFate::fails);
  world.check_settled();
  CHECK(world.runs == (commits ? 1 : 2));
}

TEST_CASE("a lost reply whose check fails too is a doubt with evidence", "[guard][transaction]") {
  ManualClock clock;
  FaultStore<Bank> store{Bank{}};
  IdempotencyGuard<FaultStore<Bank>&, KeyedMutex, ManualClock&> guard(store, {}, clock);
  const auto fate = GENERATE(CommitFate::reply_lost, CommitFate::fails);
  const auto kind = GENERATE(FaultKind::throws_before, FaultKind::throws_after);
  store.inject({.kind = kind, .times = Fault::for_ever});
  store.inner().next_commit(fate);
  int runs = 0;
  const auto book = [&](Attempt&, Transaction& transaction) -> std::string {
    ++runs;
    transaction.native()["booking"] += '1';
    return "booked";
  };
  const auto outcome = guard.execute_in_transaction(key, request, book);
  CHECK(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence());
  CHECK(*outcome.evidence() == "booked");
  store.heal();
  const auto again = guard.execute_in_transaction(key, request, book);
  CHECK(again.succeeded());
  CHECK(again.response() == "booked");
  CHECK(again.replayed() == (fate == CommitFate::reply_lost));
  CHECK(store.inner().rows() == Bank::Rows{{"booking", "1"}});
}

TEST_CASE("a commit that fails before the callable ran is thrown", "[guard][transaction]") {
  World world;
  REQUIRE(world.book().succeeded());
  world.bank.next_commit(CommitFate::fails);
  CHECK_THROWS_MATCHES(world.book(), Error, has_code<Error>(errc::store_unavailable));
  CHECK(world.runs == 1);
  world.check_settled();
}

TEST_CASE("no transaction is made over a payment that runs or is in doubt", "[guard][transaction]") {
  Bank bank;
  ManualClock clock;
  GuardOptions options;
  options.provider_deduplicates = true;  // says nothing of a transaction
  IdempotencyGuard<Bank&, KeyedMutex, ManualClock&> guard(bank, {}, clock, options);
  const auto fate = GENERATE(CommitFate::done, CommitFate::fails);
  const bool abandoned = GENERATE(false, true);
  const auto never = [](Attempt&, Transaction&) -> std::string {
    throw std::logic_error("the callable ran");
  };
  std::optional<Status> meanwhile;
  const auto first = guard.execute(key, request, [&](Attempt&) -> std::string {
    std::thread other([&] { meanwhile = guard.execute_in_transaction(key, request, never).status(); });
    other.join();
    throw std::runtime_error("charged, perhaps");
  });
  CHECK(meanwhile == Status::in_progress);
  REQUIRE(first.status() == Status::in_doubt);
  if (abandoned) {
    Record record = *bank.find(key);
    const Version expected = record.version;
    record.state = State::in_progress;
    record.version += 1;
    REQUIRE(bank.replace(key, expected, record));
    clock.advance(options.lease);
  }
  const auto before = bank.find(key);
  bank.next_commit(fate);
  if (fate == CommitFate::fails) {
    CHECK_THROWS_AS(guard.execute_in_transaction(key, request, never), Error);
    CHECK(bank.find(key) == before);
  }
  const auto second = guard.execute_in_transaction(key, request, never);
  CHECK(second.status() == Status::in_doubt);
  CHECK(second.evidence() == nullptr);
  CHECK(bank.find(key)->state == State::in_doubt);
  CHECK(bank.find(key)->attempts == 1);
}

TEST_CASE("a transaction within a transaction under the same key is refused", "[guard][transaction]") {
  World world;
  const auto outcome = world.book([&]() -> PaymentResult<std::string> {
    CHECK_THROWS_MATCHES(world.book(), Error, has_code<Error>(errc::reentrant_call));
    return succeeded("booked");
  });
  CHECK(outcome.succeeded());
  CHECK(world.runs == 1);
}

namespace {

/// Keeps the times of the last payment.
struct Stopwatch {
  static constexpr bool measures_time = true;
  events::Times* times;

  void on(const events::Completed& completed) noexcept { *times = completed.times; }
  void on(const events::InDoubt& doubt) noexcept { *times = doubt.times; }
  void on(const auto&) noexcept {}
};

}  // namespace

TEST_CASE("what a transaction took is measured for observers that ask for it", "[guard][transaction]") {
  Bank bank(TransactionalMemoryStoreOptions{.lock_timeout = Duration(1)});
  ManualClock clock;
  events::Times times;
  IdempotencyGuard<Bank&, KeyedMutex, ManualClock&, Stopwatch> guard(bank, {}, clock, {}, Stopwatch{&times});
  constexpr std::chrono::microseconds payment(200);
  const auto ends = GENERATE(CommitFate::done, CommitFate::fails, CommitFate::reply_lost, CommitFate::hangs);
  bank.next_commit(ends);
  (void)guard.execute_in_transaction(key, request, [&](Attempt&, Transaction&) -> std::string {
    const auto end = detail::boot_now() + std::chrono::nanoseconds(payment).count();
    while (detail::boot_now() < end) {
    }
    return "booked";
  });
  CHECK(times.beginning.count() > 0);
  CHECK(times.paying >= payment);
  CHECK(times.paying < std::chrono::hours(1));
  if (ends == CommitFate::hangs) CHECK(times.recording >= Duration(1));  // the write that conflicts waited
}

TEST_CASE("no transaction is begun after a shutdown", "[guard][transaction]") {
  World world;
  world.guard.shut_down();
  CHECK_THROWS_MATCHES(world.book(), Error, has_code<Error>(errc::shutting_down));
  CHECK(world.runs == 0);
  CHECK(!world.record());
}

TEST_CASE("of many threads that book under one key one does", "[guard][transaction]") {
  Bank bank(TransactionalMemoryStoreOptions{.lock_timeout = std::chrono::minutes(1)});
  IdempotencyGuard<Bank&> guard(bank);
  std::atomic<int> fresh{0}, replayed{0}, other{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 16; ++thread)
    threads.emplace_back([&] {
      const auto outcome =
          guard.execute_in_transaction(key, request, [&](Attempt&, Transaction& transaction) -> std::string {
            transaction.native()["booking"] += '1';
            return "booked";
          });
      ++(!outcome.succeeded() ? other : outcome.replayed() ? replayed : fresh);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(fresh == 1);
  CHECK(replayed == 15);
  CHECK(other == 0);
  CHECK(bank.rows() == Bank::Rows{{"booking", "1"}});
}

namespace {

/// Runs the body of its first transaction twice, as a loop around serialisation failures does.
struct Repeating {
  enum class First { rolled_back, committed };
  using Transaction = TransactionalMemoryStore::Transaction;
  TransactionalMemoryStore* store;
  First first;
  std::function<void()> between = {};
  int transactions = 0;

  std::optional<Record> find(const IdempotencyKey& of) { return store->find(of); }
  std::optional<Record> insert(const IdempotencyKey& of, const Record& record) {
    return store->insert(of, record);
  }
  bool replace(const IdempotencyKey& of, Version expected, const Record& record) {
    return store->replace(of, expected, record);
  }
  template <class Body>
  void transact(Body&& body) {
    struct Conflict {};
    if (++transactions == 1) try {
        store->transact([&](Transaction& transaction) {
          body(transaction);
          if (first == First::rolled_back) throw Conflict{};
        });
      } catch (const Conflict&) {
        if (between) between();
      }
    store->transact(body);
  }
};

}  // namespace

TEST_CASE("a store that runs a transaction again runs no payment again, and tells no lie",
          "[guard][transaction]") {
  for (const auto first : {Repeating::First::rolled_back, Repeating::First::committed}) {
    TransactionalMemoryStore store;
    IdempotencyGuard guard(Repeating{&store, first, {}}, NoLock());
    int runs = 0;
    const auto pay = [&](Attempt&, Repeating::Transaction& transaction) {
      ++runs;
      transaction.native()["order"] = "paid";
      return succeeded("paid");
    };
    const auto outcome = guard.execute_in_transaction(key, fingerprint(1), pay);
    CHECK(runs == 1);
    CHECK(outcome.succeeded() == (first == Repeating::First::committed));
    CHECK(store.rows().count("order") == (first == Repeating::First::committed ? 1U : 0U));
    if (!outcome.succeeded()) CHECK(outcome.status() == Status::not_executed);
    CHECK(guard.execute_in_transaction(key, fingerprint(1), pay).succeeded());
    CHECK(runs == (first == Repeating::First::committed ? 1 : 2));
  }
}

TEST_CASE("a transaction that is run again decides by what it finds then", "[guard][transaction]") {
  TransactionalMemoryStore store;
  const auto pay = [](Attempt&, TransactionalMemoryStore::Transaction&) { return succeeded("paid"); };
  Record running;
  protocol::begin_first(running, {request, SystemClock().now(), std::chrono::hours(1), 7, "", ""});
  REQUIRE_FALSE(store.insert(key, running));
  const auto completes = [&] {
    Record completed = running;
    protocol::complete(completed,
                       {State::succeeded, "by another", "text", SystemClock().now(), std::chrono::hours(1)});
    REQUIRE(store.replace(key, running.version, completed));
  };
  IdempotencyGuard guard(Repeating{&store, Repeating::First::rolled_back, completes}, NoLock());
  const auto outcome = guard.execute_in_transaction(key, request, pay);
  REQUIRE(outcome.replayed());
  CHECK(outcome.response() == "by another");
}
