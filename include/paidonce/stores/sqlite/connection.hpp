#pragma once
// One connection to the database, as durable as it says: WAL and synchronous=FULL, checked after setting
// them.

#include <sqlite3.h>
#include <time.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/stores/sqlite/sqlite_error.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Used by one thread at a time. Not movable: SQLite has its address.
class SqliteConnection {
 public:
  enum class Use : std::uint8_t { writes, reads };

  /// Opens a file that is there. Throws `unsafe_config` where it cannot be as durable as it must.
  SqliteConnection(const std::string& path, const std::string& vfs, Use use, SteadyTime deadline)
      : deadline_(deadline) {
    const int code = sqlite3_open_v2(path.c_str(), &database_,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
                                     vfs.empty() ? nullptr : vfs.c_str());
    try {
      if (code != SQLITE_OK)
        throw_sqlite_error(database_ ? sqlite3_extended_errcode(database_) : code, "opening the database");
      sqlite3_extended_result_codes(database_, 1);
      sqlite3_busy_handler(database_, &wait_a_little, this);
      for (int asked = 0; !is_set_up(use); ++asked)
        if (wait_a_little(this, asked) == 0) throw_sqlite_error(SQLITE_BUSY, "opening the database");
    } catch (...) {
      sqlite3_close_v2(database_);
      throw;
    }
  }
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;
  /// Statements that the application has left behind keep it open, and nothing else.
  ~SqliteConnection() { sqlite3_close_v2(database_); }

  sqlite3* get() const noexcept { return database_; }

  /// Until when the calls that follow wait for others.
  void set_deadline(SteadyTime deadline) noexcept { deadline_ = deadline; }

  void run(const char* sql) {
    const int code = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw_sqlite_error(sqlite3_extended_errcode(database_), "setting the database up");
  }
  /// First column of the first row.
  std::string text(std::string_view sql) {
    const SqliteStatement statement(database_, sql);
    SqliteRun once(statement, "setting the database up");
    if (!once.step()) return {};
    const auto* const text = sqlite3_column_text(statement.get(), 0);
    return text ? reinterpret_cast<const char*>(text) : std::string();
  }

 private:
  /// False: somebody else does the same at this moment. SQLite asks no busy handler then.
  bool is_set_up(Use use) {
    try {
      set_up(use);
      return true;
    } catch (const Error& error) {
      if (error.code() != errc::store_busy) throw;
      return false;
    }
  }
  void set_up(Use use) {
    if (use == Use::writes && text("PRAGMA journal_mode=WAL") != "wal")
      throw Error(errc::unsafe_config,
                  "this database cannot have a write-ahead log, for its file system or its version of SQLite "
                  "does not allow for it: use a file on a local disk");
    run("PRAGMA fullfsync=1");  // on macOS; elsewhere without effect
    run("PRAGMA synchronous=FULL");
    if (const std::string now = text("PRAGMA synchronous"); now != "2" && now != "3")
      throw Error(errc::unsafe_config, "this SQLite does not sync its writes (synchronous is not FULL)");
    if (use == Use::reads) run("PRAGMA query_only=1");
    if (sqlite3_db_readonly(database_, "main") != 0)
      throw Error(errc::unsafe_config, "the database file or its directory cannot be written");
  }

  /// SQLite asks this instead of waiting by itself, which it does in steps of up to 100 ms: a lock is held
  /// for the time of a commit, as a rule.
  static int wait_a_little(void* self, int asked) noexcept {
    const auto left = static_cast<SqliteConnection*>(self)->deadline_ - std::chrono::steady_clock::now();
    if (left <= left.zero()) return 0;
    const std::int64_t step = std::int64_t{50'000} << (asked < 6 ? asked : 6);  // 50 µs to 3.2 ms
    const std::int64_t most = std::chrono::nanoseconds(left).count();
    const timespec pause{0, static_cast<long>(step < most ? step : most)};
    ::nanosleep(&pause, nullptr);
    return 1;
  }

  sqlite3* database_ = nullptr;
  SteadyTime deadline_;
};

}  // namespace paidonce::inline v1::detail
