#pragma once
// A prepared statement, kept for the life of its connection, and one use of it.

#include <sqlite3.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include <paidonce/stores/sqlite/sqlite_error.hpp>

namespace paidonce::inline v1::detail {

/// Belongs to the thread that has its connection. Dies before that.
class SqliteStatement {
 public:
  SqliteStatement() noexcept = default;
  SqliteStatement(sqlite3* database, std::string_view sql) {
    const int code = sqlite3_prepare_v3(database, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
    if (code != SQLITE_OK) throw_sqlite_error(code, "preparing a statement");
  }
  SqliteStatement(SqliteStatement&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
  SqliteStatement& operator=(SqliteStatement&& other) noexcept {
    std::swap(statement_, other.statement_);
    return *this;
  }
  ~SqliteStatement() { sqlite3_finalize(statement_); }

  sqlite3_stmt* get() const noexcept { return statement_; }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

/// One execution: what is bound stays where it is until the end, nothing is copied. The statement is ready
/// for the next one afterwards, and holds neither lock nor snapshot.
class SqliteRun {
 public:
  SqliteRun(const SqliteStatement& statement, const char* doing) noexcept
      : statement_(statement.get()), doing_(doing) {}
  SqliteRun(const SqliteRun&) = delete;
  SqliteRun& operator=(const SqliteRun&) = delete;
  ~SqliteRun() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

  SqliteRun& bind(int index, std::int64_t value) {
    return check(sqlite3_bind_int64(statement_, index, value));
  }
  SqliteRun& bind(int index, std::string_view bytes) {
    return check(sqlite3_bind_blob64(statement_, index, bytes.empty() ? "" : bytes.data(), bytes.size(),
                                     SQLITE_STATIC));
  }
  SqliteRun& bind_text(int index, std::string_view text) {
    return check(
        sqlite3_bind_text(statement_, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC));
  }

  /// True: there is a row.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    throw_sqlite_error(sqlite3_extended_errcode(sqlite3_db_handle(statement_)), doing_);
  }
  /// To the end; how many rows it changed.
  int changes() {
    while (step()) continue;
    return sqlite3_changes(sqlite3_db_handle(statement_));
  }

  std::int64_t integer(int column) {
    if (sqlite3_column_type(statement_, column) != SQLITE_INTEGER) wrong_type();
    return sqlite3_column_int64(statement_, column);
  }
  /// Valid until the next step.
  std::string_view bytes(int column) {
    if (sqlite3_column_type(statement_, column) != SQLITE_BLOB) wrong_type();
    const void* const data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    if (!data && size > 0) throw std::bad_alloc();
    return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
  }

 private:
  SqliteRun& check(int code) {
    if (code != SQLITE_OK) throw_sqlite_error(code, doing_);
    return *this;
  }
  [[noreturn, gnu::cold]] static void wrong_type() {
    throw Error(errc::store_corrupt,
                "a stored record has a column of another type than this release writes: something else has "
                "written to the store's table");
  }

  sqlite3_stmt* statement_;
  const char* doing_;
};

}  // namespace paidonce::inline v1::detail
