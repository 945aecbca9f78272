#pragma once
// The SQL of a PostgresStore, once for each schema. Everything that callers bring is a parameter.
//
// Each write sets its own lock_timeout, for its transaction: a setting of the session would be lost, or meet
// others, behind a pooler that shares connections between transactions.

#include <cstddef>
#include <string>
#include <string_view>

#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/row.hpp>

namespace paidonce::inline v1::detail {

struct PostgresStatement {
  std::size_t number;  // which of a connection's prepared statements; `never` for those that are parsed anew
  std::string name;
  std::string text;

  static constexpr std::size_t never = 64;
};

/// `$17` of the writes is the lock timeout, `$18` of a replace the expected version; those of many rows get
/// the timeout from `many`, and `$17` is what is expected.
class PostgresStatements {
 public:
  explicit PostgresStatements(const PostgresStoreOptions& options)
      : table(options.schema + ".payments"),
        find(named("find", "SELECT " + columns + " FROM " + table + " WHERE key = $1::bytea")),
        // One row: it is stored, or this is what is there. None: somebody stored one beside us, which this
        // statement's snapshot does not show; ask again.
        insert(named("insert", "WITH stored AS (INSERT INTO " + table + " (" + columns + ") SELECT " +
                                   values +
                                   " WHERE set_config('lock_timeout', $17::text, true) IS NOT NULL"
                                   " ON CONFLICT (key) DO NOTHING RETURNING true)"
                                   " SELECT true, NULL::bytea" +
                                   nulls + " FROM stored UNION ALL SELECT false, " + columns + " FROM " +
                                   table + " WHERE key = $1::bytea AND NOT EXISTS (SELECT FROM stored)")),
        replace(named("replace", "UPDATE " + table + " SET " + assignments +
                                     " WHERE key = $1::bytea AND version = $18::int8"
                                     " AND set_config('lock_timeout', $17::text, true) IS NOT NULL")),
        // Fails, and the transaction with it, where the row is not what it was left as.
        replace_surely(named("replace_surely",
                             "WITH replaced AS (UPDATE " + table + " SET " + assignments +
                                 " WHERE key = $1::bytea AND version = $18::int8 AND $17::text IS NOT NULL"
                                 " RETURNING true) SELECT 1 / count(*) FROM replaced")),
        // Goes before statements of many rows, in their transaction. Their plans are kept, and one that was
        // made while the table was empty would go on reading all of it long after it has grown: nothing but
        // nested loops over indexes is offered to the planner. And planning takes longer than a small batch.
        many(
            named("many",
                  "SELECT set_config('lock_timeout', $1::text, true), set_config('plan_cache_mode', "
                  "'force_generic_plan', true), set_config('enable_seqscan', 'off', true), "
                  "set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)")),
        // Rows of many callers. The keys come in order, and rows are locked in it, whatever the plan: two
        // batches that share keys wait for each other, and do not deadlock.
        insert_many(named(
            "insert_many",
            "WITH given AS MATERIALIZED (SELECT * FROM unnest(" + arrays + ") AS given (" + columns +
                ")), stored AS (INSERT INTO " + table + " (" + columns + ") SELECT " + columns +
                " FROM given ORDER BY key ON CONFLICT (key) DO NOTHING RETURNING key)"
                " SELECT true, key" +
                nulls +
                " FROM stored UNION ALL SELECT false, there.*"
                " FROM (SELECT key FROM given WHERE (SELECT count(*) FROM stored) < (SELECT count(*) FROM"
                " given) AND NOT EXISTS (SELECT FROM stored WHERE"
                " stored.key = given.key) OFFSET 0) AS met CROSS JOIN LATERAL (SELECT " +
                columns + " FROM " + table + " WHERE key = met.key LIMIT 1) AS there")),
        replace_many(named(
            "replace_many",
            "WITH given AS MATERIALIZED (SELECT * FROM unnest(" + arrays + ", $17::int8[]) AS given (" +
                columns +
                ", expected)), held AS MATERIALIZED (SELECT given.*, payments.ctid AS at FROM given JOIN " +
                table +
                " USING (key) WHERE payments.version = given.expected ORDER BY given.key FOR NO KEY UPDATE "
                "OF payments) UPDATE " +
                table + " AS kept SET " + from_given +
                " FROM held AS given WHERE kept.ctid = given.at AND kept.version ="
                " given.expected RETURNING kept.key")),
        find_many(named("find_many",
                        "SELECT there.* FROM unnest($1::bytea[]) AS given (key) CROSS JOIN LATERAL"
                        " (SELECT " +
                            columns + " FROM " + table + " WHERE key = given.key LIMIT 1) AS there")),
        begin(named("begin", begin_text(options.isolation))),
        limits(named("limits",
                     "SELECT set_config('lock_timeout', $1::text, true), set_config('statement_timeout', "
                     "$2::text, true), set_config('idle_in_transaction_session_timeout', $3::text, true), "
                     "set_config('paidonce.transaction', $4::text, true)")),
        // Fails where the transaction is not the one that was begun.
        seal(named(
            "seal",
            "SELECT 1 / (current_setting('paidonce.transaction', true) IS NOT DISTINCT FROM $1::text)::int")),
        commit(named("commit", "COMMIT")),
        rollback(named("rollback", "ROLLBACK")),
        // Pages begin behind $1. Parsed anew each time, so that the planner knows the limit.
        scan{PostgresStatement::never, "", scan_text("")},
        scan_unfinished{PostgresStatement::never, "", scan_text(" AND " + std::string(unfinished))},
        erase{PostgresStatement::never, "",
              "WITH over AS MATERIALIZED (SELECT ctid AS at FROM " + table +
                  " WHERE expires_at <= $1::int8 AND " + std::string(forgettable) +
                  " ORDER BY expires_at LIMIT $2::int8 FOR UPDATE SKIP LOCKED)"
                  " DELETE FROM " +
                  table +
                  " WHERE ctid = ANY (ARRAY (SELECT at FROM over))"
                  " AND expires_at <= $1::int8 AND " +
                  std::string(forgettable)} {}

  /// What the two partial indexes are about. Statements must say the same for the planner to use them.
  static constexpr std::string_view unfinished = "state IN (1, 4)";
  static constexpr std::string_view forgettable = "state IN (2, 3, 5) AND (state <> 5 OR checkpoint = '')";

 private:
  PostgresStatement named(std::string_view name, std::string text) {
    return {count_++, "paidonce_" + std::string(name) + "_" + digest_of(text), std::move(text)};
  }

  /// So that two releases, or two schemas, on the same connection of a pooler do not meet.
  static std::string digest_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037U;  // FNV-1a
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    return std::to_string(hash);
  }

  static std::string begin_text(Isolation isolation) {
    switch (isolation) {
      case Isolation::server_default: break;
      case Isolation::read_committed: return "BEGIN ISOLATION LEVEL READ COMMITTED";
      case Isolation::repeatable_read: return "BEGIN ISOLATION LEVEL REPEATABLE READ";
      case Isolation::serializable: return "BEGIN ISOLATION LEVEL SERIALIZABLE";
    }
    return "BEGIN";
  }

  std::string scan_text(const std::string& condition) const {
    return "SELECT " + columns + " FROM " + table + " WHERE key > $1::bytea" + condition +
           " AND state = ANY ($2::int2[]) AND updated_at < $3::int8 ORDER BY key LIMIT $4::int8";
  }

  std::size_t count_ = 0;
  const std::string columns{postgres_columns};
  const std::string nulls =
      ", NULL::int8, NULL::int2, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, NULL::int8, "
      "NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea, NULL::bytea";
  const std::string values =
      "$1::bytea, $2::int8, $3::int2, $4::int8, $5::int8, $6::int8, $7::int8, $8::int8, $9::int8, "
      "$10::bytea, "
      "$11::bytea, $12::bytea, $13::bytea, $14::bytea, $15::bytea, $16::bytea";
  const std::string assignments =
      "version = $2::int8, state = $3::int2, attempt_id = $4::int8, attempts = $5::int8, created_at = "
      "$6::int8, updated_at = $7::int8, lease_until = $8::int8, expires_at = $9::int8, fingerprint = "
      "$10::bytea, amount = $11::bytea, description = $12::bytea, checkpoint = $13::bytea, response = "
      "$14::bytea, response_format = $15::bytea, note = $16::bytea";
  const std::string arrays =
      "$1::bytea[], $2::int8[], $3::int2[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], "
      "$9::int8[], $10::bytea[], $11::bytea[], $12::bytea[], $13::bytea[], $14::bytea[], $15::bytea[], "
      "$16::bytea[]";
  const std::string from_given =
      "version = given.version, state = given.state, attempt_id = given.attempt_id, attempts = "
      "given.attempts, created_at = given.created_at, updated_at = given.updated_at, lease_until = "
      "given.lease_until, expires_at = given.expires_at, fingerprint = given.fingerprint, amount = "
      "given.amount, description = given.description, checkpoint = given.checkpoint, response = "
      "given.response, response_format = given.response_format, note = given.note";

 public:
  const std::string table;
  const PostgresStatement find, insert, replace, replace_surely, many, insert_many, replace_many, find_many,
      begin, limits, seal, commit, rollback, scan, scan_unfinished, erase;
};

}  // namespace paidonce::inline v1::detail
