#pragma once
// The three operations on one connection, each one statement, in whatever transaction is open.

#include <sqlite3.h>

#include <optional>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/sqlite/row.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// Prepared once for a connection, and destroyed before it.
class SqliteFind {
 public:
  SqliteFind(sqlite3* database, const std::string& table)
      : statement_(database,
                   "SELECT " + std::string(sqlite_record_columns) + " FROM " + table + " WHERE key = ?1") {}

  std::optional<Record> operator()(std::string_view key) const {
    SqliteRun run(statement_, "reading a record");
    if (!run.bind(1, key).step()) return std::nullopt;
    return read_sqlite_record(run, 0);
  }

 private:
  SqliteStatement statement_;
};

/// An insert that went in nowhere although nothing was in its way must not pass for stored.
[[noreturn, gnu::cold]] inline void throw_ignored() {
  throw Error(errc::store_unavailable,
              "the record was not stored, and none is there: a trigger of the store's table drops it");
}

class SqliteRecords {
 public:
  SqliteRecords(sqlite3* database, const std::string& table)
      : find_(database, table),
        insert_(database, "INSERT INTO " + table + " (key, " + std::string(sqlite_record_columns) +
                              ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                              "?16) ON CONFLICT (key) DO NOTHING"),
        replace_(database,
                 "UPDATE " + table +
                     " SET fingerprint = ?2, state = ?3, version = ?4, attempt_id = ?5, attempts = ?6, "
                     "created_at = ?7, updated_at = ?8, lease_until = ?9, expires_at = ?10, amount = ?11, "
                     "description = ?12, checkpoint = ?13, response = ?14, response_format = ?15, note = ?16 "
                     "WHERE key = ?1 AND version = ?17") {}

  std::optional<Record> find(std::string_view key) const { return find_(key); }

  /// Whether it went in: false where there is a record.
  bool insert(std::string_view key, const Record& record) const {
    const SqliteRow row(record);
    SqliteRun run(insert_, "inserting a record");
    row.bind(run.bind(1, key), 2);
    return run.changes() == 1;
  }
  bool replace(std::string_view key, Version expected, const Record& record) const {
    const SqliteRow row(record);
    SqliteRun run(replace_, "replacing a record");
    row.bind(run.bind(1, key), 2);
    return run.bind(2 + SqliteRow::columns, static_cast<std::int64_t>(expected)).changes() == 1;
  }

 private:
  SqliteFind find_;
  SqliteStatement insert_, replace_;
};

}  // namespace paidonce::inline v1::detail
