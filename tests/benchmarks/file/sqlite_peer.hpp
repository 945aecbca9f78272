#pragma once
// SQLite as it is used for this by most: WAL, synchronous=FULL, a connection and prepared statements for each
// thread. Either write is a transaction of its own. A statement that writes takes the write lock as its first
// step, as BEGIN IMMEDIATE would, and waits for it by the busy timeout; two statements less for each.

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"

namespace file_benchmark {

class SqliteConnection {
 public:
  explicit SqliteConnection(const std::string& path) {
    check(sqlite3_open_v2(path.c_str(), &database_,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr));
    check(sqlite3_busy_timeout(database_, 60'000));
    run("PRAGMA journal_mode=WAL");
    run("PRAGMA synchronous=FULL");
    run("CREATE TABLE IF NOT EXISTS payments("
        "key BLOB PRIMARY KEY, state INTEGER NOT NULL, version INTEGER NOT NULL, record BLOB NOT NULL) "
        "WITHOUT ROWID");
    insert_ = prepare("INSERT INTO payments VALUES(?1, 1, 1, ?2) ON CONFLICT DO NOTHING");
    update_ =
        prepare("UPDATE payments SET state = 2, version = 2, record = ?2 WHERE key = ?1 AND version = 1");
  }
  ~SqliteConnection() {
    sqlite3_finalize(insert_);
    sqlite3_finalize(update_);
    sqlite3_close(database_);
  }
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  void begin(std::string_view key) { write(insert_, key, begun_bytes()); }
  void complete(std::string_view key) { write(update_, key, completed_bytes()); }
  void run(const char* sql) { check(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr)); }

 private:
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
    return statement;
  }
  void write(sqlite3_stmt* statement, std::string_view key, std::string_view record) {
    sqlite3_bind_blob(statement, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, record.data(), static_cast<int>(record.size()), SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_changes(database_) != 1) check(SQLITE_ERROR);
    sqlite3_reset(statement);
  }
  void check(int result) const {
    if (result != SQLITE_OK) throw std::runtime_error(std::string("SQLite: ") + sqlite3_errmsg(database_));
  }

  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* update_ = nullptr;
};

class SqlitePeer final : public Peer {
 public:
  explicit SqlitePeer(const Setup& setup) {
    for (std::size_t i = 0; i < setup.width.threads; ++i)
      connections_.push_back(std::make_unique<SqliteConnection>(setup.directory / "payments.db"));
  }
  void pay(Lane& lane) override {
    SqliteConnection& connection = *connections_[lane.number()];
    lane.pay_one_by_one([&](std::uint64_t id) {
      const KeyText key(id);
      connection.begin(key.view());
      connection.complete(key.view());
    });
  }

 private:
  std::vector<std::unique_ptr<SqliteConnection>> connections_;
};

}  // namespace file_benchmark
