#pragma once
// The tables of a PostgresStore, and how they come to be. docs/stores/postgres_schema.sql says the same for
// those whose schema is run by others.
//
// Columns have their own types, so that people can read the table; texts are bytea, since they may hold any
// byte. An update is HOT, and touches no index, unless it changes a column of an index or of its condition:
// that from a begin to a result does (`state`, `expires_at`), heartbeats and checkpoints do not.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1::detail {

/// What this release works with.
inline constexpr std::int64_t postgres_schema_version = 1;

/// The statements that lead from each version to the next; `%` is the schema.
inline constexpr std::string_view postgres_schema_1[] = {
    "CREATE TABLE %.schema_version (version integer PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())",

    "CREATE TABLE %.payments ("
    " key bytea NOT NULL,"
    " version bigint NOT NULL,"
    " state smallint NOT NULL,"
    " attempt_id bigint NOT NULL,"
    " attempts bigint NOT NULL,"
    " created_at bigint NOT NULL,"
    " updated_at bigint NOT NULL,"
    " lease_until bigint NOT NULL,"
    " expires_at bigint NOT NULL,"
    " fingerprint bytea NOT NULL,"
    " amount bytea NOT NULL,"
    " description bytea NOT NULL,"
    " checkpoint bytea NOT NULL,"
    " response bytea NOT NULL,"
    " response_format bytea NOT NULL,"
    " note bytea NOT NULL,"
    " CONSTRAINT payments_pkey PRIMARY KEY (key),"
    " CONSTRAINT payments_state CHECK (state BETWEEN 1 AND 5)"
    ") WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,"
    " autovacuum_vacuum_insert_scale_factor = 0.05)",

    "CREATE INDEX payments_unfinished ON %.payments (key) WHERE state IN (1, 4)",

    "CREATE INDEX payments_expiry ON %.payments (expires_at)"
    " WHERE state IN (2, 3, 5)",

    "CREATE FUNCTION %.readable_time(millis bigint) RETURNS timestamptz"
    " LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$"
    " SELECT CASE WHEN millis = 0 THEN NULL WHEN millis > 253402300799999 THEN 'infinity'::timestamptz"
    " WHEN millis < -62135596800000 THEN '-infinity'::timestamptz"
    " ELSE to_timestamp(millis / 1000.0) END $$",

    "CREATE VIEW %.payments_readable AS SELECT"
    " encode(substring(key FROM 2 FOR get_byte(key, 0)), 'escape') AS scope,"
    " encode(substring(key FROM 2 + get_byte(key, 0)), 'escape') AS key,"
    " CASE state WHEN 1 THEN 'in_progress' WHEN 2 THEN 'succeeded' WHEN 3 THEN 'declined'"
    " WHEN 4 THEN 'in_doubt' ELSE 'released' END AS state,"
    " attempts,"
    " %.readable_time(created_at) AS created_at,"
    " %.readable_time(updated_at) AS updated_at,"
    " %.readable_time(lease_until) AS lease_until,"
    " %.readable_time(expires_at) AS expires_at,"
    " encode(amount, 'escape') AS amount,"
    " encode(description, 'escape') AS description,"
    " encode(note, 'escape') AS note,"
    " length(response) AS response_bytes,"
    " version"
    " FROM %.payments",

    "INSERT INTO %.schema_version (version) VALUES (1)"};

inline std::string in_schema(std::string_view text, const std::string& schema) {
  std::string made;
  for (const char c : text)
    if (c == '%')
      made += schema;
    else
      made += c;
  return made;
}

/// Creates or upgrades the tables, in one transaction, under a lock that lasts as long as that: many hosts
/// may call it at once. Throws `unsupported_format` where a newer release has been here.
inline void migrate(PostgresConnection& connection, const PostgresStoreOptions& options,
                    PostgresDeadline deadline) {
  const PostgresParameters none = {};
  const auto run = [&](std::string text, const PostgresParameters& parameters) {
    const PostgresStatement statement{PostgresStatement::never, "", std::move(text)};
    PostgresAnswers answers = connection.run({{statement, parameters}}, deadline);
    if (!answers.failure.empty()) {
      connection.close();  // which undoes it
      answers.expect_done();
    }
    return std::move(answers.results[0]);
  };
  run("BEGIN ISOLATION LEVEL READ COMMITTED", none);  // who waited for the lock sees what was made meanwhile
  // The number is this library's own, and the schema's: "paidonce", and a hash of its name.
  PostgresParameters schema, versions;
  schema.bytes(options.schema);
  const std::string versions_table = options.schema + ".schema_version";
  versions.bytes(versions_table);
  run("SELECT pg_advisory_xact_lock(1885431140, hashtext($1::text))", schema);
  if (run("SELECT 1 FROM pg_namespace WHERE nspname = $1::text", schema).rows() == 0)
    run("CREATE SCHEMA " + options.schema, none);
  std::int64_t version = 0;
  if (run("SELECT 1 WHERE to_regclass($1::text) IS NOT NULL", versions).rows() > 0)
    version = integer_of<std::int64_t>(
        run("SELECT coalesce(max(version), 0)::int8 FROM " + versions_table, none).get(), 0, 0);
  if (version > postgres_schema_version) {
    connection.close();
    throw Error(errc::unsupported_format,
                "the store's schema was made by a newer release: use that one, or a newer one");
  }
  if (version < 1)
    for (const std::string_view text : postgres_schema_1) run(in_schema(text, options.schema), none);
  run("COMMIT", none);
}

}  // namespace paidonce::inline v1::detail
