#pragma once
// What a PostgresStore can be told.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/stores/unsafe_config.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// How statements reach the server.
enum class Statements : std::uint8_t {
  named,    ///< parsed once for each connection; pgbouncer must be 1.21 or newer and track them
  unnamed,  ///< parsed each time: for older poolers that share connections between transactions
};

/// The isolation of `transact`. Single operations need none.
enum class Isolation : std::uint8_t { server_default, read_committed, repeatable_read, serializable };

struct PostgresStoreOptions {
  /// Where the table is: lower-case letters, digits and underscores, not beginning with a digit.
  std::string schema = "paidonce";
  /// Batches of operations under way at once, a connection each: one after the other, where what waits does
  /// not fit into a batch, or those before it hang.
  std::size_t lanes = 2;
  /// Operations in a batch at most. 1 combines nothing.
  std::size_t max_batch = 64;
  /// Connections for transactions, scans, sweeps, and operations that wait for a row that is locked.
  std::size_t connections = 8;
  /// How long a connection may take to open, for each host; and how long calls wait, at the beginning of an
  /// outage, for the server to come back. Afterwards they fail at once.
  Duration connect_timeout{3'000};
  /// How long a call waits for the answer to a statement. The connection is closed then.
  Duration statement_timeout{5'000};
  /// How long a statement waits for a row that somebody else's transaction holds, before `store_busy`.
  Duration lock_timeout{2'000};
  /// How long a call waits for one of `connections`, before `store_busy`.
  Duration acquire_timeout{2'000};
  /// How long a transaction may lie idle, between two statements, before the server ends it.
  Duration idle_in_transaction_timeout{30'000};
  /// A connection that nobody has used for so long is asked for a sign of life before it is.
  Duration idle_check{30'000};
  Statements statements = Statements::named;
  /// About `fsync`, `full_page_writes` or `synchronous_commit` off.
  UnsafeConfig unsafe = UnsafeConfig::refuse;
  Isolation isolation = Isolation::server_default;
  /// Pauses between tries to connect while the server is out of reach.
  Backoff reconnect{Duration(50), Duration(5'000), Jitter::equal};
  /// Response and checkpoint of a record together, in bytes.
  std::size_t max_record_bytes = std::size_t{1} << 20;
};

namespace detail {

/// Beyond response and checkpoint: amount, description, note and format.
inline constexpr std::size_t most_other_postgres_bytes = std::size_t{1} << 20;

/// Whether a name can stand in SQL text as it is.
inline bool is_plain_identifier(std::string_view name) noexcept {
  if (name.empty() || name.size() > 63 || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name)
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
  return !name.starts_with("pg_");
}

/// Throws `invalid_options`.
inline const PostgresStoreOptions& checked(const PostgresStoreOptions& options) {
  const auto require = [](auto holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  };
  require(
      is_plain_identifier(options.schema),
      "PostgresStoreOptions::schema must be 1 to 63 lower-case letters, digits and underscores, not begin "
      "with a digit, and not with pg_");
  require(options.lanes > 0 && options.lanes <= 64, "PostgresStoreOptions::lanes must be from 1 to 64");
  require(options.max_batch > 0 && options.max_batch <= 1024,
          "PostgresStoreOptions::max_batch must be from 1 to 1024");
  require(options.connections > 0 && options.connections <= 1024,
          "PostgresStoreOptions::connections must be from 1 to 1024");
  for (const Duration timeout :
       {options.connect_timeout, options.statement_timeout, options.lock_timeout, options.acquire_timeout,
        options.idle_in_transaction_timeout, options.idle_check})
    require(timeout.count() > 0 && timeout <= Duration(INT32_MAX),
            "the timeouts of PostgresStoreOptions must be longer than zero, and shorter than 24 days");
  require(options.lock_timeout < options.statement_timeout,
          "PostgresStoreOptions::lock_timeout must be shorter than statement_timeout: the server tells then "
          "who it waited for, and the connection lives");
  checked(options.reconnect);
  require(options.max_record_bytes > 0 && options.max_record_bytes <= std::size_t{16} << 20,
          "PostgresStoreOptions::max_record_bytes must be from 1 to 16 MiB");
  return options;
}

/// Throws `store_full` for a record that is too long.
inline void check_size(const PostgresStoreOptions& options, const Record& record) {
  const std::size_t most = options.max_record_bytes;
  if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
    throw Error(errc::store_full,
                "the response and checkpoint of a record are longer than PostgresStoreOptions::"
                "max_record_bytes, which is " +
                    std::to_string(most));
  std::size_t others = 0;
  for (const std::string* text : {&record.amount, &record.description, &record.response_format, &record.note})
    others += text->size();
  if (others > most_other_postgres_bytes)
    throw Error(errc::store_full, "the amount, description and note of a record are longer than 1 MiB");
}

}  // namespace detail

}  // namespace paidonce::inline v1
