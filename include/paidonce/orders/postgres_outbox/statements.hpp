#pragma once
// The SQL of a PostgresOutbox. No session state: all of it works behind a pooler that shares connections
// between transactions.

#include <string>
#include <string_view>

#include <paidonce/orders/postgres_outbox/schema.hpp>

namespace paidonce::inline v1::detail {

class PostgresOutboxSql {
 public:
  PostgresOutboxSql(const std::string& schema, const std::string& table) : schema_(schema), table_(table) {}

 private:
  std::string of(std::string_view text) const { return for_outbox(text, schema_, table_); }
  /// The lock of a key: whoever puts has it until the end of its transaction. A number that only the key and
  /// the outbox's name decide, so that others, who write SQL of their own, can take it too.
  std::string turn(std::string_view key) const {
    return of("('x' || left(encode(sha256(convert_to('%.@:', 'UTF8') || ") + std::string(key) +
           "), 'hex'), 16))::bit(64)::bigint";
  }

  const std::string schema_, table_;

 public:
  /// The id is drawn when the turn has come, and not before.
  const std::string put =
      "WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(" + turn("$1::bytea") +
      of(")), key AS (INSERT INTO %.@_keys (key, due_at) SELECT $1::bytea, clock_timestamp() FROM turn"
         " ON CONFLICT (key) DO NOTHING)"
         " INSERT INTO %.@ (key, topic, payload) SELECT $1::bytea, $2::bytea, $3::bytea FROM turn RETURNING "
         "id");

  /// $1 keys at most, $2 the claim, $3 its lease. Keys that others work on at this moment are passed over.
  const std::string claim =
      of("WITH due AS MATERIALIZED (SELECT key FROM %.@_keys WHERE due_at <= statement_timestamp()"
         " ORDER BY due_at LIMIT $1::int8 FOR UPDATE SKIP LOCKED)"
         " UPDATE %.@_keys k SET claim = $2::int8,"
         " due_at = statement_timestamp() + $3::int8 * interval '1 millisecond'"
         " FROM due WHERE k.key = due.key RETURNING k.key, k.failures, k.alerted");
  /// Of the keys $1, $2 of each at most. A statement of its own: it sees what was settled before the claim.
  const std::string messages = of(
      "SELECT m.key, m.id, m.topic, m.payload FROM unnest($1::bytea[]) AS claimed (key) CROSS JOIN LATERAL"
      " (SELECT * FROM %.@ o WHERE o.key = claimed.key AND o.ended_at IS NULL ORDER BY o.id LIMIT $2::int8) m"
      " ORDER BY m.key, m.id");

  /// Those of the keys to which no transaction puts that is under way. A statement of its own: only the next
  /// one sees all that was put before.
  const std::string quiet =
      "SELECT given.key FROM unnest($1::bytea[]) AS given (key) WHERE pg_try_advisory_xact_lock(" +
      turn("given.key") + ")";
  /// $1 the claim, $2 keys, $3 pauses, $4 alerted, $5 failures (-1: as before), $6 what they said, $7 ids.
  const std::string settle_and_erase = settle("DELETE FROM %.@ m USING held WHERE ");
  const std::string settle_and_mark =
      settle("UPDATE %.@ m SET ended_at = statement_timestamp() FROM held WHERE ");
  const std::string erase_empty_keys =
      of("DELETE FROM %.@_keys k WHERE k.key = ANY ($1::bytea[]) AND k.claim = 0"
         " AND NOT EXISTS (SELECT FROM %.@ m WHERE m.key = k.key AND m.ended_at IS NULL)");
  /// A key where nothing waits, and yet somebody puts: $2 is when it is looked at again.
  const std::string look_again =
      of("UPDATE %.@_keys k SET due_at = statement_timestamp() + $2::int8 * interval '1 millisecond'"
         " WHERE k.key = ANY ($1::bytea[]) AND k.claim = 0"
         " AND NOT EXISTS (SELECT FROM %.@ m WHERE m.key = k.key AND m.ended_at IS NULL)");

  const std::string lock_key_of = of(
      "SELECT k.key FROM %.@_keys k JOIN %.@ m ON m.key = k.key WHERE m.id = $1::int8 AND m.ended_at IS NULL"
      " FOR UPDATE OF k");
  /// Of a key whose oldest message is about to be set aside. A lease goes on: somebody may be sending.
  const std::string free_key =
      of("UPDATE %.@_keys k SET due_at = CASE claim WHEN 0 THEN statement_timestamp() ELSE due_at END,"
         " claim = 0, failures = 0, failure = ''"
         " FROM %.@ o WHERE o.id = $1::int8 AND o.ended_at IS NULL AND k.key = o.key"
         " AND o.id = (SELECT min(m.id) FROM %.@ m WHERE m.key = o.key AND m.ended_at IS NULL)");
  const std::string set_aside = of(
      "UPDATE %.@ SET ended_at = statement_timestamp(), set_aside_by = $2::bytea, set_aside_why = $3::bytea"
      " WHERE id = $1::int8 AND ended_at IS NULL");

  const std::string stuck =
      of("SELECT m.id, m.topic, k.failures, k.failure FROM %.@_keys k CROSS JOIN LATERAL"
         " (SELECT * FROM %.@ o WHERE o.key = k.key AND o.ended_at IS NULL ORDER BY o.id LIMIT 1) m"
         " WHERE k.failures >= $1::int8 ORDER BY k.failures DESC, m.id LIMIT $2::int8");
  const std::string backlog =
      of("SELECT count(*), coalesce(greatest(0, extract(epoch FROM statement_timestamp() - min(put_at)) * "
         "1000), 0)"
         "::int8 FROM %.@ WHERE ended_at IS NULL");
  const std::string erase_delivered = of(
      "DELETE FROM %.@ WHERE id = ANY (ARRAY (SELECT id FROM %.@ WHERE ended_at IS NOT NULL"
      " AND set_aside_by IS NULL AND ended_at <= statement_timestamp() - $1::int8 * interval '1 millisecond'"
      " ORDER BY ended_at LIMIT $2::int8 FOR UPDATE SKIP LOCKED))");

  const std::string isolation =
      "SELECT (current_setting('transaction_isolation') = 'read committed')::int::int8";
  const std::string has_version =
      of("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
         " WHERE n.nspname = '%' AND c.relname = '@_version'");
  const std::string version = of("SELECT coalesce(max(version), 0)::int8 FROM %.@_version");
  const std::string migration_lock = of("SELECT pg_advisory_xact_lock(1885431140, hashtext('%.@'))");
  const std::string has_schema = of("SELECT count(*) FROM pg_namespace WHERE nspname = '%'");
  const std::string create_schema = of("CREATE SCHEMA %");
  std::string step(std::string_view text) const { return of(text); }

 private:
  /// Keys that are not this claim's any more are left alone, and so are their messages. Locked in one order,
  /// so that two who settle the same keys wait for each other instead of for ever.
  std::string settle(std::string_view end_delivered) const {
    return of("WITH held AS MATERIALIZED (SELECT key FROM %.@_keys WHERE claim = $1::int8"
              " AND key = ANY ($2::bytea[]) ORDER BY key FOR UPDATE),"
              " given AS (SELECT * FROM unnest($2::bytea[], $3::int8[], $4::int8[], $5::int8[], $6::bytea[])"
              " AS g (key, pause, alerted, failures, failure)),"
              " released AS (UPDATE %.@_keys k SET claim = 0,"
              " due_at = statement_timestamp() + given.pause * interval '1 millisecond', alerted = "
              "given.alerted,"
              " failures = CASE given.failures WHEN -1 THEN k.failures ELSE given.failures END,"
              " failure = CASE given.failures WHEN -1 THEN k.failure ELSE given.failure END"
              " FROM given, held WHERE given.key = held.key AND k.key = held.key),"
              " delivered AS (") +
           of(end_delivered) +
           "m.key = held.key AND m.id = ANY ($7::int8[]) AND m.ended_at IS NULL)"
           " SELECT key FROM held";
  }
};

}  // namespace paidonce::inline v1::detail
