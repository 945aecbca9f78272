#pragma once
// Orders as rows of SQLite. Part of sqlite_orders.hpp; docs/stores/sqlite_orders_schema.sql has the same
// tables for those whose schema is made by others.

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/orders/order.hpp>
#include <paidonce/orders/order_columns.hpp>
#include <paidonce/stores/sqlite/schema.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// `state` of an order: 1 unpaid, 2 paying, 3 paid, 4 refunding, 5 refunded, 6 cancelled; of a refund: 1
/// reserved, 2 done, 3 released. Amounts are texts with all decimals of their currency: "4.50", "EUR".
inline constexpr std::string_view sqlite_orders_sql =
    R"(CREATE TABLE paidonce_orders (
  number TEXT NOT NULL PRIMARY KEY CHECK (length(number) BETWEEN 1 AND 128),
  total TEXT NOT NULL,
  currency TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 6),
  payment INTEGER NOT NULL CHECK (payment BETWEEN 1 AND 4294967295),
  followed INTEGER NOT NULL,
  version INTEGER NOT NULL
);

CREATE INDEX paidonce_orders_open ON paidonce_orders (number) WHERE state IN (2, 4);

CREATE TABLE paidonce_refunds (
  number TEXT NOT NULL REFERENCES paidonce_orders (number),
  id TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
  position INTEGER NOT NULL,
  amount TEXT NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
  followed INTEGER NOT NULL,
  PRIMARY KEY (number, id)
) WITHOUT ROWID;

CREATE VIEW paidonce_orders_readable AS
SELECT number, total, currency,
       CASE state WHEN 1 THEN 'unpaid' WHEN 2 THEN 'paying' WHEN 3 THEN 'paid' WHEN 4 THEN 'refunding'
                  WHEN 5 THEN 'refunded' WHEN 6 THEN 'cancelled' END AS state,
       payment
FROM paidonce_orders;

CREATE VIEW paidonce_refunds_readable AS
SELECT refunds.number, refunds.id, refunds.amount, orders.currency,
       CASE refunds.state WHEN 1 THEN 'reserved' WHEN 2 THEN 'done' WHEN 3 THEN 'released' END AS state
FROM paidonce_refunds AS refunds JOIN paidonce_orders AS orders ON orders.number = refunds.number;
)";

inline SqliteComponent sqlite_orders_component() {
  return {"paidonce_orders", 1, std::string(sqlite_orders_sql)};
}

/// Statements over one connection, prepared when they are needed. Used by one thread at a time; dies before
/// the connection does, and in a store's transaction before its body ends.
class SqliteOrderRows {
 public:
  explicit SqliteOrderRows(sqlite3* database) noexcept : database_(database) {}

  /// Order and refunds in one statement, and so as one snapshot has them.
  std::optional<Order> find(std::string_view number) {
    SqliteStatement& statement =
        prepared(find_, select("paidonce_orders WHERE number = ?1", "ORDER BY o.number, r.position"));
    SqliteRun run(statement, "finding an order");
    run.bind_text(1, number);
    std::vector<Order> found = read(statement, run);
    if (found.empty()) return std::nullopt;
    return std::move(found.front());
  }

  std::vector<Order> open(std::string_view after, std::size_t limit) {
    SqliteStatement& statement =
        prepared(open_, select("paidonce_orders INDEXED BY paidonce_orders_open WHERE state IN (2, 4) AND "
                               "number > ?1 ORDER BY number LIMIT ?2",
                               "ORDER BY o.number, r.position"));
    SqliteRun run(statement, "listing orders");
    run.bind_text(1, after);
    constexpr std::size_t most = std::size_t{1} << 30;
    run.bind(2, static_cast<std::int64_t>(limit < most ? limit : most));
    return read(statement, run);
  }

  /// False: the number is taken. `order` has version 1 from now on.
  bool insert(const Order& order) {
    const std::string total = order.total.amount();
    SqliteRun run(prepared(insert_,
                           "INSERT INTO paidonce_orders (number, total, currency, state, payment, followed, "
                           "version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (number) DO NOTHING"),
                  "inserting an order");
    bind(run, order, total);
    if (run.bind(7, 1).changes() == 0) return false;
    for (std::size_t i = 0; i < order.refunds.size(); ++i) put(order, i);
    return true;
  }

  /// False: the order has another version than `before` by now. Nothing is written then.
  bool replace(const Order& before, const Order& after) {
    const std::string total = after.total.amount();
    {
      SqliteRun run(
          prepared(replace_,
                   "UPDATE paidonce_orders SET total = ?2, currency = ?3, state = ?4, payment = ?5, "
                   "followed = ?6, version = ?7 WHERE number = ?1 AND version = ?8"),
          "changing an order");
      bind(run, after, total);
      if (run.bind(7, signed_of(after.version)).bind(8, signed_of(before.version)).changes() == 0)
        return false;
    }
    for (std::size_t i = 0; i < after.refunds.size(); ++i)
      if (i >= before.refunds.size() || !(before.refunds[i] == after.refunds[i])) put(after, i);
    return true;
  }

 private:
  static std::int64_t signed_of(Version version) noexcept { return static_cast<std::int64_t>(version); }

  static std::string select(std::string_view orders, std::string_view order_by) {
    return "SELECT o.number, o.total, o.currency, o.state, o.payment, o.followed, o.version, r.id, r.amount, "
           "r.state, r.followed FROM (SELECT * FROM " +
           std::string(orders) + ") AS o LEFT JOIN paidonce_refunds AS r ON r.number = o.number " +
           std::string(order_by);
  }

  SqliteStatement& prepared(SqliteStatement& statement, const std::string& sql) {
    if (!statement.get()) statement = SqliteStatement(database_, sql);
    return statement;
  }

  static void bind(SqliteRun& run, const Order& order, const std::string& total) {
    run.bind_text(1, order.number);
    run.bind_text(2, total);
    run.bind_text(3, order.total.currency().code());
    run.bind(4, static_cast<std::int64_t>(order.state));
    run.bind(5, static_cast<std::int64_t>(order.payment));
    run.bind(6, signed_of(order.followed));
  }

  void put(const Order& order, std::size_t position) {
    const Refund& refund = order.refunds[position];
    const std::string amount = refund.amount.amount();
    SqliteRun run(
        prepared(put_,
                 "INSERT INTO paidonce_refunds (number, id, position, amount, state, followed) VALUES (?1, "
                 "?2, ?3, ?4, ?5, ?6) ON CONFLICT (number, id) DO UPDATE SET state = ?5, followed = ?6"),
        "changing a refund");
    run.bind_text(1, order.number);
    run.bind_text(2, refund.id);
    run.bind(3, static_cast<std::int64_t>(position));
    run.bind_text(4, amount);
    run.bind(5, static_cast<std::int64_t>(refund.state));
    run.bind(6, signed_of(refund.followed)).changes();
  }

  /// `run` is over `statement`, its rows sorted by order.
  static std::vector<Order> read(const SqliteStatement& statement, SqliteRun& run) {
    const auto text = [&](int column) -> std::string_view {
      const auto* const bytes = sqlite3_column_text(statement.get(), column);
      if (!bytes) throw_corrupt_order();
      return {reinterpret_cast<const char*>(bytes),
              static_cast<std::size_t>(sqlite3_column_bytes(statement.get(), column))};
    };
    std::vector<Order> found;
    while (run.step()) {
      const std::string_view number = text(0);
      const std::string currency(text(2));
      if (found.empty() || found.back().number != number) {
        const std::string total(text(1));
        found.push_back({std::string(number),
                         money_from_columns(total, currency),
                         order_state_from(run.integer(3)),
                         payment_from(run.integer(4)),
                         static_cast<Version>(run.integer(5)),
                         {},
                         static_cast<Version>(run.integer(6))});
      }
      if (sqlite3_column_type(statement.get(), 7) == SQLITE_NULL) continue;
      std::string id(text(7));
      found.back().refunds.push_back({std::move(id), money_from_columns(text(8), currency),
                                      refund_state_from(run.integer(9)),
                                      static_cast<Version>(run.integer(10))});
    }
    return found;
  }

  sqlite3* database_;
  SqliteStatement find_, open_, insert_, replace_, put_;
};

}  // namespace paidonce::inline v1::detail
