#pragma once
// The tables of an outbox in SQLite, and what is done to them. docs/stores/sqlite_outbox_schema.sql has the
// same tables for those whose schema is made by others.

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/stores/sqlite/options.hpp>
#include <paidonce/stores/sqlite/schema.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// Of `paidonce_outbox` those wait whose `ended_at` is null; of those that ended, those with `set_aside_by`
/// were not delivered. AUTOINCREMENT: an id is never given again, and the receiver tells repeats by it.
/// `paidonce_outbox_keys` has a row for each key with messages that wait: nobody claims it before `due_at`,
/// which is the end of a claim, of a pause, or past. `failures` and `failure` are those of its oldest
/// message. Times are milliseconds since 1970.
inline constexpr std::string_view sqlite_outbox_sql =
    R"(CREATE TABLE paidonce_outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key BLOB NOT NULL CHECK (typeof(key) = 'blob' AND length(key) BETWEEN 1 AND 255),
  topic BLOB NOT NULL CHECK (typeof(topic) = 'blob'),
  payload BLOB NOT NULL CHECK (typeof(payload) = 'blob'),
  put_at INTEGER NOT NULL,
  ended_at INTEGER,
  set_aside_by BLOB,
  set_aside_why BLOB
);

CREATE INDEX paidonce_outbox_waiting ON paidonce_outbox (key, id) WHERE ended_at IS NULL;

CREATE INDEX paidonce_outbox_delivered ON paidonce_outbox (ended_at)
  WHERE ended_at IS NOT NULL AND set_aside_by IS NULL;

CREATE TABLE paidonce_outbox_keys (
  key BLOB NOT NULL PRIMARY KEY CHECK (typeof(key) = 'blob'),
  due_at INTEGER NOT NULL,
  claim INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  alerted INTEGER NOT NULL DEFAULT 0,
  failure BLOB NOT NULL DEFAULT x''
) WITHOUT ROWID;

CREATE INDEX paidonce_outbox_due ON paidonce_outbox_keys (due_at);

CREATE VIEW paidonce_outbox_readable AS
SELECT m.id,
       CAST(m.key AS TEXT) AS key,
       CAST(m.topic AS TEXT) AS topic,
       CAST(m.payload AS TEXT) AS payload,
       CASE WHEN m.set_aside_by IS NOT NULL THEN 'set_aside'
            WHEN m.ended_at IS NOT NULL THEN 'delivered' ELSE 'waiting' END AS state,
       strftime('%Y-%m-%d %H:%M:%f', m.put_at / 1000.0, 'unixepoch') AS put_at,
       strftime('%Y-%m-%d %H:%M:%f', m.ended_at / 1000.0, 'unixepoch') AS ended_at,
       CAST(m.set_aside_by AS TEXT) AS set_aside_by,
       CAST(m.set_aside_why AS TEXT) AS set_aside_why,
       CASE WHEN m.ended_at IS NULL THEN k.failures END AS failures_of_key,
       CASE WHEN m.ended_at IS NULL THEN CAST(k.failure AS TEXT) END AS failure_of_key
FROM paidonce_outbox m LEFT JOIN paidonce_outbox_keys k ON k.key = m.key;
)";

/// The outbox's name in its default text, replaced by another.
inline std::string for_outbox(std::string_view sql, std::string_view table) {
  constexpr std::string_view name = "paidonce_outbox";
  std::string text;
  for (std::size_t at = 0;;) {
    const std::size_t next = sql.find(name, at);
    text.append(sql.substr(at, next - at));
    if (next == std::string_view::npos) return text;
    text.append(table);
    at = next + name.size();
  }
}

/// The statements, for a table of that name. Throws `invalid_options` where it is no plain one.
struct SqliteOutboxSql {
  explicit SqliteOutboxSql(const std::string& table) : table_(table) {
    if (!is_plain_sql_name(table))
      throw Error(
          errc::invalid_options,
          "SqliteOutboxOptions::table must be a plain name: letters, digits and underscores, at most 48");
  }

 private:
  std::string of(std::string_view sql) const { return for_outbox(sql, table_); }
  const std::string table_;

 public:
  const std::string put_key =
      of("INSERT INTO paidonce_outbox_keys (key, due_at) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING");
  const std::string put =
      of("INSERT INTO paidonce_outbox (key, topic, payload, put_at) VALUES (?1, ?2, ?3, ?4)");
  const std::string due = of(
      "SELECT key, failures, alerted FROM paidonce_outbox_keys WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2");
  const std::string claim = of("UPDATE paidonce_outbox_keys SET claim = ?2, due_at = ?3 WHERE key = ?1");
  const std::string messages =
      of("SELECT id, topic, payload FROM paidonce_outbox WHERE key = ?1 AND ended_at IS NULL "
         "ORDER BY id LIMIT ?2");
  const std::string release =
      of("UPDATE paidonce_outbox_keys SET claim = 0, due_at = ?3, alerted = ?4, failures = ?5, failure = ?6 "
         "WHERE key = ?1 AND claim = ?2");
  const std::string release_untried = of(
      "UPDATE paidonce_outbox_keys SET claim = 0, due_at = ?3, alerted = ?4 WHERE key = ?1 AND claim = ?2");
  const std::string erase = of("DELETE FROM paidonce_outbox WHERE id = ?1 AND ended_at IS NULL");
  const std::string mark_delivered =
      of("UPDATE paidonce_outbox SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL");
  const std::string erase_empty_key =
      of("DELETE FROM paidonce_outbox_keys WHERE key = ?1 AND NOT EXISTS "
         "(SELECT 1 FROM paidonce_outbox m WHERE m.key = ?1 AND m.ended_at IS NULL)");
  /// Of a key whose oldest message is about to be set aside. A lease goes on: somebody may be sending.
  const std::string free_key =
      of("UPDATE paidonce_outbox_keys SET due_at = CASE WHEN claim = 0 THEN ?2 ELSE due_at END, claim = 0, "
         "failures = 0, failure = x'' "
         "WHERE key = (SELECT key FROM paidonce_outbox WHERE id = ?1 AND ended_at IS NULL) AND ?1 = "
         "(SELECT min(m.id) FROM paidonce_outbox m WHERE m.key = paidonce_outbox_keys.key AND m.ended_at IS "
         "NULL)");
  const std::string set_aside =
      of("UPDATE paidonce_outbox SET ended_at = ?2, set_aside_by = ?3, set_aside_why = ?4 "
         "WHERE id = ?1 AND ended_at IS NULL");
  const std::string stuck =
      of("SELECT m.id, m.topic, k.failures, k.failure FROM paidonce_outbox_keys k JOIN paidonce_outbox m ON "
         "m.id = "
         "(SELECT min(f.id) FROM paidonce_outbox f WHERE f.key = k.key AND f.ended_at IS NULL) "
         "WHERE k.failures >= ?1 ORDER BY k.failures DESC, m.id LIMIT ?2");
  const std::string backlog = of(
      "SELECT count(*), coalesce(max(0, ?1 - min(put_at)), 0) FROM paidonce_outbox WHERE ended_at IS NULL");
  const std::string erase_delivered =
      of("DELETE FROM paidonce_outbox WHERE id IN (SELECT id FROM paidonce_outbox WHERE ended_at IS NOT NULL "
         "AND "
         "set_aside_by IS NULL AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2)");
};

/// Makes the tables where they are not there, in the transaction that runs. Throws `unsupported_format` where
/// a newer release has made them.
inline void ensure_sqlite_outbox(sqlite3* database, const std::string& table) {
  constexpr std::int64_t version = 1;
  const std::int64_t there = sqlite_component_version(database, table);
  if (there == version) return;
  if (there > version)
    throw Error(errc::unsupported_format, "the tables of " + table + " have version " +
                                              std::to_string(there) + "; this release knows version " +
                                              std::to_string(version) +
                                              ": use the release that made them, or a newer one");
  run_sql(database, std::string(sqlite_schema_table) + for_outbox(sqlite_outbox_sql, table),
          "making the outbox");
  const SqliteStatement statement(database,
                                  "INSERT INTO paidonce_schema (component, version) VALUES (?1, ?2)");
  SqliteRun(statement, "making the outbox").bind_text(1, table).bind(2, version).step();
}

}  // namespace paidonce::inline v1::detail
