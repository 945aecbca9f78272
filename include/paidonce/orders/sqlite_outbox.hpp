#pragma once
// An outbox in the database of a SqliteStore. Writers take turns there (BEGIN IMMEDIATE), so ids are in the
// order of commits for the whole database. Leases and pauses run on the clock: where it jumps, keys wait
// longer, or are sent twice; their order stays.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/orders/outbox.hpp>
#include <paidonce/orders/sqlite_outbox/schema.hpp>
#include <paidonce/stores/sqlite.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1 {

struct SqliteOutboxOptions {
  /// Delivered messages are kept for so long, for people; then `erase_delivered` takes them. Zero: they are
  /// gone when they are delivered.
  Duration keep_delivered = Duration(0);
  /// The table, a plain name as SqliteStoreOptions::table is. Outboxes of different names in one file know
  /// nothing of each other.
  std::string table = "paidonce_outbox";
};

/// The store is referred to and outlives the outbox. Any number of threads, and of processes on this host,
/// may use it, each with a store and an outbox of its own. Throws what `SqliteStore::transact` throws.
template <Clock C = SystemClock>
class SqliteOutbox {
 public:
  /// Makes the tables where they are not there. Throws `invalid_options` and `unsupported_format`.
  explicit SqliteOutbox(SqliteStore& store, SqliteOutboxOptions options = {}, C clock = C())
      : store_(store),
        keep_delivered_(detail::checked_keeping(options.keep_delivered)),
        sql_(options.table),
        clock_(std::move(clock)) {
    store_.transact([&](SqliteStore::Transaction& transaction) {
      detail::ensure_sqlite_outbox(transaction.native(), options.table);
    });
  }

  /// `transaction` is the connection, within a transaction that was begun as BEGIN IMMEDIATE; or anything of
  /// which it is the `native()`, as `SqliteStore::Transaction` is.
  std::int64_t put(sqlite3* transaction, std::string_view key, std::string_view topic,
                   std::string_view payload) {
    detail::check_message(key, topic, payload);
    const std::int64_t at = now();
    run(transaction, sql_.put_key, [&](Run& run) { run.bind(1, key).bind(2, at).changes(); });
    run(transaction, sql_.put,
        [&](Run& run) { run.bind(1, key).bind(2, topic).bind(3, payload).bind(4, at).changes(); });
    return sqlite3_last_insert_rowid(transaction);
  }
  template <class Transaction>
  requires requires(Transaction& transaction) {
    { transaction.native() } -> std::convertible_to<sqlite3*>;
  }
  std::int64_t put(Transaction& transaction, std::string_view key, std::string_view topic,
                   std::string_view payload) {
    return put(transaction.native(), key, topic, payload);
  }

  std::vector<ClaimedKey> claim(ClaimId claim, const ClaimLimits& limits) {
    std::vector<ClaimedKey> claimed;
    transact([&](sqlite3* database) {
      claimed.clear();
      const std::int64_t at = now();
      run(database, sql_.due, [&](Run& run) {
        for (run.bind(1, at).bind(2, number(limits.keys)); run.step();)
          claimed.push_back(
              {std::string(run.bytes(0)), static_cast<std::uint32_t>(run.integer(1)), run.integer(2)});
      });
      for (ClaimedKey& key : claimed) {
        run(database, sql_.claim, [&](Run& run) {
          run.bind(1, key.key).bind(2, claim).bind(3, at + limits.lease.count()).changes();
        });
        run(database, sql_.messages, [&](Run& run) {
          for (run.bind(1, key.key).bind(2, number(limits.messages_per_key)); run.step();)
            key.messages.push_back(
                {run.integer(0), key.key, std::string(run.bytes(1)), std::string(run.bytes(2))});
        });
      }
    });
    return claimed;
  }

  std::size_t settle(ClaimId claim, std::span<const SettledKey> settled) {
    std::size_t held = 0;
    transact([&](sqlite3* database) {
      held = 0;
      const std::int64_t at = now();
      const bool keeps = keep_delivered_.count() > 0;
      for (const SettledKey& key : settled) {
        if (!release(database, claim, key, at)) continue;
        ++held;
        for (const std::int64_t id : key.delivered)
          run(database, keeps ? sql_.mark_delivered : sql_.erase, [&](Run& run) {
            if (keeps) run.bind(2, at);
            run.bind(1, id).changes();
          });
        run(database, sql_.erase_empty_key, [&](Run& run) { run.bind(1, key.key).changes(); });
      }
    });
    return held;
  }

  bool set_aside(std::int64_t id, std::string_view actor, std::string_view why) {
    detail::check_set_aside(actor, why);
    bool done = false;
    transact([&](sqlite3* database) {
      const std::int64_t at = now();
      run(database, sql_.free_key, [&](Run& run) { run.bind(1, id).bind(2, at).changes(); });
      run(database, sql_.set_aside,
          [&](Run& run) { done = run.bind(1, id).bind(2, at).bind(3, actor).bind(4, why).changes() > 0; });
    });
    return done;
  }

  std::vector<StuckMessage> stuck(std::uint32_t failures, std::size_t most) {
    std::vector<StuckMessage> found;
    transact([&](sqlite3* database) {
      run(database, sql_.stuck, [&](Run& run) {
        for (run.bind(1, std::int64_t{failures}).bind(2, number(most)); run.step();)
          found.push_back({run.integer(0), std::string(run.bytes(1)),
                           static_cast<std::uint32_t>(run.integer(2)), std::string(run.bytes(3))});
      });
    });
    return found;
  }

  OutboxBacklog backlog() {
    OutboxBacklog backlog;
    transact([&](sqlite3* database) {
      run(database, sql_.backlog, [&](Run& run) {
        if (run.bind(1, now()).step())
          backlog = {static_cast<std::size_t>(run.integer(0)), Duration(run.integer(1))};
      });
    });
    return backlog;
  }

  std::size_t erase_delivered(std::size_t most) {
    std::size_t erased = 0;
    transact([&](sqlite3* database) {
      run(database, sql_.erase_delivered, [&](Run& run) {
        erased = static_cast<std::size_t>(
            run.bind(1, now() - keep_delivered_.count()).bind(2, number(most)).changes());
      });
    });
    return erased;
  }

 private:
  using Run = detail::SqliteRun;

  template <class Body>
  void transact(Body&& body) {
    store_.transact([&](SqliteStore::Transaction& transaction) { body(transaction.native()); });
  }
  template <class Use>
  static void run(sqlite3* database, const std::string& sql, Use&& use) {
    const detail::SqliteStatement statement(database, sql);
    Run one(statement, "using the outbox");
    use(one);
  }

  /// False: the key is not this claim's any more.
  bool release(sqlite3* database, ClaimId claim, const SettledKey& key, std::int64_t at) {
    const bool progress = key.failure || !key.delivered.empty();
    bool held = false;
    run(database, progress ? sql_.release : sql_.release_untried, [&](Run& run) {
      run.bind(1, key.key).bind(2, claim).bind(3, at + key.pause.count()).bind(4, key.alerted);
      if (progress) {
        run.bind(5, std::int64_t{key.failure ? key.failure->in_row : 0});
        run.bind(6, key.failure ? std::string_view(key.failure->text) : std::string_view());
      }
      held = run.changes() > 0;
    });
    return held;
  }

  std::int64_t now() { return clock_.now().time_since_epoch().count(); }
  static std::int64_t number(std::size_t value) noexcept {
    return value > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(value);
  }

  SqliteStore& store_;
  const Duration keep_delivered_;
  const detail::SqliteOutboxSql sql_;
  C clock_;
};

static_assert(OutboxFor<SqliteOutbox<>, SqliteStore::Transaction>);

}  // namespace paidonce::inline v1
