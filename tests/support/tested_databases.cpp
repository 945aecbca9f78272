// The databases under a TestedStore and a TestedBank. A store in SQL is made once, and emptied for the next
// test that asks for one of its kind: there are tests that ask for thousands.

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <paidonce/stores/postgres.hpp>
#include <paidonce/stores/redis.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "fault/fast_directory.hpp"
#include "support/postgres_server.hpp"
#include "support/redis_server.hpp"
#include "support/tested_bank.hpp"
#include "support/tested_store.hpp"

namespace support {
namespace {

using namespace paidonce;

/// What a test may ask for.
struct Kind {
  std::size_t max_record_bytes = MemoryStoreOptions{}.max_record_bytes;
  Duration lock_timeout{5000};
  auto operator<=>(const Kind&) const = default;
};

[[noreturn]] void no_rows(const char* why) {
  throw std::runtime_error(std::string("the rows of a tested store: ") + why);
}

struct SqlitePlace {
  using Native = sqlite3*;
  explicit SqlitePlace(const Kind& kind)
      : store(directory / "payments.sqlite", SqliteStoreOptions{.busy_timeout = kind.lock_timeout,
                                                                .max_record_bytes = kind.max_record_bytes}) {
    store.transact([](SqliteStore::Transaction& transaction) {
      run(transaction.native(), "CREATE TABLE tested_rows (name TEXT PRIMARY KEY, value TEXT NOT NULL)");
    });
  }

  static TestedRows read(Native database) {
    TestedRows rows;
    const auto add = [](void* to, int, char** values, char**) {
      static_cast<TestedRows*>(to)->emplace(values[0], values[1]);
      return 0;
    };
    if (sqlite3_exec(database, "SELECT name, value FROM tested_rows", add, &rows, nullptr) != SQLITE_OK)
      no_rows(sqlite3_errmsg(database));
    return rows;
  }
  static void write(Native database, const std::string& name, const std::string& value) {
    run(database, "INSERT OR REPLACE INTO tested_rows VALUES ('" + name + "', '" + value + "')");
  }
  static void empty(Native database) {
    run(database, "DELETE FROM paidonce_payments; DELETE FROM tested_rows");
  }

  /// Also within a transaction of the store's.
  TestedRows committed() const {
    sqlite3* reader = nullptr;
    const int opened =
        sqlite3_open_v2((directory / "payments.sqlite").c_str(), &reader, SQLITE_OPEN_READONLY, nullptr);
    const std::unique_ptr<sqlite3, int (*)(sqlite3*)> close(reader, sqlite3_close);
    if (opened != SQLITE_OK) no_rows("they cannot be read");
    return read(reader);
  }

  fault::FastDirectory directory = {};
  SqliteStore store;

 private:
  static void run(Native database, const std::string& sql) {
    if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      no_rows(sqlite3_errmsg(database));
  }
};

struct PostgresPlace {
  using Native = PGconn*;
  explicit PostgresPlace(const Kind& kind)
      : schema(PostgresServer::fresh_name("tested")),
        store(shared_postgres().conninfo(),
              PostgresStoreOptions{.schema = schema,
                                   .statement_timeout = kind.lock_timeout + Duration(5000),
                                   .lock_timeout = kind.lock_timeout,
                                   .max_record_bytes = kind.max_record_bytes}) {
    store.migrate();
    store.transact([this](PostgresStore::Transaction& transaction) {
      run(transaction.native(), "CREATE TABLE " + table() + " (name text PRIMARY KEY, value text NOT NULL)");
    });
  }

  TestedRows read(Native connection) const {
    TestedRows rows;
    PGresult* const result = PQexec(connection, ("SELECT name, value FROM " + table()).c_str());
    const bool done = PQresultStatus(result) == PGRES_TUPLES_OK;
    for (int row = 0; row < PQntuples(result); ++row)
      rows.emplace(PQgetvalue(result, row, 0), PQgetvalue(result, row, 1));
    PQclear(result);
    if (!done) no_rows(PQerrorMessage(connection));
    return rows;
  }
  void write(Native connection, const std::string& name, const std::string& value) const {
    run(connection, "INSERT INTO " + table() + " VALUES ('" + name + "', '" + value +
                        "') ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value");
  }
  void empty(Native connection) const {
    run(connection, "DELETE FROM " + schema + ".payments; DELETE FROM " + table());
  }

  TestedRows committed() {
    TestedRows rows;
    store.transact([&](PostgresStore::Transaction& transaction) { rows = read(transaction.native()); });
    return rows;
  }

  const std::string schema;
  PostgresStore store;

 private:
  std::string table() const { return schema + ".tested_rows"; }
  static void run(Native connection, const std::string& sql) {
    PGresult* const result = PQexec(connection, sql.c_str());
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!done) no_rows(PQerrorMessage(connection));
  }
};

/// One for each test: whoever empties a RedisStore from outside makes it refuse what begins.
struct RedisPlace {
  explicit RedisPlace(const Kind& kind)
      : store(shared_redis().uri(), RedisStoreOptions{.prefix = RedisServer::fresh_prefix(),
                                                      .max_record_bytes = kind.max_record_bytes,
                                                      .fsync = Fsync::always}) {}
  RedisStore store;
};

/// An empty store, which goes back to those that wait to be lent when nobody has it any more.
template <class Place>
std::shared_ptr<Place> lend(const Kind& kind) {
  static std::mutex mutex;
  static std::map<Kind, std::vector<std::unique_ptr<Place>>> idle;
  std::unique_ptr<Place> lent;
  {
    const std::lock_guard lock(mutex);
    if (auto& fitting = idle[kind]; !fitting.empty()) {
      lent = std::move(fitting.back());
      fitting.pop_back();
    }
  }
  if (lent)
    lent->store.transact([&](auto& transaction) { lent->empty(transaction.native()); });
  else
    lent = std::make_unique<Place>(kind);
  const auto give_back = [kind](Place* back) {
    const std::lock_guard lock(mutex);
    idle[kind].emplace_back(back);
  };
  return std::shared_ptr<Place>(lent.release(), give_back);
}

template <class Place>
class Tested final : public TestedBackend {
 public:
  explicit Tested(std::shared_ptr<Place> place) : place_(std::move(place)) {}
  std::optional<Record> find(const IdempotencyKey& key) override { return place_->store.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) override {
    return place_->store.insert(key, record);
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) override {
    return place_->store.replace(key, expected, record);
  }
  void scan(const ScanFilter& filter, const TestedVisitor& visitor) override {
    place_->store.scan(filter, visitor);
  }
  std::size_t erase_expired(Timestamp now, std::size_t limit) override {
    return place_->store.erase_expired(now, limit);
  }

 private:
  std::shared_ptr<Place> place_;
};

template <class Place>
class TestedBankOf final : public TestedBankBackend {
 public:
  using Transaction = typename decltype(Place::store)::Transaction;

  explicit TestedBankOf(const Kind& kind) : place_(lend<Place>(kind)) {}
  ~TestedBankOf() override { settle(CommitFate::fails); }

  std::optional<Record> find(const IdempotencyKey& key) override { return place_->store.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) override {
    return place_->store.insert(key, record);
  }
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) override {
    return place_->store.replace(key, expected, record);
  }
  TestedRows rows() override { return place_->committed(); }

  void next_commit(CommitFate fate) override {
    const std::lock_guard lock(mutex_);
    fate_ = fate;
  }
  void settle(CommitFate fate) override {
    if (!hanging_.joinable()) return;
    verdict_.set_value(fate);
    hanging_.join();
  }

  /// A commit takes its fate when its transaction begins: none of these tests has two at once and cares.
  void transact(const Body& body) override {
    const CommitFate fate = [&] {
      const std::lock_guard lock(mutex_);
      return std::exchange(fate_, CommitFate::done);
    }();
    if (fate == CommitFate::hangs) return hang(body);
    try {
      place_->store.transact([&](Transaction& inner) {
        work(inner, body);
        if (fate == CommitFate::fails) throw Undone{};
      });
    } catch (const Undone&) {
    }
    if (fate != CommitFate::done) lost();
  }

 private:
  struct Undone {};

  [[noreturn]] static void lost() {
    throw Error(errc::store_unavailable, "the connection was lost while the transaction was committed");
  }

  /// The body, and what it has changed among the rows.
  void work(Transaction& inner, const Body& body) {
    TestedRows rows = place_->read(inner.native());
    const TestedRows before = rows;
    TestedTransactionOf transaction(inner, rows);
    body(transaction);
    const auto native = inner.native();  // and with it, what was not sent yet
    for (const auto& [name, value] : rows)
      if (const auto old = before.find(name); old == before.end() || old->second != value)
        place_->write(native, name, value);
  }

  /// The transaction belongs to another thread, which holds it open; the body runs here.
  void hang(const Body& body) {
    std::promise<Transaction*> begun;
    std::promise<void> worked;
    auto inner = begun.get_future();
    verdict_ = {};
    hanging_ = std::thread([this, begun = std::move(begun), done = worked.get_future(),
                            verdict = verdict_.get_future()]() mutable {
      bool handed_over = false;
      try {
        place_->store.transact([&](Transaction& transaction) {
          handed_over = true;
          begun.set_value(&transaction);
          done.get();
          if (verdict.get() != CommitFate::done) throw Undone{};
        });
      } catch (...) {  // undone, by whoever
        if (!handed_over) begun.set_exception(std::current_exception());
      }
    });
    try {
      work(*inner.get(), body);
    } catch (...) {
      worked.set_exception(std::current_exception());
      hanging_.join();
      throw;
    }
    worked.set_value();
    lost();
  }

  std::shared_ptr<Place> place_;
  std::mutex mutex_;
  CommitFate fate_ = CommitFate::done;
  std::promise<CommitFate> verdict_;
  std::thread hanging_;
};

[[noreturn]] void unknown(const std::string& name) {
  throw std::logic_error("PAIDONCE_TESTED_STORE names no store that is known: " + name);
}

}  // namespace

std::shared_ptr<TestedBackend> tested_database(const std::string& name, std::size_t max_record_bytes) {
  const Kind kind{.max_record_bytes = max_record_bytes};
  if (name == "sqlite") return std::make_shared<Tested<SqlitePlace>>(lend<SqlitePlace>(kind));
  if (name == "postgres") return std::make_shared<Tested<PostgresPlace>>(lend<PostgresPlace>(kind));
  if (name == "redis") return std::make_shared<Tested<RedisPlace>>(std::make_shared<RedisPlace>(kind));
  unknown(name);
}

std::shared_ptr<TestedBankBackend> tested_bank_database(const std::string& name,
                                                        const TransactionalMemoryStoreOptions& options) {
  const Kind kind{.lock_timeout = options.lock_timeout};
  if (name == "sqlite") return std::make_shared<TestedBankOf<SqlitePlace>>(kind);
  if (name == "postgres") return std::make_shared<TestedBankOf<PostgresPlace>>(kind);
  unknown(name);
}

}  // namespace support
