// The outbox suite on the databases, and what is theirs alone.

#include <paidonce/orders/postgres_outbox.hpp>
#include <paidonce/orders/sqlite_outbox.hpp>

#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/testing/manual_clock.hpp>

#include "fault/event.hpp"
#include "support/catch.hpp"
#include "support/pgbouncer.hpp"
#include "support/postgres_server.hpp"
#include "support/scratch_directory.hpp"

#include "outbox_world.hpp"

namespace {

using namespace outbox_suite;

/// On a clock that the test moves.
class SqliteBench : public BenchOf<SqliteBench, SqliteStore, SqliteOutbox<ManualClock>> {
 public:
  using Box = SqliteOutbox<ManualClock>;

  SqliteStore& store() { return store_; }
  Box& box() { return outbox_.box; }
  AnyOutbox& outbox() override { return outbox_; }
  AnyOutbox& keeping(Duration time) override {
    keeping_ = std::make_unique<OutboxOf<Box>>(store_, SqliteOutboxOptions{.keep_delivered = time}, clock_);
    return *keeping_;
  }
  void pass(Duration time) override { clock_.advance(time); }

 private:
  ScratchDirectory directory_;
  SqliteStore store_{directory_ / "shop.db"};
  ManualClock clock_;
  OutboxOf<Box> outbox_{store_, SqliteOutboxOptions{}, clock_};
  std::unique_ptr<OutboxOf<Box>> keeping_;
};

/// On the server's time, past which the tables are moved.
class PostgresBench : public BenchOf<PostgresBench, PostgresStore, PostgresOutbox> {
 public:
  explicit PostgresBench(Isolation isolation = Isolation::server_default)
      : store_(shared_postgres().conninfo(),
               {.schema = schema_, .statement_timeout = 90s, .lock_timeout = 60s, .isolation = isolation}) {
    store_.migrate();
    PostgresOutbox::migrate(store_, options());
    PostgresOutbox::migrate(store_, options());  // again is nothing
  }
  PostgresStore& store() { return store_; }
  PostgresOutbox& box() { return made().box; }
  const std::string& schema() const { return schema_; }
  PostgresOutboxOptions options(Duration keep = 0ms) const {
    return {.keep_delivered = keep, .schema = schema_, .answer_within = 100s};
  }
  AnyOutbox& outbox() override { return made(); }
  AnyOutbox& keeping(Duration time) override {
    keeping_ = std::make_unique<OutboxOf<PostgresOutbox>>(store_, options(time));
    return *keeping_;
  }
  void pass(Duration time) override {
    const std::string by = " - interval '" + std::to_string(time.count()) + " milliseconds'";
    exec("UPDATE " + schema_ + ".outbox_keys SET due_at = due_at" + by);
    exec("UPDATE " + schema_ + ".outbox SET put_at = put_at" + by + ", ended_at = ended_at" + by);
  }
  void exec(const std::string& sql) {
    store_.transact([&](PostgresStore::Transaction& transaction) {
      detail::run_in_transaction(transaction.native(), sql, {}, 60s);
    });
  }

 private:
  OutboxOf<PostgresOutbox>& made() {
    if (!outbox_) outbox_ = std::make_unique<OutboxOf<PostgresOutbox>>(store_, options());
    return *outbox_;
  }

  const std::string schema_ = PostgresServer::fresh_name();
  PostgresStore store_;
  std::unique_ptr<OutboxOf<PostgresOutbox>> outbox_, keeping_;
};

constexpr int benches = 2;
std::unique_ptr<Bench> bench_of(int number) {
  if (number == 0) return std::make_unique<SqliteBench>();
  return std::make_unique<PostgresBench>();
}

}  // namespace

#include "outbox_suite.hpp"

namespace {

struct PostgresWorld : World {
  PostgresWorld() : World(std::make_unique<PostgresBench>()), database(static_cast<PostgresBench&>(bench)) {}
  PostgresBench& database;
};
using Transaction = PostgresStore::Transaction;

std::string read_file(const char* name) {
  std::ifstream file(std::string(PAIDONCE_DOCS "/stores/") + name);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("whoever puts to a key waits for a transaction that has, and not for those that put to others",
          "[outbox][postgres]") {
  PostgresWorld world;
  fault::Event second_is_over;
  Threads second;
  world.database.store().transact([&](Transaction& transaction) {
    world.database.box().put(transaction, "a", "receipt", "1");
    world.put("b", "another key");  // by another transaction, which commits meanwhile
    const auto is_free =
        [&](const std::string& key) {  // as the page on the outbox has it, for other programs
          return shared_postgres().value(
              "SELECT pg_try_advisory_xact_lock(('x' || left(encode(sha256(convert_to('" +
              world.database.schema() + ".outbox:', 'UTF8') || '" + key +
              "'::bytea), 'hex'), 16))::bit(64)::bigint)");
        };
    CHECK(is_free("a") == "f");
    CHECK(is_free("b") == "t");
    second.start([&] {
      world.put("a", "2");
      second_is_over.happen();
    });
    const std::string waiting =
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
        "AND "
        "NOT l.granted AND a.query LIKE '%" +
        world.database.schema() + "%'";
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (shared_postgres().value(waiting) == "0" && second_is_over.count() == 0 &&
           std::chrono::steady_clock::now() < deadline)
      continue;
    CHECK(second_is_over.count() == 0);
    world.drain();
    CHECK(world.receiver.payloads() == Texts{"another key"});
  });
  second.join();
  world.drain();
  CHECK(world.receiver.of("a") == Texts{"1", "2"});
  CHECK(world.receiver.messages[1].id < world.receiver.messages[2].id);
}

TEST_CASE("a key that is emptied while somebody puts to it is looked at again", "[outbox][postgres]") {
  PostgresWorld world;
  world.put("a", "1");
  world.database.store().transact([&](Transaction& transaction) {
    world.database.box().put(transaction, "a", "receipt", "2");
    CHECK(world.drain().delivered == 1);
    CHECK(world.drain().keys == 0);  // it is not asked about again and again
  });
  world.pass(500ms);
  CHECK(world.drain().delivered == 1);
  CHECK(world.receiver.payloads() == Texts{"1", "2"});
  CHECK(shared_postgres().value("SELECT count(*) FROM " + world.database.schema() + ".outbox_keys") == "0");
}

TEST_CASE("an outbox works behind a pooler that shares connections between transactions",
          "[outbox][postgres]") {
  PostgresWorld world;
  Pgbouncer pooler(shared_postgres());
  PostgresStore store(pooler.conninfo("postgres"),
                      {.schema = world.database.schema(), .statements = Statements::unnamed});
  OutboxOf<PostgresOutbox> pooled(store, PostgresOutboxOptions{.schema = world.database.schema()});
  constexpr int writers = 3, each = 10;
  Threads threads;
  for (int writer = 0; writer < writers; ++writer)
    threads.start([&, writer] {
      for (int n = 0; n < each; ++n)
        store.transact([&](Transaction& transaction) {
          pooled.box.put(transaction, "a", std::to_string(writer), std::to_string(n));
        });
    });
  threads.join();
  CHECK(world.relay(pooled, world.options()).drain(world.stop).delivered == writers * each);
  std::int64_t before = 0;
  for (const OutboxMessage& message : world.receiver.messages) {
    CHECK(message.id > before);
    before = message.id;
  }
}

TEST_CASE("an outbox without its tables, of a newer release or in another isolation says so",
          "[outbox][postgres]") {
  const std::string schema = PostgresServer::fresh_name();
  PostgresStore store(shared_postgres().conninfo(), {.schema = schema});
  store.migrate();
  const PostgresOutboxOptions options{.schema = schema}, elsewhere{.schema = schema + "_other"};
  CHECK_THROWS_MATCHES(PostgresOutbox(store, options), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(PostgresOutbox(store, options), Error, support::says<Error>("migrate"));
  for (const PostgresOutboxOptions& each : {options, elsewhere}) {
    PostgresOutbox::migrate(store, each);  // makes the schema, too
    CHECK_NOTHROW(PostgresOutbox(store, each));
  }
  shared_postgres().exec("INSERT INTO " + schema + ".outbox_version (version) VALUES (2)");
  CHECK_THROWS_MATCHES(PostgresOutbox(store, options), Error, has_code<Error>(errc::unsupported_format));
  CHECK_THROWS_MATCHES(PostgresOutbox::migrate(store, options), Error,
                       has_code<Error>(errc::unsupported_format));

  for (const Isolation isolation : {Isolation::repeatable_read, Isolation::serializable}) {
    PostgresBench bench(isolation);
    CHECK_THROWS_MATCHES(bench.outbox(), Error, support::says<Error>("READ COMMITTED"));
  }
  for (const PostgresOutboxOptions& wrong :
       {PostgresOutboxOptions{.schema = "a;b"}, PostgresOutboxOptions{.schema = schema, .table = "Out"},
        PostgresOutboxOptions{.schema = schema, .table = std::string(41, 'o')},
        PostgresOutboxOptions{.keep_delivered = -1ms, .schema = schema}})
    CHECK_THROWS_MATCHES(PostgresOutbox::migrate(store, wrong), Error,
                         has_code<Error>(errc::invalid_options));
}

TEST_CASE("serializable transactions put into an outbox that others relay", "[outbox][postgres]") {
  PostgresWorld world;
  PostgresStore store(shared_postgres().conninfo(),
                      {.schema = world.database.schema(), .isolation = Isolation::serializable});
  world.put("a", "1");
  store.transact(
      [&](Transaction& transaction) { world.database.box().put(transaction, "a", "receipt", "2"); });
  CHECK(world.drain().delivered == 2);
  CHECK(world.receiver.payloads() == Texts{"1", "2"});
}

TEST_CASE("several outboxes share a SQLite file, and one of a newer release is left alone",
          "[outbox][sqlite]") {
  const ScratchDirectory directory;
  SqliteStore store(directory / "shop.db");
  const auto put = [&](auto& outbox, std::string_view payload) {
    store.transact(
        [&](SqliteStore::Transaction& transaction) { outbox.put(transaction, "a", "receipt", payload); });
  };
  SqliteOutbox receipts(store), again(store), letters(store, {.table = "letters"});
  put(receipts, "1");
  CHECK(letters.claim(77, {}).empty());
  CHECK(again.claim(77, {}).size() == 1);
  CHECK_THROWS_MATCHES(SqliteOutbox(store, {.table = "a;b"}), Error, has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(SqliteOutbox(store, {.keep_delivered = -1ms}), Error,
                       has_code<Error>(errc::invalid_options));
  store.transact([](SqliteStore::Transaction& transaction) {
    sqlite3_exec(transaction.native(), "UPDATE paidonce_schema SET version = 2 WHERE component = 'letters'",
                 nullptr, nullptr, nullptr);
  });
  CHECK_THROWS_MATCHES(SqliteOutbox(store, {.table = "letters"}), Error,
                       has_code<Error>(errc::unsupported_format));
}

TEST_CASE("the schema files of the outbox make what the library makes", "[outbox]") {
  std::string sqlite(detail::sqlite_schema_table);
  sqlite.append("\n").append(detail::sqlite_outbox_sql);
  sqlite += "\nINSERT INTO paidonce_schema (component, version) VALUES ('paidonce_outbox', 1);\n";
  CHECK_THAT(read_file("sqlite_outbox_schema.sql"), support::ends_with(sqlite));

  std::string postgres;
  for (const std::string_view step : detail::postgres_outbox_schema_1)
    postgres += "\n" + detail::for_outbox(step, "paidonce", "outbox") + ";\n";
  const auto unbroken = [](std::string text) {  // the file has line breaks where the library has none
    std::string words;
    for (const char c : text)
      if (c != '\n' && c != ' ') words += c;
    return words;
  };
  CHECK_THAT(unbroken(read_file("postgres_outbox_schema.sql")), support::contains(unbroken(postgres)));
}
