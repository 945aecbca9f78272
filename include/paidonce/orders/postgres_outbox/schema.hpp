#pragma once
// The tables of an outbox in PostgreSQL. docs/stores/postgres_outbox_schema.sql has the same for those whose
// schema is made by others.

#include <cstdint>
#include <string>
#include <string_view>

namespace paidonce::inline v1::detail {

inline constexpr std::int64_t postgres_outbox_version = 1;

/// `%` is the schema, `@` the outbox.
///
/// Of the messages those wait whose `ended_at` is null; of those that ended, those with `set_aside_by` were
/// not delivered. The `_keys` have a row for each key with messages that wait: nobody claims it before
/// `due_at`, which is the end of a claim, of a pause, or past. `failures` and `failure` are those of its
/// oldest message. Rows of both come and go at the rate of payments, so they are vacuumed often.
inline constexpr std::string_view postgres_outbox_schema_1[] = {
    "CREATE TABLE %.@ ("
    " id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " key bytea NOT NULL CHECK (length(key) BETWEEN 1 AND 255),"
    " topic bytea NOT NULL,"
    " payload bytea NOT NULL,"
    " put_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    " ended_at timestamptz,"
    " set_aside_by bytea,"
    " set_aside_why bytea"
    ") WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)",

    "CREATE INDEX @_waiting ON %.@ (key, id) WHERE ended_at IS NULL",

    "CREATE INDEX @_delivered ON %.@ (ended_at) WHERE ended_at IS NOT NULL AND set_aside_by IS NULL",

    "CREATE TABLE %.@_keys ("
    " key bytea PRIMARY KEY,"
    " due_at timestamptz NOT NULL,"
    " claim bigint NOT NULL DEFAULT 0,"
    " failures bigint NOT NULL DEFAULT 0,"
    " alerted bigint NOT NULL DEFAULT 0,"
    " failure bytea NOT NULL DEFAULT ''"
    ") WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)",

    "CREATE INDEX @_due ON %.@_keys (due_at)",

    "CREATE VIEW %.@_readable AS SELECT m.id,"
    " encode(m.key, 'escape') AS key,"
    " encode(m.topic, 'escape') AS topic,"
    " encode(m.payload, 'escape') AS payload,"
    " CASE WHEN m.set_aside_by IS NOT NULL THEN 'set_aside'"
    " WHEN m.ended_at IS NOT NULL THEN 'delivered' ELSE 'waiting' END AS state,"
    " m.put_at, m.ended_at,"
    " encode(m.set_aside_by, 'escape') AS set_aside_by,"
    " encode(m.set_aside_why, 'escape') AS set_aside_why,"
    " CASE WHEN m.ended_at IS NULL THEN k.failures END AS failures_of_key,"
    " CASE WHEN m.ended_at IS NULL THEN encode(k.failure, 'escape') END AS failure_of_key"
    " FROM %.@ m LEFT JOIN %.@_keys k ON k.key = m.key",

    "CREATE TABLE %.@_version (version bigint PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())",

    "INSERT INTO %.@_version (version) VALUES (1)"};

inline std::string for_outbox(std::string_view text, const std::string& schema, const std::string& table) {
  std::string made;
  for (const char c : text) {
    if (c == '%')
      made += schema;
    else if (c == '@')
      made += table;
    else
      made += c;
  }
  return made;
}

}  // namespace paidonce::inline v1::detail
