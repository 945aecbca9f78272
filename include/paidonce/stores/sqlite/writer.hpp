#pragma once
// The one connection that writes: its transactions, and what becomes of them.

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include <paidonce/errors.hpp>
#include <paidonce/stores/sqlite/checkpoints.hpp>
#include <paidonce/stores/sqlite/connection.hpp>
#include <paidonce/stores/sqlite/log_sync.hpp>
#include <paidonce/stores/sqlite/options.hpp>
#include <paidonce/stores/sqlite/records.hpp>
#include <paidonce/stores/sqlite/schema.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// Used by one thread at a time.
class SqliteWriter {
 public:
  /// Makes the tables where they are not there.
  SqliteWriter(const std::string& path, const SqliteStoreOptions& options, SteadyTime deadline)
      : checkpoints_(options.checkpoint_pages),
        connection_(path, options.vfs, SqliteConnection::Use::writes, deadline) {
    sqlite3* const database = connection_.get();
    begin_ = SqliteStatement(database, "BEGIN IMMEDIATE");
    commit_ = SqliteStatement(database, "COMMIT");
    rollback_ = SqliteStatement(database, "ROLLBACK");
    begin();
    try {
      sync_log_anew(database);
    } catch (...) {
      roll_back();
      throw;
    }
    roll_back();
    ensure_sqlite_component(database, sqlite_payments(options.table));
    checkpoints_.attach(database);
    sqlite3_commit_hook(database, &may_commit, this);
    sqlite3_rollback_hook(database, &rolled_back, this);
    records_.emplace(database, options.table);
    const std::string expired = "(state IN (2, 3) OR (state = 5 AND checkpoint = x''))";
    erase_ =
        SqliteStatement(database, "DELETE FROM " + options.table + " WHERE rowid IN (SELECT rowid FROM " +
                                      options.table + " INDEXED BY " + options.table + "_expiry WHERE " +
                                      expired + " AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2)");
  }
  SqliteWriter(const SqliteWriter&) = delete;
  SqliteWriter& operator=(const SqliteWriter&) = delete;

  sqlite3* native() const noexcept { return connection_.get(); }
  SqliteCheckpoints::Counts checkpoints() const noexcept { return checkpoints_.counts(); }
  /// From any thread: whether the disk has failed a write, after which nothing is answered any more.
  bool is_poisoned() const noexcept { return poisoned_.load(std::memory_order_acquire); }

  std::optional<Record> find(std::string_view key) { return records_->find(key); }
  bool insert(std::string_view key, const Record& record) {
    return watched([&] { return records_->insert(key, record); });
  }
  bool replace(std::string_view key, Version expected, const Record& record) {
    return watched([&] { return records_->replace(key, expected, record); });
  }

  /// Until when it waits for other processes.
  void set_deadline(SteadyTime deadline) noexcept { connection_.set_deadline(deadline); }

  void begin() { SqliteRun(begin_, "beginning a transaction").step(); }

  /// Where this throws, nothing is stored as far as anybody can see now; with `store_poisoned` and
  /// `store_unavailable` the next one who opens the database may find it stored.
  void commit() {
    try {
      watched([&] { return SqliteRun(commit_, "committing").step(); });
    } catch (...) {
      roll_back();
      throw;
    }
  }

  void roll_back() noexcept {
    if (sqlite3_get_autocommit(native()) != 0) return;
    sqlite3_step(rollback_.get());
    sqlite3_reset(rollback_.get());
  }

  int erase(Timestamp now, std::size_t limit) {
    SqliteRun run(erase_, "erasing expired records");
    run.bind(1, static_cast<std::int64_t>(now.time_since_epoch().count()));
    run.bind(2, static_cast<std::int64_t>(limit));
    return watched([&] { return run.changes(); });
  }

  /// Runs `body`, which has the connection meanwhile and may do all but end the transaction.
  template <class Body>
  void transact(Body&& body) {
    begin();
    in_body_ = true;
    ended_by_body_ = false;
    try {
      body();
    } catch (...) {
      end_body();
      roll_back();
      throw;
    }
    end_body();
    if (ended_by_body_ || sqlite3_get_autocommit(native()) != 0) {
      roll_back();
      throw std::logic_error(
          "paidonce: the body of a transaction has ended it, by COMMIT or ROLLBACK or after an error that it "
          "passed over: transact() does that when the body returns or throws");
    }
    commit();
  }

 private:
  template <class Write>
  auto watched(const Write& write) -> decltype(write()) {
    try {
      return write();
    } catch (const Error& error) {
      if (error.code() == errc::store_poisoned) poisoned_.store(true, std::memory_order_release);
      throw;
    }
  }

  /// A statement that the body left unfinished would hold its snapshot, and the next BEGIN IMMEDIATE fail.
  void end_body() noexcept {
    in_body_ = false;
    for (sqlite3_stmt* each = nullptr; (each = sqlite3_next_stmt(native(), each));)
      if (sqlite3_stmt_busy(each) != 0) sqlite3_reset(each);
  }

  /// What a body commits by itself is rolled back instead.
  static int may_commit(void* self) noexcept {
    auto& writer = *static_cast<SqliteWriter*>(self);
    if (writer.in_body_) writer.ended_by_body_ = true;
    return writer.in_body_ ? 1 : 0;
  }
  static void rolled_back(void* self) noexcept {
    auto& writer = *static_cast<SqliteWriter*>(self);
    if (writer.in_body_) writer.ended_by_body_ = true;
  }

  std::atomic<bool> poisoned_{false};
  bool in_body_ = false;
  bool ended_by_body_ = false;
  SqliteCheckpoints checkpoints_;
  SqliteConnection connection_;
  std::optional<SqliteRecords> records_;
  SqliteStatement begin_, commit_, rollback_, erase_;
};

}  // namespace paidonce::inline v1::detail
