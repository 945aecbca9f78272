// PostgresStore on a real server: what it costs, what it refuses, and what it does about locks, bad rows,
// lost connections and bodies of transactions that misbehave.

#include <paidonce/guard.hpp>
#include <paidonce/stores/postgres.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/pq.hpp"
#include "support/sanitizer.hpp"
#include "support/tcp_proxy.hpp"

using namespace paidonce;

namespace {

using Steady = std::chrono::steady_clock;

IdempotencyKey key(const std::string& text) { return IdempotencyKey("shop", text); }

Record begun(Version version = 1, std::string amount = "4.50 EUR") {
  Record record;
  record.fingerprint = fingerprint(1);
  record.version = version;
  record.attempts = 1;
  record.created_at = record.updated_at = Timestamp(Duration(1'700'000'000'000));
  record.amount = std::move(amount);
  return record;
}

Record paid(Version version) {
  Record record = begun(version);
  record.state = State::succeeded;
  record.response = "receipt";
  record.response_format = "text";
  record.expires_at = Timestamp(Duration(1'700'000'100'000));
  return record;
}

/// A store with a schema of its own, by way of a network that can be cut.
struct Shop {
  TcpProxy network{shared_postgres().port()};
  PostgresStoreOptions options = [] {
    PostgresStoreOptions chosen;
    chosen.schema = PostgresServer::fresh_name("shop");
    return chosen;
  }();
  std::string conninfo = network.conninfo(shared_postgres().conninfo());

  PostgresStore open() {
    PostgresStore store(conninfo, options);
    store.migrate();
    return store;
  }
  std::string table() const { return options.schema + ".payments"; }
};

template <class Body>
errc thrown_by(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return {};
}

/// What the server's state comes to; it has ten seconds.
template <class Condition>
bool comes_true(Condition condition) {
  for (const auto until = Steady::now() + std::chrono::seconds(10); Steady::now() < until;
       std::this_thread::yield())
    if (condition()) return true;
  return false;
}

std::string sql_key(const std::string& text) {
  static const char digits[] = "0123456789abcdef";
  std::string hex = "'\\x";
  const IdempotencyKey of = key(text);
  for (const char c : of.bytes()) {
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[static_cast<unsigned char>(c) & 15];
  }
  return hex + "'";
}

PaymentResult<std::string> pay(Attempt&) { return succeeded(std::string("receipt")); }

/// Holds the only lane's next request while operations of many callers queue behind it, then lets all go.
void queue_up(Shop& shop, PostgresStore& store, const std::vector<std::function<void()>>& calls) {
  shop.network.arm(Cut::request_held);
  std::thread first([&] { store.find(key("the first one, which is held")); });
  REQUIRE(shop.network.await_hit());
  std::vector<std::thread> callers;
  for (const auto& call : calls) callers.emplace_back(call);
  const bool queued = comes_true([&] { return store.stats().waiting == calls.size(); });
  shop.network.release();
  for (std::thread& caller : callers) caller.join();
  first.join();
  REQUIRE(queued);
}

}  // namespace

TEST_CASE("a new payment is two round trips and two commits, a replay one and none", "[postgres][cost]") {
  PostgresServer server;  // transactions of others would be counted, too
  TcpProxy network(server.port());
  PostgresStore store(network.conninfo(server.conninfo()));
  store.migrate();
  IdempotencyGuard guard{store};
  const auto written = [&] {
    return std::stol(server.value("SELECT pg_snapshot_xmax(pg_current_snapshot())"));
  };
  CHECK(guard.execute(key("connects"), fingerprint(1), pay).succeeded());
  network.reset();
  long before = written();
  CHECK(guard.execute(key("hot"), fingerprint(1), pay).succeeded());
  CHECK(network.round_trips() == 2);
  CHECK(written() - before == 2);
  network.reset();
  before = written();
  CHECK(guard.execute(key("hot"), fingerprint(1), pay).replayed());
  CHECK(network.round_trips() == 1);
  CHECK(written() - before == 0);
}

TEST_CASE("a payment in a transaction is two round trips beside the business rows, and one commit",
          "[postgres][transaction][cost]") {
  PostgresServer server;
  TcpProxy network(server.port());
  PostgresStore store(network.conninfo(server.conninfo()));
  store.migrate();
  server.exec("CREATE TABLE ledger (amount text)");
  IdempotencyGuard guard{store};
  const auto written = [&] {
    return std::stol(server.value("SELECT pg_snapshot_xmax(pg_current_snapshot())"));
  };
  const auto book = [](Attempt&, PostgresTransaction& transaction) -> PaymentResult<std::string> {
    PQclear(PQexec(transaction.native(), "INSERT INTO ledger VALUES ('4.50 EUR')"));
    return succeeded(std::string("receipt"));
  };
  CHECK(guard.execute_in_transaction(key("connects"), fingerprint(1), book).succeeded());
  network.reset();
  const long before = written();
  CHECK(guard.execute_in_transaction(key("hot"), fingerprint(1), book).succeeded());
  CHECK(network.round_trips() == 3);
  CHECK(written() - before == 1);
  CHECK(server.value("SELECT count(*) FROM ledger") == "2");
  CHECK(store.find(key("hot"))->response == "receipt");
}

TEST_CASE("operations of many callers go out in one round trip and are told apart", "[postgres][batch]") {
  Shop shop;
  shop.options.lanes = 1;
  PostgresStore store = shop.open();
  REQUIRE_FALSE(store.insert(key("there"), begun()));
  REQUIRE_FALSE(store.insert(key("to replace"), begun()));
  REQUIRE_FALSE(store.insert(key("moved on"), begun(7)));
  std::optional<Record> fresh = begun(9), met, found, absent = begun(9);
  bool replaced = false, stale = true, gone = true;
  const auto before = store.stats();
  const std::size_t trips = shop.network.round_trips();
  queue_up(shop, store,
           {[&] { fresh = store.insert(key("fresh"), begun()); },
            [&] { met = store.insert(key("there"), paid(2)); },
            [&] { replaced = store.replace(key("to replace"), 1, paid(2)); },
            [&] { stale = store.replace(key("moved on"), 1, paid(2)); },
            [&] { gone = store.replace(key("never there"), 1, paid(2)); },
            [&] { found = store.find(key("moved on by nobody else, and not there")); },
            [&] { absent = store.find(key("absent")); }});
  CHECK(store.stats().batches - before.batches == 2);
  CHECK(shop.network.round_trips() - trips == 2);
  CHECK_FALSE(fresh);
  CHECK(met == begun());
  CHECK(replaced);
  CHECK_FALSE(stale);
  CHECK_FALSE(gone);
  CHECK_FALSE(found);
  CHECK_FALSE(absent);
  CHECK(store.find(key("fresh")) == begun());
  CHECK(store.find(key("to replace")) == paid(2));
  CHECK(store.find(key("moved on")) == begun(7));
}

TEST_CASE("a row that the server refuses fails alone, and its batch is stored", "[postgres][batch]") {
  Shop shop;
  shop.options.lanes = 1;
  PostgresStore store = shop.open();
  shared_postgres().exec(
      "CREATE FUNCTION " + shop.options.schema +
      ".refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''secret key''; END'; "
      "CREATE TRIGGER refuse BEFORE INSERT ON " +
      shop.table() + " FOR EACH ROW WHEN (NEW.amount = 'bad') EXECUTE FUNCTION " + shop.options.schema +
      ".refuse()");
  std::vector<std::optional<Record>> stored(6, begun(9));
  std::string bad;
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < stored.size(); ++i)
    calls.emplace_back([&, i] { stored[i] = store.insert(key(std::to_string(i)), begun()); });
  calls.emplace_back([&] {
    try {
      store.insert(key("3 and a half"), begun(1, "bad"));
    } catch (const Error& error) {
      bad = error.what();
    }
  });
  queue_up(shop, store, calls);
  CHECK(bad.find("P0001") != std::string::npos);
  CHECK(bad.find("secret") == std::string::npos);
  for (const auto& each : stored) CHECK_FALSE(each);
  for (std::size_t i = 0; i < stored.size(); ++i) CHECK(store.find(key(std::to_string(i))) == begun());
  CHECK_FALSE(store.find(key("3 and a half")));
  CHECK(store.stats().batches_undone == 1);
}

TEST_CASE("a record that cannot be read fails alone, and its batch is told what it has stored",
          "[postgres][batch]") {
  Shop shop;
  shop.options.lanes = 1;
  PostgresStore store = shop.open();
  for (const char* each : {"2 damaged", "4 damaged"}) CHECK_FALSE(store.insert(key(each), begun()));
  shared_postgres().exec("UPDATE " + shop.table() + " SET attempts = -1");
  std::vector<std::optional<Record>> stored(6, begun(9));
  errc inserted{}, found{};
  std::vector<std::function<void()>> calls;
  for (std::size_t i = 0; i < stored.size(); ++i)
    calls.emplace_back([&, i] { stored[i] = store.insert(key(std::to_string(i)), begun()); });
  calls.emplace_back([&] { inserted = thrown_by([&] { store.insert(key("2 damaged"), begun()); }); });
  calls.emplace_back([&] { found = thrown_by([&] { store.find(key("4 damaged")); }); });
  queue_up(shop, store, calls);
  CHECK(inserted == errc::store_corrupt);
  CHECK(found == errc::store_corrupt);
  for (const auto& each : stored) CHECK_FALSE(each);
  CHECK(store.stats().batches_undone == 0);
}

TEST_CASE("a row that is refused only when all is committed was never stored", "[postgres][batch]") {
  Shop shop;
  PostgresStore store = shop.open();
  shared_postgres().exec(
      "CREATE FUNCTION " + shop.options.schema +
      ".refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''late''; END'; "
      "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON " +
      shop.table() + " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION " + shop.options.schema +
      ".refuse()");
  CHECK(thrown_by([&] { store.insert(key("a"), begun()); }) == errc::store_unavailable);
  CHECK_FALSE(store.find(key("a")));
  CHECK(thrown_by([&] {
          store.transact([&](auto& transaction) { CHECK_FALSE(transaction.insert(key("a"), begun())); });
        }) == errc::store_unavailable);
  CHECK_FALSE(store.find(key("a")));
}

TEST_CASE("a row that a transaction holds keeps nobody waiting but its own caller",
          "[postgres][batch][lock]") {
  Shop shop;
  shop.options.lanes = 1;
  shop.options.lock_timeout = Duration(20'000);
  shop.options.statement_timeout = Duration(30'000);
  PostgresStore store = shop.open();
  REQUIRE_FALSE(store.insert(key("held"), begun()));
  Pq holder(shared_postgres().conninfo());
  REQUIRE(holder.query("BEGIN").ok());
  REQUIRE(holder.query("UPDATE " + shop.table() + " SET version = 2 WHERE key = " + sql_key("held")).ok());

  std::atomic<bool> waited_for{false};
  bool replaced = true;
  std::thread waiter([&] {
    replaced = store.replace(key("held"), 1, paid(3));
    waited_for = true;
  });
  REQUIRE(comes_true([&] {
    return shared_postgres().value(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query "
               "LIKE '%" +
               shop.options.schema + "%'") != "0";
  }));
  for (int i = 0; i < 20; ++i) CHECK_FALSE(store.insert(key(std::to_string(i)), begun()));
  CHECK_FALSE(waited_for);
  REQUIRE(holder.query("COMMIT").ok());
  waiter.join();
  CHECK_FALSE(replaced);  // it has moved on
}

TEST_CASE("a row that stays held is store_busy, and the connection lives", "[postgres][lock]") {
  Shop shop;
  shop.options.lock_timeout = Duration(150);
  PostgresStore store = shop.open();
  Pq holder(shared_postgres().conninfo());
  REQUIRE_FALSE(store.insert(key("held"), begun()));
  REQUIRE(holder.query("BEGIN").ok());
  REQUIRE(
      holder.query("SELECT FROM " + shop.table() + " WHERE key = " + sql_key("held") + " FOR UPDATE").ok());
  CHECK(thrown_by([&] { store.replace(key("held"), 1, paid(2)); }) == errc::store_busy);
  const auto opened = store.stats().connections_opened;
  CHECK(thrown_by([&] { store.replace(key("held"), 1, paid(2)); }) == errc::store_busy);
  CHECK(store.find(key("held")) == begun());
  CHECK(store.stats().connections_opened == opened);
  REQUIRE(holder.query("ROLLBACK").ok());
  CHECK(store.replace(key("held"), 1, paid(2)));
}

TEST_CASE("two batches of the same rows wait for each other in one order", "[postgres][batch][lock]") {
  Shop shop;
  PostgresStore store = shop.open();
  std::vector<IdempotencyKey> keys;
  for (int i = 100; i < 140; ++i) keys.push_back(key(std::to_string(i)));
  for (const IdempotencyKey& each : keys) REQUIRE_FALSE(store.insert(each, begun()));
  const detail::PostgresStatements sql(shop.options);
  Pq holder(shared_postgres().conninfo());
  for (Version version = 1; version <= 3; ++version) {
    // Both get as far as they can; what each has by then, the other must not need.
    REQUIRE(holder.query("BEGIN").ok());
    REQUIRE(
        holder.query("SELECT FROM " + shop.table() + " WHERE key = " + sql_key("120") + " FOR UPDATE").ok());
    std::atomic<std::size_t> replaced{0};
    std::atomic<int> undone{0};
    const auto replace_all = [&] {
      const auto later = [] { return detail::postgres_deadline(Duration(20'000)); };
      detail::PostgresConnection connection(detail::connect(shop.conninfo, {}, later()), Statements::named);
      detail::PostgresBatch batch(sql);
      const Record next = begun(version + 1);
      std::deque<detail::PostgresOperation> operations;
      std::vector<detail::PostgresOperation*> all, open;
      for (const IdempotencyKey& each : keys)
        all.push_back(
            &operations.emplace_back(detail::PostgresOperation::Kind::replace, each, &next, version));
      if (!batch.run(connection, all, "10000", later(), open).empty()) ++undone;
      for (const detail::PostgresOperation& each : operations) replaced += each.replaced ? 1U : 0U;
    };
    std::thread one(replace_all), other(replace_all);
    const bool both_wait = comes_true([&] {
      return shared_postgres().value(
                 "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%" +
                 shop.options.schema + ".%'") == "2";
    });
    REQUIRE(holder.query("ROLLBACK").ok());
    one.join();
    other.join();
    CHECK(both_wait);
    CHECK(undone == 0);
    CHECK(replaced == keys.size());
  }
}

TEST_CASE("two handles that replace the same records in batches lose no update", "[postgres][batch][race]") {
  Shop shop;
  shop.options.lanes = 2;
  PostgresStore one = shop.open(), other(shop.conninfo, shop.options);
  constexpr int records = 6, threads = 8, rounds = 25;
  for (int i = 0; i < records; ++i) REQUIRE_FALSE(one.insert(key(std::to_string(i)), begun()));
  std::atomic<int> done{0};
  std::vector<std::thread> callers;
  for (int thread = 0; thread < threads; ++thread)
    callers.emplace_back([&, thread] {
      PostgresStore& store = thread % 2 ? one : other;
      for (int round = 0; round < rounds; ++round) {
        const IdempotencyKey each = key(std::to_string((thread + round) % records));
        for (;;) {
          const Record there = *store.find(each);
          if (store.replace(each, there.version, begun(there.version + 1))) break;
        }
        ++done;
      }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(done == threads * rounds);
  Version sum = 0;
  for (int i = 0; i < records; ++i) sum += one.find(key(std::to_string(i)))->version;
  CHECK(sum == records + threads * rounds);
}

TEST_CASE("serialization failures are repeated, and no caller sees them", "[postgres][repeat][race]") {
  Shop shop;
  PostgresStore created = shop.open();
  REQUIRE_FALSE(created.insert(key("hot"), begun()));
  PostgresStore store(shop.conninfo + " options='-c default_transaction_isolation=serializable'",
                      shop.options);
  std::vector<std::thread> callers;
  std::atomic<int> failures{0};
  for (int thread = 0; thread < 4; ++thread)
    callers.emplace_back([&] {
      for (int round = 0; round < 15; ++round) try {
          while (true) {
            const Record there = *store.find(key("hot"));
            if (store.replace(key("hot"), there.version, begun(there.version + 1))) break;
          }
        } catch (const Error&) {
          ++failures;
        }
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(failures == 0);
  CHECK(store.find(key("hot"))->version == 61);
}

TEST_CASE("a transaction that its body ends itself is an error of the program", "[postgres][transaction]") {
  Shop shop;
  PostgresStore store = shop.open();
  const auto run = [&](const char* sql) {
    store.transact([&](PostgresTransaction& transaction) {
      CHECK_FALSE(transaction.insert(key(sql), begun()));
      PQclear(PQexec(transaction.native(), sql));
      CHECK(transaction.replace(key(sql), 1, paid(2)));
    });
  };
  CHECK_THROWS_AS(run("ROLLBACK"), std::logic_error);
  CHECK_FALSE(store.find(key("ROLLBACK")));
  CHECK_THROWS_AS(run("COMMIT"), std::logic_error);
  CHECK(store.find(key("COMMIT")) == begun());  // as the body wanted it
  CHECK_THROWS_AS(run("COMMIT; BEGIN"), std::logic_error);
  CHECK(store.find(key("COMMIT; BEGIN")) == begun());
  run("SAVEPOINT a; ROLLBACK TO a");
  CHECK(store.find(key("SAVEPOINT a; ROLLBACK TO a")) == paid(2));
}

TEST_CASE("a body that takes the record from under the transaction commits nothing",
          "[postgres][transaction]") {
  Shop shop;
  PostgresStore store = shop.open();
  CHECK_THROWS_AS(store.transact([&](PostgresTransaction& transaction) {
    CHECK_FALSE(transaction.insert(key("a"), begun()));
    PQclear(PQexec(transaction.native(), ("DELETE FROM " + shop.table()).c_str()));
    CHECK(transaction.replace(key("a"), 1, paid(2)));
  }),
                  std::logic_error);
  CHECK_FALSE(store.find(key("a")));
}

TEST_CASE("a statement of the body that failed is not committed over", "[postgres][transaction]") {
  Shop shop;
  PostgresStore store = shop.open();
  CHECK(thrown_by([&] {
          store.transact([&](PostgresTransaction& transaction) {
            CHECK_FALSE(transaction.insert(key("a"), begun()));
            PQclear(PQexec(transaction.native(), "SELECT 1 / 0"));
            CHECK(transaction.replace(key("a"), 1, paid(2)));
          });
        }) == errc::store_unavailable);
  CHECK_FALSE(store.find(key("a")));
  CHECK_FALSE(store.insert(key("a"), begun()));
}

TEST_CASE("a body that leaves a statement unread loses its transaction", "[postgres][transaction]") {
  Shop shop;
  PostgresStore store = shop.open();
  CHECK_THROWS_AS(store.transact([&](PostgresTransaction& transaction) {
    CHECK_FALSE(transaction.insert(key("a"), begun()));
    CHECK(PQsendQuery(transaction.native(), "SELECT 1") == 1);
  }),
                  std::logic_error);
  CHECK_FALSE(store.find(key("a")));
}

TEST_CASE("what the transaction was told is there for the body's own statements", "[postgres][transaction]") {
  Shop shop;
  PostgresStore store = shop.open();
  store.transact([&](PostgresTransaction& transaction) {
    CHECK_FALSE(transaction.insert(key("a"), begun()));
    CHECK(transaction.replace(key("a"), 1, paid(2)));
    CHECK_FALSE(transaction.replace(key("a"), 1, paid(3)));
    CHECK(transaction.find(key("a")) == paid(2));
    CHECK(transaction.insert(key("a"), begun()) == paid(2));
    PGresult* const version = PQexec(transaction.native(), ("SELECT version FROM " + shop.table()).c_str());
    CHECK(std::string(PQgetvalue(version, 0, 0)) == "2");
    PQclear(version);
    CHECK(transaction.replace(key("a"), 2, paid(3)));
    CHECK(transaction.replace(key("a"), 3, paid(4)));
  });
  CHECK(store.find(key("a")) == paid(4));
}

TEST_CASE("a COMMIT whose reply is lost is unknown, and the guard finds out",
          "[postgres][transaction][lost]") {
  Shop shop;
  PostgresStore store = shop.open();
  shop.network.arm(Cut::before_reply, "COMMIT");
  CHECK(thrown_by([&] {
          store.transact([&](auto& transaction) { CHECK_FALSE(transaction.insert(key("a"), begun())); });
        }) == errc::store_unavailable);
  CHECK(store.find(key("a")) == begun());
  IdempotencyGuard guard{store};
  int ran = 0;
  const auto book = [&](Attempt&, PostgresTransaction&) -> PaymentResult<std::string> {
    ++ran;
    return succeeded(std::string("receipt"));
  };
  shop.network.arm(Cut::before_reply, "COMMIT");
  CHECK(guard.execute_in_transaction(key("b"), fingerprint(1), book).succeeded());
  shop.network.arm(Cut::before_request, "COMMIT");
  CHECK(guard.execute_in_transaction(key("c"), fingerprint(1), book).status() == Status::not_executed);
  CHECK(ran == 2);
}

TEST_CASE("a commit that waits for a standby in vain is never called done",
          "[postgres][transaction][replication]") {
  PostgresServer server;
  PostgresStoreOptions options;
  options.statement_timeout = Duration(300);
  options.lock_timeout = Duration(100);
  PostgresStore store(server.conninfo(), options);
  store.migrate();
  store.transact([&](auto& transaction) { CHECK_FALSE(transaction.insert(key("before"), begun())); });
  server.exec("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  server.exec("SELECT pg_reload_conf()");
  REQUIRE(comes_true([&] { return server.value("SHOW synchronous_standby_names") == "nobody"; }));
  CHECK(thrown_by([&] {
          store.transact([&](auto& transaction) { CHECK_FALSE(transaction.insert(key("a"), begun())); });
        }) == errc::store_unavailable);
  CHECK(thrown_by([&] { store.insert(key("b"), begun()); }) == errc::store_unavailable);
  // Nobody sees it, and it is in the way: so the guard cannot take it for undone.
  CHECK_FALSE(store.find(key("a")));
  CHECK(thrown_by([&] { store.insert(key("a"), begun(7)); }) == errc::store_busy);
}

TEST_CASE("a statement of the body that takes too long is ended by the server",
          "[postgres][transaction][timeout]") {
  Shop shop;
  shop.options.statement_timeout = Duration(200);
  shop.options.lock_timeout = Duration(100);
  PostgresStore store = shop.open();
  store.transact([](PostgresTransaction& transaction) {
    PGresult* const slept = PQexec(transaction.native(), "SAVEPOINT a; SELECT pg_sleep(60)");
    CHECK(std::string(PQresultErrorField(slept, PG_DIAG_SQLSTATE)) == "57014");
    PQclear(slept);
    PQclear(PQexec(transaction.native(), "ROLLBACK TO a"));
    CHECK_FALSE(transaction.insert(key("a"), begun()));
  });
  CHECK(store.find(key("a")) == begun());
}

TEST_CASE("a body that throws leaves nothing, and the connection for others", "[postgres][transaction]") {
  Shop shop;
  shop.options.connections = 1;
  shop.options.acquire_timeout = Duration(50);
  PostgresStore store = shop.open();
  const auto opened = store.stats().connections_opened;
  CHECK_THROWS_AS(store.transact([&](auto& transaction) {
    CHECK_FALSE(transaction.insert(key("a"), begun()));
    // The only connection is in use: by this body.
    CHECK(thrown_by([&] { store.transact([&](auto& second) { second.find(key("a")); }); }) ==
          errc::store_busy);
    throw std::runtime_error("no");
  }),
                  std::runtime_error);
  CHECK_FALSE(store.find(key("a")));
  store.transact([&](auto& transaction) { CHECK_FALSE(transaction.find(key("a"))); });
  CHECK(store.stats().connections_opened == opened);
}

TEST_CASE("a server that stops answering holds nobody beyond the timeouts", "[postgres][timeout]") {
  Shop shop;
  shop.options.statement_timeout = Duration(300);
  shop.options.lock_timeout = Duration(100);
  shop.options.connect_timeout = Duration(300);
  shop.options.reconnect = {Duration(1), Duration(20), Jitter::equal};
  PostgresStore store = shop.open();
  const auto takes = [&](auto call) {
    const auto since = Steady::now();
    CHECK(thrown_by(call) == errc::store_unavailable);
    return Steady::now() - since;
  };
  shop.network.freeze();
  CHECK(takes([&] { store.insert(key("a"), begun()); }) < std::chrono::seconds(5));
  CHECK(takes([&] { store.transact([&](auto& transaction) { transaction.find(key("a")); }); }) <
        std::chrono::seconds(5));
  shop.network.thaw();
  shop.network.cut_all();
  shop.network.swallow();
  for (int i = 0; i < 3; ++i) CHECK(takes([&] { store.find(key("a")); }) < std::chrono::seconds(5));
  shop.network.accept();
  CHECK(comes_true([&] { return thrown_by([&] { store.find(key("a")); }) == errc{}; }));
}

TEST_CASE("a server that is down is not hammered", "[postgres][reconnect]") {
  Shop shop;
  shop.options.connect_timeout = Duration(100);
  shop.options.reconnect = {Duration(20'000), Duration(20'000), Jitter::none};
  PostgresStore store = shop.open();
  shop.network.reset();
  shop.network.refuse();
  shop.network.cut_all();
  const auto since = Steady::now();
  for (int i = 0; i < 200; ++i) CHECK(thrown_by([&] { store.find(key("a")); }) == errc::store_unavailable);
  CHECK(Steady::now() - since < std::chrono::seconds(10));
  CHECK(store.stats().failed_tries == 1);
}

TEST_CASE("connections that were cut while nobody used them cost nobody an error", "[postgres][reconnect]") {
  Shop shop;
  PostgresStore store = shop.open();
  REQUIRE_FALSE(store.insert(key("a"), begun()));
  store.transact([&](auto& transaction) { CHECK(transaction.find(key("a"))); });
  shop.network.cut_all();
  REQUIRE(comes_true([&] { return shop.network.open() == 0; }));
  CHECK(store.replace(key("a"), 1, paid(2)));
  store.transact([&](auto& transaction) { CHECK(transaction.find(key("a")) == paid(2)); });
}

TEST_CASE("a connection that lay idle for long is asked for a sign of life", "[postgres][reconnect]") {
  Shop shop;
  shop.options.idle_check = Duration(1);
  PostgresStore store = shop.open();
  REQUIRE_FALSE(store.insert(key("a"), begun()));
  const auto opened = store.stats().connections_opened;
  shop.network.freeze();  // as a firewall that has forgotten the connection
  std::thread thaw([&] {
    comes_true([&] { return shop.network.connected() > opened; });
    shop.network.thaw();
  });
  CHECK(store.find(key("a")) == begun());
  thaw.join();
  CHECK(store.stats().connections_opened > opened);
}

TEST_CASE("servers that forget, or take no writes, are refused at once", "[postgres][checks]") {
  Shop shop;
  const auto with = [&](const std::string& setting) {
    return shop.conninfo + " options='-c " + setting + "'";
  };
  CHECK(thrown_by([&] { PostgresStore(with("synchronous_commit=off")); }) == errc::unsafe_config);
  PostgresStoreOptions accepting;
  accepting.unsafe = UnsafeConfig::accept;
  PostgresStore accepted(with("synchronous_commit=off"), accepting);
  CHECK(thrown_by([&] { PostgresStore(with("default_transaction_read_only=on")); }) ==
        errc::store_unavailable);
  CHECK(thrown_by([&] { PostgresStore("host=127.0.0.1 port=1"); }) == errc::store_unavailable);
  CHECK(thrown_by([&] { PostgresStore("nonsense"); }) == errc::invalid_options);
}

TEST_CASE("of several hosts, those that are down or hang are passed over", "[postgres][hosts]") {
  TcpProxy hangs(shared_postgres().port());
  hangs.swallow();
  PostgresStoreOptions options;
  options.connect_timeout = Duration(500);
  const std::string server = shared_postgres().conninfo();
  PostgresStore store("host=127.0.0.1,127.0.0.1,127.0.0.1 port=1," + std::to_string(hangs.port()) + "," +
                          std::to_string(shared_postgres().port()) + " user=postgres dbname=postgres",
                      options);
  CHECK(store.stats().connections_opened == 1);
}

TEST_CASE("a schema that is missing says what to do, and many may migrate at once", "[postgres][schema]") {
  Shop shop;
  PostgresStore store(shop.conninfo, shop.options);
  try {
    store.find(key("a"));
    FAIL("there is no schema");
  } catch (const Error& error) {
    CHECK(error.code() == errc::invalid_options);
    CHECK(std::string(error.what()).find("migrate()") != std::string::npos);
  }
  std::vector<std::thread> hosts;
  std::atomic<int> migrated{0};
  for (int i = 0; i < 4; ++i)
    hosts.emplace_back([&] {
      PostgresStore(shop.conninfo, shop.options).migrate();
      ++migrated;
    });
  for (std::thread& host : hosts) host.join();
  CHECK(migrated == 4);
  CHECK_FALSE(store.find(key("a")));
  store.migrate();
  CHECK(shared_postgres().value("SELECT count(*) FROM " + shop.options.schema + ".schema_version") == "1");

  shared_postgres().exec("INSERT INTO " + shop.options.schema + ".schema_version (version) VALUES (2)");
  CHECK(thrown_by([&] { PostgresStore(shop.conninfo, shop.options); }) == errc::unsupported_format);
  CHECK(thrown_by([&] { store.migrate(); }) == errc::unsupported_format);
}

TEST_CASE("who waited for another's migrate sees it, whatever the server's isolation", "[postgres][schema]") {
  Shop shop;
  shop.conninfo += " options='-c default_transaction_isolation=repeatable\\\\ read'";
  Pq before(shared_postgres().conninfo());
  REQUIRE(before.query("BEGIN").ok());
  REQUIRE(
      before.query("SELECT pg_advisory_xact_lock(1885431140, hashtext('" + shop.options.schema + "'))").ok());
  std::vector<std::thread> hosts;
  std::atomic<int> migrated{0};
  for (int i = 0; i < 2; ++i)
    hosts.emplace_back([&] {
      if (thrown_by([&] { PostgresStore(shop.conninfo, shop.options).migrate(); }) == errc{}) ++migrated;
    });
  const bool waiting = comes_true([&] {
    return shared_postgres().value(
               "SELECT count(*) FROM pg_locks WHERE NOT granted AND objid = "
               "(hashtext('" +
               shop.options.schema + "')::bigint & 4294967295)::oid") == "2";
  });
  CHECK(before.query("COMMIT").ok());
  for (std::thread& host : hosts) host.join();
  REQUIRE(waiting);
  CHECK(migrated == 2);
}

TEST_CASE("the schema on paper is the one that migrate makes", "[postgres][schema]") {
  Shop shop;
  PostgresStore store = shop.open();
  const std::string conninfo = shared_postgres().fresh_database();
  const std::string database = Pq(conninfo).query("SELECT current_database()").value;
  std::ifstream file(PAIDONCE_DOCS "/stores/postgres_schema.sql");
  shared_postgres().exec(std::string(std::istreambuf_iterator<char>(file), {}), database);
  const auto described = [&](const std::string& schema, const std::string& in) {
    const std::string sql =
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ("
        "SELECT 'column ' || c.relname || ' ' || attnum || ' ' || attname || ' ' || format_type(atttypid, "
        "atttypmod) "
        "|| ' ' || attnotnull || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '') AS line FROM "
        "pg_attribute a "
        "JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON d.adrelid = attrelid AND d.adnum = "
        "attnum "
        "WHERE attnum > 0 AND relnamespace = '@'::regnamespace "
        "UNION ALL SELECT 'relation ' || relname || ' ' || relkind::text || ' ' || coalesce(array_to_string("
        "reloptions, ','), '') || coalesce(' ' || pg_get_viewdef(oid), '') FROM pg_class WHERE relnamespace "
        "= "
        "'@'::regnamespace UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = '@' "
        "UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE "
        "connamespace = '@'::regnamespace "
        "UNION ALL SELECT 'function ' || pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = "
        "'@'::regnamespace "
        "UNION ALL SELECT 'version ' || version FROM @.schema_version) AS lines";
    std::string text;
    for (const char c : sql)
      if (c == '@')
        text += schema;
      else
        text += c;
    std::string lines = shared_postgres().value(text, in);
    for (std::size_t at; (at = lines.find(schema)) != std::string::npos;)
      lines.replace(at, schema.size(), "SCHEMA");
    return lines;
  };
  const std::string made = described(shop.options.schema, "postgres");
  CHECK(made.find("payments_unfinished") != std::string::npos);
  CHECK(made == described("paidonce", database));
}

TEST_CASE("a role that owns nothing runs everything but migrate", "[postgres][schema][privileges]") {
  Shop shop;
  shop.open();
  const std::string role = PostgresServer::fresh_name("payments");
  std::ifstream file(PAIDONCE_DOCS "/stores/postgres_schema.sql");
  std::string grants = "CREATE ROLE " + role + " LOGIN;";
  int granted = 0;
  for (std::string line; std::getline(file, line);)
    if (const std::size_t at = line.find("GRANT ");
        at != std::string::npos && line.find("TO payments;") != line.npos) {
      line = line.substr(at);
      line.replace(line.find("paidonce"), 8, shop.options.schema);
      line.replace(line.find("TO payments"), 11, "TO " + role);
      grants += line;
      ++granted;
    }
  REQUIRE(granted == 3);
  shared_postgres().exec(grants);

  PostgresStore store(shop.conninfo + " user=" + role, shop.options);
  IdempotencyGuard guard{store};
  CHECK(guard.execute(key("a"), fingerprint(1), pay).succeeded());
  CHECK(guard.execute(key("a"), fingerprint(1), pay).replayed());
  store.transact([&](PostgresTransaction& transaction) {
    CHECK_FALSE(transaction.insert(key("b"), begun()));
    PQclear(PQexec(transaction.native(), "SELECT 1"));
    CHECK(transaction.replace(key("b"), 1, paid(2)));
  });
  std::size_t seen = 0;
  store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++seen > 0; });
  CHECK(seen == 2);
  CHECK(store.erase_expired(Timestamp::max() - Duration(1), 10) == 2);
  shared_postgres().exec("REVOKE UPDATE ON " + shop.table() + " FROM " + role);
  CHECK_FALSE(store.insert(key("c"), begun()));
  CHECK(thrown_by([&] { store.replace(key("c"), 1, paid(2)); }) == errc::invalid_options);
  PostgresStoreOptions elsewhere = shop.options;
  elsewhere.schema += "_2";
  CHECK(thrown_by([&] { PostgresStore(shop.conninfo + " user=" + role, elsewhere).migrate(); }) ==
        errc::invalid_options);
}

TEST_CASE("a lease is extended in place, and only the end of an attempt touches an index",
          "[postgres][schema][cost]") {
  Shop shop;
  {
    PostgresStore store = shop.open();
    REQUIRE_FALSE(store.insert(key("a"), begun(1)));
    for (Version version = 1; version < 4; ++version) {
      Record more = begun(version + 1);
      more.lease_until = Timestamp(Duration(1'800'000'000'000));
      more.checkpoint = "step " + std::to_string(version);
      REQUIRE(store.replace(key("a"), version, more));
    }
    REQUIRE(store.replace(key("a"), 4, paid(5)));
  }  // a session that ends reports what it did
  const std::string updates =
      "SELECT n_tup_upd || ' ' || n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = '" +
      shop.options.schema + "' AND relname = 'payments'";
  CHECK(comes_true([&] { return shared_postgres().value(updates) == "4 3"; }));
  CHECK(shared_postgres().value(updates) == "4 3");
}

TEST_CASE("scans for the unfinished, and sweeps, have an index", "[postgres][scan]") {
  Shop shop;
  PostgresStore store = shop.open();
  const detail::PostgresStatements sql(shop.options);
  Pq client(shared_postgres().conninfo());
  REQUIRE(client.query("SET enable_seqscan = off").ok());
  REQUIRE(client.query("SET enable_bitmapscan = off").ok());
  const auto plan = [&](const std::string& statement, const std::vector<std::string>& parameters) {
    return client.query("EXPLAIN (FORMAT json) " + statement, parameters).value;
  };
  const std::string last = std::to_string(INT64_MAX);
  CHECK(plan(sql.scan_unfinished.text, {"\\x01", "{1,4}", last, "10"}).find("payments_unfinished") !=
        std::string::npos);
  CHECK(plan(sql.scan.text, {"\\x01", "{1,2,3,4,5}", last, "10"}).find("payments_pkey") != std::string::npos);
  const std::string sweep = plan(sql.erase.text, {"17", "10"});
  CHECK(sweep.find("payments_expiry") != std::string::npos);
  CHECK(sweep.find("\"Sort\"") == std::string::npos);
}

TEST_CASE("a plan that was made for a small table is not kept", "[postgres][plans]") {
  Shop shop;
  shop.options.lanes = 1;
  PostgresStore store = shop.open();
  shop.network.reset();
  const auto planned_anew = [&] {
    REQUIRE_FALSE(store.find(key("a")));
    for (const std::string& statement : shop.network.statements())
      if (statement.find("DISCARD PLANS") != std::string::npos) return true;
    return false;
  };
  CHECK(comes_true(planned_anew));
  shop.network.reset();
  CHECK_FALSE(planned_anew());
  CHECK(shop.network.round_trips() == 1);
}

TEST_CASE("batches find their rows by index, also in a table that the planner would rather read whole",
          "[postgres][plans][batch]") {
  Shop shop;
  shop.options.lanes = 1;
  PostgresServer& server = shared_postgres();
  // A session is counted when it is gone.
  const auto counted = [&](const char* what) {
    return std::stoi(server.value("SELECT " + std::string(what) +
                                  " FROM pg_stat_user_tables WHERE relid = '" + shop.table() +
                                  "'::regclass"));
  };
  constexpr int rows = 10;
  {
    PostgresStore store = shop.open();
    for (int row = 0; row < rows; ++row)
      REQUIRE_FALSE(store.insert(key("row " + std::to_string(row)), begun()));
  }
  REQUIRE(comes_true([&] { return counted("n_tup_ins") == rows; }));
  server.exec("VACUUM (ANALYZE) " + shop.table());
  const int before = counted("seq_scan");
  {
    PostgresStore store(shop.conninfo, shop.options);
    std::vector<std::function<void()>> calls;
    for (int row = 0; row < rows; ++row) {
      calls.push_back([&store, row] { store.replace(key("row " + std::to_string(row)), 1, paid(2)); });
      calls.push_back([&store, row] { store.find(key("no row " + std::to_string(row))); });
    }
    queue_up(shop, store, calls);
  }
  REQUIRE(comes_true([&] { return counted("n_tup_upd") == rows; }));
  CHECK(counted("seq_scan") <= before + 1);  // the find that was held up is no batch
}

TEST_CASE("people can read the table", "[postgres][schema]") {
  Shop shop;
  PostgresStore store = shop.open();
  Record record = paid(2);
  record.lease_until = Timestamp::max();
  REQUIRE_FALSE(store.insert(key("order-17"), record));
  const auto rows = shared_postgres().exec(
      "SELECT scope, key, state, amount, expires_at AT TIME ZONE 'UTC', lease_until FROM " +
      shop.options.schema + ".payments_readable");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0] == std::vector<std::string>{"shop", "order-17", "succeeded", "4.50 EUR",
                                            "2023-11-14 22:15:00", "infinity"});
}

TEST_CASE("pages of a scan hold no connection while the visitor runs", "[postgres][scan]") {
  Shop shop;
  shop.options.connections = 1;
  shop.options.acquire_timeout = Duration(50);
  PostgresStore store = shop.open();
  for (int i = 0; i < 150; ++i) REQUIRE_FALSE(store.insert(key(std::to_string(i)), begun()));
  std::size_t visited = 0;
  store.scan({}, [&](const IdempotencyKey& each, const Record&) {
    ++visited;
    store.transact([&](auto& transaction) { CHECK(transaction.find(each)); });
    return true;
  });
  CHECK(visited == 150);
}

TEST_CASE("a sweep leaves what somebody works on for the next one", "[postgres][sweep]") {
  Shop shop;
  PostgresStore store = shop.open();
  for (const char* text : {"a", "b", "c"}) REQUIRE_FALSE(store.insert(key(text), paid(1)));
  const Timestamp later = paid(1).expires_at;
  store.transact([&](PostgresTransaction& transaction) {
    PQclear(PQexec(transaction.native(),
                   ("SELECT FROM " + shop.table() + " WHERE key = " + sql_key("b") + " FOR UPDATE").c_str()));
    CHECK(store.erase_expired(later, 10) == 2);
  });
  CHECK(store.find(key("b")));
  CHECK(store.erase_expired(later, 10) == 1);
}

// ThreadSanitizer follows no fork.
#ifndef PAIDONCE_TEST_THREAD_SANITIZER
TEST_CASE("a forked child is refused, and leaves its parent's connections alone", "[postgres][fork]") {
  Shop shop;
  auto store = std::make_optional(shop.open());
  REQUIRE_FALSE(store->insert(key("a"), begun()));
  const auto opened = store->stats().connections_opened;
  const ::pid_t child = ::fork();
  if (child == 0) {
    const bool refused = thrown_by([&] { store->find(key("a")); }) == errc::store_forked &&
                         thrown_by([&] { store->transact([](auto&) {}); }) == errc::store_forked;
    store.reset();
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(store->find(key("a")) == begun());
  CHECK(store->stats().connections_opened == opened);
}
#endif
