#pragma once
// Orders in a SQLite database: tables `paidonce_orders` and `paidonce_refunds`, beside the payments' own or
// in a file of theirs. One host, many processes.

#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/orders/order_locking.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/sqlite_orders/rows.hpp>
#include <paidonce/stores/sqlite.hpp>
#include <paidonce/stores/sqlite/connection.hpp>

namespace paidonce::inline v1 {

struct SqliteOrdersOptions {
  /// Optimistic: reads beside other writers, then compares and swaps. Pessimistic: reads within BEGIN
  /// IMMEDIATE.
  OrderLocking locking = OrderLocking::optimistic;
  OrderConflicts conflicts = {};
  Duration busy_timeout{5000};  ///< how long a read waits where SQLite makes it wait; writes: the store's
  std::string vfs = {};         ///< as SqliteStoreOptions::vfs
};

/// A movable handle; any number of threads may use it, and any number of handles and processes the same
/// file. Writes go through a SqliteStore, which says what they may throw.
class SqliteOrders {
 public:
  /// Over the database of `store`, which outlives this; makes the tables where they are not there. For
  /// OrderStore, and wherever payments and orders share a file.
  explicit SqliteOrders(SqliteStore& store, SqliteOrdersOptions options = {})
      : SqliteOrders(nullptr, store, std::move(options)) {}
  /// A file of its own, opened as SqliteStore does it, whose empty table of payments is made there too.
  explicit SqliteOrders(const std::filesystem::path& file, SqliteOrdersOptions options = {})
      : SqliteOrders(std::make_unique<SqliteStore>(
                         file, SqliteStoreOptions{.busy_timeout = options.busy_timeout, .vfs = options.vfs}),
                     std::move(options)) {}

  /// Reads beside whoever writes.
  std::optional<Order> find(std::string_view number) {
    return state_->read([&](detail::SqliteOrderRows& rows) { return rows.find(number); });
  }
  std::vector<Order> open(std::string_view after, std::size_t limit) {
    return state_->read([&](detail::SqliteOrderRows& rows) { return rows.open(after, limit); });
  }

  bool insert(const Order& order) {
    check_order(order);
    bool inserted = false;
    state_->store.transact([&](SqliteStore::Transaction& transaction) {
      inserted = detail::SqliteOrderRows(transaction.native()).insert(order);
    });
    return inserted;
  }

  /// `Error{store_busy}`: others were faster each time, or held the file for too long; nothing was stored.
  std::optional<Order> change(std::string_view number, const OrderChange& change) {
    if (state_->options.locking == OrderLocking::pessimistic) {
      std::optional<Order> order;
      state_->store.transact(
          [&](SqliteStore::Transaction& transaction) { order = change_in(transaction, number, change); });
      return order;
    }
    return detail::despite_conflicts(state_->options.conflicts, [&]() -> std::optional<std::optional<Order>> {
      const std::optional<Order> before = find(number);
      std::optional<Order> order = before;
      if (!order || !detail::apply_change(*order, change)) return order;
      bool stored = false;
      state_->store.transact([&](SqliteStore::Transaction& transaction) {
        stored = detail::SqliteOrderRows(transaction.native()).replace(*before, *order);
      });
      if (!stored) return std::nullopt;
      return order;
    });
  }

  /// Within a transaction of the store below; see OrderRepository.
  std::optional<Order> find_in(SqliteStore::Transaction& transaction, std::string_view number) {
    return detail::SqliteOrderRows(transaction.native()).find(number);
  }
  std::optional<Order> change_in(SqliteStore::Transaction& transaction, std::string_view number,
                                 const OrderChange& change) {
    detail::SqliteOrderRows rows(transaction.native());
    std::optional<Order> order = rows.find(number);
    if (!order) return order;
    const Order before = *order;
    if (detail::apply_change(*order, change) && !rows.replace(before, *order))
      throw Error(errc::store_unavailable,
                  "the change of a locked order was not stored: a trigger of its table drops it");
    return order;
  }

 private:
  struct Reader {
    Reader(const std::string& path, const std::string& vfs, detail::SteadyTime deadline)
        : connection(path, vfs, detail::SqliteConnection::Use::reads, deadline), rows(connection.get()) {}
    detail::SqliteConnection connection;
    detail::SqliteOrderRows rows;
  };

  struct State {
    State(std::unique_ptr<SqliteStore> its_own, SqliteStore& given, SqliteOrdersOptions chosen)
        : options(std::move(chosen)), own(std::move(its_own)), store(given) {
      detail::checked(options.conflicts);
      if (options.busy_timeout < Duration(1) || options.busy_timeout > Duration(3'600'000))
        throw Error(errc::invalid_options, "SqliteOrdersOptions::busy_timeout must be from 1 ms to 1 hour");
      store.transact([&](SqliteStore::Transaction& transaction) {
        const char* const name = sqlite3_db_filename(transaction.native(), "main");
        path = name ? name : "";
      });
      detail::SqliteConnection maker(path, options.vfs, detail::SqliteConnection::Use::writes, deadline());
      detail::ensure_sqlite_component(maker.get(), detail::sqlite_orders_component());
    }

    detail::SteadyTime deadline() const noexcept {
      return std::chrono::steady_clock::now() + options.busy_timeout;
    }

    template <class Read>
    auto read(Read&& what) -> decltype(what(std::declval<detail::SqliteOrderRows&>())) {
      if (!process.is_this_one())
        throw Error(errc::store_forked,
                    "these SqliteOrders were opened before a fork and belong to the "
                    "parent: open them again in the child");
      std::unique_ptr<Reader> reader = take();
      reader->connection.set_deadline(deadline());
      auto answer = what(reader->rows);
      std::lock_guard lock(mutex);
      if (free.size() < most_kept) free.push_back(std::move(reader));
      return answer;
    }

    std::unique_ptr<Reader> take() {
      {
        std::lock_guard lock(mutex);
        if (!free.empty()) {
          std::unique_ptr<Reader> reader = std::move(free.back());
          free.pop_back();
          return reader;
        }
      }
      return std::make_unique<Reader>(path, options.vfs, deadline());
    }

    static constexpr std::size_t most_kept = 8;  // connections; more are closed after their use
    const detail::OwnProcess process = {};
    const SqliteOrdersOptions options;
    std::unique_ptr<SqliteStore> own;
    SqliteStore& store;
    std::string path = {};
    std::mutex mutex = {};
    std::vector<std::unique_ptr<Reader>> free = {};
  };

  SqliteOrders(std::unique_ptr<SqliteStore> own, SqliteOrdersOptions options)
      : SqliteOrders(std::move(own), *own, std::move(options)) {}
  SqliteOrders(std::unique_ptr<SqliteStore>&& own, SqliteStore& store, SqliteOrdersOptions options)
      : state_(new State(std::move(own), store, std::move(options))) {}

  /// A child of a fork leaves its parent's connections alone.
  struct Close {
    void operator()(State* state) const noexcept {
      if (state->process.is_this_one()) delete state;
    }
  };

  std::unique_ptr<State, Close> state_;
};

static_assert(ListableOrders<SqliteOrders> && TransactionalOrders<SqliteOrders, SqliteStore::Transaction>);

}  // namespace paidonce::inline v1
