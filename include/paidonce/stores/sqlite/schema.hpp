#pragma once
// The tables, and how they come to be: in one transaction, once, whoever opens the database first. Parts that
// share a database have a row each in `paidonce_schema`. docs/stores/sqlite_schema.sql has the same text for
// those whose schema is made by others.

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/stores/sqlite/sqlite_error.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// A part of the library that has tables of its own: its name in `paidonce_schema`, its version, and the
/// statements that make it.
struct SqliteComponent {
  std::string name;
  std::int64_t version;
  std::string sql;
};

inline constexpr std::string_view sqlite_schema_table =
    R"(CREATE TABLE IF NOT EXISTS paidonce_schema (
  component TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL
) WITHOUT ROWID;
)";

/// Times are milliseconds since 1970, unsigned numbers two's complement of 64 bits; `state` is 1 in progress,
/// 2 succeeded, 3 declined, 4 in doubt, 5 released. `key` is IdempotencyKey::bytes().
inline constexpr std::string_view sqlite_payments_sql =
    R"(CREATE TABLE paidonce_payments (
  key BLOB NOT NULL PRIMARY KEY CHECK (typeof(key) = 'blob'),
  fingerprint BLOB NOT NULL CHECK (typeof(fingerprint) = 'blob' AND length(fingerprint) = 33),
  state INTEGER NOT NULL CHECK (typeof(state) = 'integer' AND state BETWEEN 1 AND 5),
  version INTEGER NOT NULL CHECK (typeof(version) = 'integer'),
  attempt_id INTEGER NOT NULL CHECK (typeof(attempt_id) = 'integer'),
  attempts INTEGER NOT NULL CHECK (typeof(attempts) = 'integer' AND attempts BETWEEN 0 AND 4294967295),
  created_at INTEGER NOT NULL CHECK (typeof(created_at) = 'integer'),
  updated_at INTEGER NOT NULL CHECK (typeof(updated_at) = 'integer'),
  lease_until INTEGER NOT NULL CHECK (typeof(lease_until) = 'integer'),
  expires_at INTEGER NOT NULL CHECK (typeof(expires_at) = 'integer'),
  amount BLOB NOT NULL CHECK (typeof(amount) = 'blob'),
  description BLOB NOT NULL CHECK (typeof(description) = 'blob'),
  checkpoint BLOB NOT NULL CHECK (typeof(checkpoint) = 'blob'),
  response BLOB NOT NULL CHECK (typeof(response) = 'blob'),
  response_format BLOB NOT NULL CHECK (typeof(response_format) = 'blob'),
  note BLOB NOT NULL CHECK (typeof(note) = 'blob')
);

CREATE INDEX paidonce_payments_unfinished ON paidonce_payments (key) WHERE state IN (1, 4);

CREATE INDEX paidonce_payments_expiry ON paidonce_payments (expires_at)
  WHERE state IN (2, 3) OR (state = 5 AND checkpoint = x'');

CREATE VIEW paidonce_payments_readable AS
WITH sized AS (
  SELECT (instr('0123456789ABCDEF', substr(hex(substr(key, 1, 1)), 1, 1)) - 1) * 16
       + (instr('0123456789ABCDEF', substr(hex(substr(key, 1, 1)), 2, 1)) - 1) AS scope_size, *
  FROM paidonce_payments
)
SELECT CAST(substr(key, 2, scope_size) AS TEXT) AS scope,
       CAST(substr(key, 2 + scope_size) AS TEXT) AS key,
       CASE state WHEN 1 THEN 'in_progress' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'declined'
                  WHEN 4 THEN 'in_doubt' WHEN 5 THEN 'released' END AS state,
       CAST(amount AS TEXT) AS amount,
       CAST(description AS TEXT) AS description,
       attempts,
       strftime('%Y-%m-%d %H:%M:%f', created_at / 1000.0, 'unixepoch') AS created_at,
       strftime('%Y-%m-%d %H:%M:%f', updated_at / 1000.0, 'unixepoch') AS updated_at,
       strftime('%Y-%m-%d %H:%M:%f', lease_until / 1000.0, 'unixepoch') AS lease_until,
       CASE expires_at WHEN 0 THEN NULL
            ELSE strftime('%Y-%m-%d %H:%M:%f', expires_at / 1000.0, 'unixepoch') END AS expires_at,
       CAST(response AS TEXT) AS response,
       CAST(response_format AS TEXT) AS response_format,
       CAST(note AS TEXT) AS note,
       version
FROM sized;
)";

/// The table's name in its default text, replaced by another.
inline std::string for_table(std::string_view sql, std::string_view table) {
  constexpr std::string_view name = "paidonce_payments";
  std::string text;
  for (std::size_t at = 0;;) {
    const std::size_t next = sql.find(name, at);
    text.append(sql.substr(at, next - at));
    if (next == std::string_view::npos) return text;
    text.append(table);
    at = next + name.size();
  }
}

inline SqliteComponent sqlite_payments(std::string_view table) {
  return {std::string(table), 1, for_table(sqlite_payments_sql, table)};
}

inline void run_sql(sqlite3* database, const std::string& sql, const char* doing) {
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    throw_sqlite_error(sqlite3_extended_errcode(database), doing);
}

/// Version of a component in this database, 0 where it is not there.
inline std::int64_t sqlite_component_version(sqlite3* database, std::string_view name) {
  {
    const SqliteStatement statement(
        database, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'paidonce_schema'");
    if (!SqliteRun(statement, "reading the schema").step()) return 0;
  }
  const SqliteStatement statement(database, "SELECT version FROM paidonce_schema WHERE component = ?1");
  SqliteRun run(statement, "reading the schema");
  return run.bind_text(1, name).step() ? run.integer(0) : 0;
}

/// Makes a component's tables where they are not there. Several processes may come at once: one makes them.
/// Throws `unsupported_format` where a newer release has made them, `store_busy` by the connection's timeout.
inline void ensure_sqlite_component(sqlite3* database, const SqliteComponent& component) {
  const auto is_there = [&] {
    const std::int64_t there = sqlite_component_version(database, component.name);
    if (there > component.version)
      throw Error(errc::unsupported_format, "the tables of " + component.name + " have version " +
                                                std::to_string(there) + "; this release knows version " +
                                                std::to_string(component.version) +
                                                ": use the release that made them, or a newer one");
    return there == component.version;
  };
  if (is_there()) return;
  run_sql(database, "BEGIN IMMEDIATE", "making the tables");
  try {
    if (!is_there()) {
      run_sql(database, std::string(sqlite_schema_table) + component.sql, "making the tables");
      const SqliteStatement statement(
          database, "INSERT OR REPLACE INTO paidonce_schema (component, version) VALUES (?1, ?2)");
      SqliteRun(statement, "making the tables")
          .bind_text(1, component.name)
          .bind(2, component.version)
          .step();
    }
    run_sql(database, "COMMIT", "making the tables");
  } catch (...) {
    if (sqlite3_get_autocommit(database) == 0) sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

}  // namespace paidonce::inline v1::detail
