#pragma once
// Records in PostgreSQL: many hosts, many processes, and rows of the application in the same transaction.
//
// The parts are in stores/postgres/: an operation is queued with those of other callers (lanes), becomes a
// statement (operation, statements, row) and goes out on a connection (connection) that was opened and
// checked (connector, server_checks, schema). Transactions and scans have connections of their own (pool).
// The page docs/stores/postgres.md says how to set it up and what each error wants.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/postgres/connector.hpp>
#include <paidonce/stores/postgres/lanes.hpp>
#include <paidonce/stores/postgres/operation.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/pool.hpp>
#include <paidonce/stores/postgres/scanning.hpp>
#include <paidonce/stores/postgres/schema.hpp>
#include <paidonce/stores/postgres/statements.hpp>
#include <paidonce/stores/postgres/transaction.hpp>

namespace paidonce::inline v1 {

/// What a store has done since it was opened.
struct PostgresStoreStats {
  std::uint64_t operations = 0;          ///< find, insert and replace
  std::uint64_t batches = 0;             ///< that they made: a round trip each
  std::uint64_t batches_undone = 0;      ///< because of one operation; the others were repeated
  std::uint64_t repeats = 0;             ///< statements sent again: deadlocks, serialization failures, races
  std::uint64_t connections_opened = 0;  ///< more than there are: some were lost
  std::uint64_t waiting = 0;             ///< operations that wait for a lane, at the moment
  std::uint32_t failed_tries = 0;        ///< to connect, since the server was last reached; 0: it is there
};

/// A handle: movable, not copyable; a moved-from one may only be assigned to or destroyed. Everything else
/// may be called from any number of threads.
///
/// What every call may throw: `store_unavailable` where the server is out of reach or did not answer in time,
/// in which case a write may have happened; `store_busy` where somebody else's transaction holds the record
/// for longer than lock_timeout, or where all connections are in use; `store_forked` in a child that was
/// forked while it was open; `unsafe_config` and `unsupported_format` as the constructor, where another
/// server has taken over; `invalid_options` where the schema or a privilege is missing; `store_full` for
/// records that are too long, or a disk that is full.
class PostgresStore {
 public:
  using Transaction = PostgresTransaction;

  /// Connects, and looks whether the server can be trusted. `conninfo` is libpq's connection string or URI.
  ///
  /// Throws `store_unavailable`, also for a server that is read-only; `unsafe_config` for one that forgets
  /// what it acknowledged; `unsupported_format` for one older than 13 and for a schema of a newer release;
  /// `invalid_options`. A schema that is not there yet is no error before something is asked of it.
  explicit PostgresStore(std::string conninfo, PostgresStoreOptions options = {})
      : core_(new Core(std::move(conninfo), std::move(options))) {
    core_->lanes.open_first();
  }

  /// Creates or upgrades the tables, in one transaction. Any number of hosts may call it at once. The role
  /// needs CREATE on the database, or on a schema that is there.
  void migrate() {
    core_->check_process();
    detail::PostgresPool::Lease lease(core_->pool);
    detail::migrate(lease.open(), core_->options, detail::postgres_deadline(Duration(60'000)));
  }

  std::optional<Record> find(const IdempotencyKey& key) {
    core_->check_process();
    detail::PostgresOperation operation(detail::PostgresOperation::Kind::find, key);
    core_->lanes.run(operation);
    return std::move(operation.found);
  }

  /// One round trip, whether the record is stored or one is there.
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    core_->check_process();
    detail::check_size(core_->options, record);
    detail::PostgresOperation operation(detail::PostgresOperation::Kind::insert, key, &record);
    core_->lanes.run(operation);
    return std::move(operation.found);
  }

  /// One round trip.
  bool replace(const IdempotencyKey& key, Version expected, const Record& record) {
    core_->check_process();
    detail::check_size(core_->options, record);
    detail::PostgresOperation operation(detail::PostgresOperation::Kind::replace, key, &record, expected);
    core_->lanes.run(operation);
    return operation.replaced;
  }

  /// Runs `body(Transaction&)` and commits; rolls back and passes on what it throws. Nothing is sent before
  /// the transaction is used. Throws `store_busy` where all connections are in use and where the server
  /// undid the transaction because of others: nothing of it has happened then. `store_unavailable` after the
  /// body returned: where the answer to COMMIT did not come, it may have happened. `std::logic_error` where
  /// the body has ended the transaction itself.
  template <class Body>
  void transact(Body&& body) {
    core_->check_process();
    Transaction transaction(core_->pool, core_->sql, core_->options);
    std::forward<Body>(body)(transaction);
    transaction.commit();
  }

  /// In the order of the keys' bytes. What is written meanwhile is visited or not. Neither a transaction nor
  /// a connection is held while the visitor runs; it may call the store. A scan of what is in progress or in
  /// doubt alone costs what there is of that.
  template <class Visitor>
  void scan(const ScanFilter& filter, Visitor&& visitor) {
    core_->check_process();
    std::string after = filter.after;
    std::size_t rows = 0, bytes = 0;
    for (std::size_t left = filter.limit; left > 0;) {
      const std::size_t asked = std::min(left, detail::next_page_size(rows, bytes));
      const detail::PostgresPage page = core_->read_page(filter, after, asked, bytes);
      for (const auto& [key, record] : page)
        if (!visitor(key, record)) return;
      rows = page.size();
      if (rows < asked) return;
      left -= rows;
      after = page.back().first.bytes();
    }
  }

  /// Erases completed records, and released ones without a checkpoint, whose `expires_at` has come by `now`,
  /// the oldest first; those that somebody else works on are left for the next call. A thousand at a time in
  /// one statement.
  std::size_t erase_expired(Timestamp now, std::size_t limit) {
    constexpr std::size_t step = 1000;
    core_->check_process();
    std::size_t erased = 0;
    while (erased < limit) {
      const std::size_t asked = std::min(limit - erased, step);
      detail::PostgresPool::Lease lease(core_->pool);
      const std::size_t gone = detail::erase_expired(
          lease.ready(), core_->sql, now, asked, detail::postgres_deadline(core_->options.statement_timeout));
      erased += gone;
      if (gone < asked) break;
    }
    return erased;
  }

  PostgresStoreStats stats() const {
    const auto counts = core_->lanes.counts();
    PostgresStoreStats stats;
    stats.operations = counts.operations;
    stats.batches = counts.batches;
    stats.batches_undone = core_->lanes.undone();
    stats.repeats = core_->lanes.repeats();
    stats.connections_opened = core_->connector.opened();
    stats.waiting = core_->lanes.queued();
    stats.failed_tries = core_->connector.failures();
    return stats;
  }

 private:
  struct Core {
    Core(std::string conninfo, PostgresStoreOptions given)
        : options(std::move(given)),
          sql(detail::checked(options)),
          connector(std::move(conninfo), options),
          pool(connector, options.connections, options.acquire_timeout),
          lanes(connector, pool, sql, options) {}

    /// A child shares its parent's sockets: one byte of it would be taken for the parent's.
    void check_process() const {
      if (!process.is_this_one())
        throw Error(errc::store_forked,
                    "the store was opened by the process that forked this one: open it again after the fork");
    }

    detail::PostgresPage read_page(const ScanFilter& filter, const std::string& after, std::size_t limit,
                                   std::size_t& bytes) {
      detail::PostgresPool::Lease lease(pool);
      return detail::read_page(lease.ready(), sql, filter, after, limit, bytes,
                               detail::postgres_deadline(options.statement_timeout));
    }

    const PostgresStoreOptions options;
    const detail::OwnProcess process = {};
    const detail::PostgresStatements sql;
    detail::PostgresConnector connector;
    detail::PostgresPool pool;
    detail::PostgresLanes lanes;
  };

  /// A child of a fork leaves everything as it is: closing would end the parent's sessions.
  struct Close {
    void operator()(Core* core) const noexcept {
      if (core->process.is_this_one()) delete core;
    }
  };

  std::unique_ptr<Core, Close> core_;
};

static_assert(TransactionalStore<PostgresStore> && ScannableStore<PostgresStore> &&
              SweepableStore<PostgresStore>);

}  // namespace paidonce::inline v1
