#pragma once
// Orders in the database of a PostgresStore: tables `orders` and `refunds` in a schema of choice. Many hosts,
// many processes.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/orders/order_locking.hpp>
#include <paidonce/orders/order_repository.hpp>
#include <paidonce/orders/postgres_orders/rows.hpp>
#include <paidonce/stores/postgres.hpp>

namespace paidonce::inline v1 {

struct PostgresOrdersOptions {
  /// Optimistic: reads, then compares and swaps on the version. Pessimistic: SELECT … FOR UPDATE.
  OrderLocking locking = OrderLocking::optimistic;
  OrderConflicts conflicts = {};
  /// Where the tables are: lower-case letters, digits and underscores, not beginning with a digit.
  std::string schema = "paidonce";
  /// How long a statement's answer is waited for where the server's own timeouts do not reach: a network that
  /// went silent. Longer than PostgresStoreOptions::statement_timeout.
  Duration answer_within{10'000};
};

/// A movable handle; the store outlives it. Any number of threads, processes and hosts. Each operation is a
/// transaction of the store, and throws what that does. At READ COMMITTED, the server's default, nothing is
/// undone for others' sake; at a stricter isolation a change that met others' is `store_busy`, too.
class PostgresOrders {
 public:
  /// Throws `invalid_options`, also where the tables are not there, and `unsupported_format` where a newer
  /// release has made them.
  explicit PostgresOrders(PostgresStore& store, PostgresOrdersOptions options = {})
      : state_(std::make_unique<State>(store, std::move(options))) {
    const std::int64_t version = in_transaction([](Rows& rows) { return rows.version(); });
    if (version == 0)
      throw Error(errc::invalid_options,
                  "the orders have no tables: call PostgresOrders::migrate(store), or run "
                  "docs/stores/postgres_orders_schema.sql");
    refuse_newer(version);
  }

  /// Makes the tables, and the schema, where they are not there. Any number of hosts may call it at once.
  static void migrate(PostgresStore& store, const PostgresOrdersOptions& options = {}) {
    check(options);
    const detail::PostgresOrdersSql sql(options.schema);
    store.transact([&](PostgresStore::Transaction& transaction) {
      Rows(transaction.native(), sql, options.answer_within).migrate();
    });
  }

  std::optional<Order> find(std::string_view number) {
    return in_transaction([&](Rows& rows) { return rows.find(number); });
  }
  std::vector<Order> open(std::string_view after, std::size_t limit) {
    return in_transaction([&](Rows& rows) { return rows.open(after, limit); });
  }
  bool insert(const Order& order) {
    check_order(order);
    return in_transaction([&](Rows& rows) { return rows.insert(order); });
  }

  std::optional<Order> change(std::string_view number, const OrderChange& change) {
    if (state_->options.locking == OrderLocking::pessimistic)
      return in_transaction([&](Rows& rows) { return change_locked(rows, number, change); });
    return detail::despite_conflicts(state_->options.conflicts, [&]() -> std::optional<std::optional<Order>> {
      const std::optional<Order> before = find(number);
      std::optional<Order> order = before;
      if (!order || !detail::apply_change(*order, change)) return order;
      if (!in_transaction([&](Rows& rows) { return rows.replace(*before, *order); })) return std::nullopt;
      return order;
    });
  }

  /// Within a transaction of the store; see OrderRepository. The order is locked until its end.
  std::optional<Order> find_in(PostgresStore::Transaction& transaction, std::string_view number) {
    return rows_of(transaction).find(number);
  }
  std::optional<Order> change_in(PostgresStore::Transaction& transaction, std::string_view number,
                                 const OrderChange& change) {
    Rows rows = rows_of(transaction);
    return change_locked(rows, number, change);
  }

 private:
  using Rows = detail::PostgresOrderRows;

  struct State {
    State(PostgresStore& given, PostgresOrdersOptions chosen)
        : store(given), options((check(chosen), std::move(chosen))), sql(options.schema) {}
    PostgresStore& store;
    const PostgresOrdersOptions options;
    const detail::PostgresOrdersSql sql;
  };

  static void check(const PostgresOrdersOptions& options) {
    detail::checked(options.conflicts);
    if (!detail::is_plain_identifier(options.schema))
      throw Error(errc::invalid_options,
                  "PostgresOrdersOptions::schema must be lower-case letters, digits and underscores, and not "
                  "begin with a digit or pg_");
    if (options.answer_within.count() <= 0)
      throw Error(errc::invalid_options, "PostgresOrdersOptions::answer_within must be longer than zero");
  }
  static void refuse_newer(std::int64_t version) {
    if (version > detail::postgres_orders_version)
      throw Error(errc::unsupported_format,
                  "the tables of orders were made by a newer release: use that one, or a newer one");
  }

  Rows rows_of(PostgresStore::Transaction& transaction) const {
    return {transaction.native(), state_->sql, state_->options.answer_within};
  }

  template <class Body>
  auto in_transaction(Body&& body) -> decltype(body(std::declval<Rows&>())) {
    std::optional<decltype(body(std::declval<Rows&>()))> answer;
    state_->store.transact([&](PostgresStore::Transaction& transaction) {
      Rows rows = rows_of(transaction);
      answer.emplace(body(rows));
    });
    return *std::move(answer);
  }

  static std::optional<Order> change_locked(Rows& rows, std::string_view number, const OrderChange& change) {
    std::optional<Order> order = rows.lock(number);
    if (!order) return order;
    const Order before = *order;
    if (detail::apply_change(*order, change) && !rows.replace(before, *order))
      throw Error(errc::store_unavailable,
                  "the change of a locked order was not stored: a trigger or rule of its table drops it");
    return order;
  }

  std::unique_ptr<State> state_;
};

static_assert(ListableOrders<PostgresOrders> &&
              TransactionalOrders<PostgresOrders, PostgresStore::Transaction>);

}  // namespace paidonce::inline v1
