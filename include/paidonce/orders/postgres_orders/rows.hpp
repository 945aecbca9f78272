#pragma once
// Orders as rows of PostgreSQL, on the connection of a transaction. Part of postgres_orders.hpp.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>
#include <paidonce/orders/order.hpp>
#include <paidonce/orders/order_columns.hpp>
#include <paidonce/orders/postgres_orders/schema.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/parameters.hpp>
#include <paidonce/stores/postgres/run_in_transaction.hpp>
#include <paidonce/stores/postgres/schema.hpp>

namespace paidonce::inline v1::detail {

/// The SQL, with the schema's name in it. Immutable.
struct PostgresOrdersSql {
  explicit PostgresOrdersSql(std::string in)
      : schema(std::move(in)),
        find(select("WHERE o.number = $1::text")),
        open(select(
            "WHERE o.number = ANY (ARRAY (SELECT number FROM %.orders WHERE state IN (2, 4) AND number > "
            "$1::text ORDER BY number LIMIT $2::int8))")),
        lock(
            of("SELECT o.number, o.total::text, o.currency, o.state::int8, o.payment, o.followed, o.version, "
               "o.refunds FROM %.orders o WHERE o.number = $1::text FOR UPDATE")),
        refunds(of("SELECT r.id, r.amount::text, r.state::int8, r.followed FROM %.refunds r WHERE r.number = "
                   "$1::text ORDER BY r.position")),
        insert(
            of("INSERT INTO %.orders (number, total, currency, state, payment, followed, version, refunds) "
               "VALUES ($1::text, $2::text::numeric, $3::text, $4::int8, $5::int8, $6::int8, $7::int8, "
               "$8::int8) ON CONFLICT (number) DO NOTHING")),
        replace(of(
            "UPDATE %.orders SET total = $2::text::numeric, currency = $3::text, state = $4::int8, payment "
            "= $5::int8, followed = $6::int8, version = $7::int8, refunds = $8::int8 WHERE number = "
            "$1::text AND version = $9::int8")),
        put(of(
            "INSERT INTO %.refunds (number, id, position, amount, state, followed) VALUES ($1::text, "
            "$2::text, "
            "$3::int8, $4::text::numeric, $5::int8, $6::int8) ON CONFLICT (number, id) DO UPDATE SET state = "
            "excluded.state, followed = excluded.followed")),
        has_version(of("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
                       "n.nspname = '%' AND c.relname = 'orders_version'")),
        version(of("SELECT coalesce(max(version), 0)::int8 FROM %.orders_version")),
        migration_lock(of("SELECT pg_advisory_xact_lock(1885431140, hashtext('%.orders'))")),
        has_schema(of("SELECT count(*) FROM pg_namespace WHERE nspname = '%'")),
        create_schema(of("CREATE SCHEMA %")) {}

  std::string of(std::string_view text) const { return in_schema(text, schema); }

  const std::string schema;
  const std::string find, open, lock, refunds, insert, replace, put;
  const std::string has_version, version, migration_lock, has_schema, create_schema;

 private:
  std::string select(std::string_view where) const {
    return of(
        "SELECT o.number, o.total::text, o.currency, o.state::int8, o.payment, o.followed, o.version, r.id, "
        "r.amount::text, r.state::int8, r.followed FROM %.orders o LEFT JOIN %.refunds r ON r.number = "
        "o.number " +
        std::string(where) + " ORDER BY o.number, r.position");
  }
};

/// Works on one connection, within a transaction. The client's own deadline ends a statement whose answer
/// does not come at all; the server's timeouts, which the transaction has set, come before it.
class PostgresOrderRows {
 public:
  PostgresOrderRows(PGconn* connection, const PostgresOrdersSql& sql, Duration answer_within) noexcept
      : connection_(connection), sql_(sql), answer_within_(answer_within) {}

  /// Order and refunds in one statement, and so as one snapshot has them.
  std::optional<Order> find(std::string_view number) {
    PostgresParameters given;
    given.bytes(number);
    std::vector<Order> found = orders_of(run(sql_.find, given));
    if (found.empty()) return std::nullopt;
    return std::move(found.front());
  }

  /// The order, which nobody else changes before the transaction ends. Its refunds are read by a statement of
  /// its own: the one that waited for the lock has them as they were before.
  std::optional<Order> lock(std::string_view number) {
    PostgresParameters given;
    given.bytes(number);
    const PostgresResult row = run(sql_.lock, given);
    if (row.rows() == 0) return std::nullopt;
    Order order = order_of(row, 0);
    const std::int64_t refunds = integer(row, 0, 7);
    if (refunds == 0) return order;
    const PostgresResult rows = run(sql_.refunds, given);
    if (rows.rows() != refunds) throw_corrupt_order();
    for (int i = 0; i < rows.rows(); ++i) order.refunds.push_back(refund_of(rows, i, 0, order.total));
    return order;
  }

  std::vector<Order> open(std::string_view after, std::size_t limit) {
    constexpr std::size_t most = std::size_t{1} << 30;
    PostgresParameters given;
    given.bytes(after);
    given.integer(static_cast<std::int64_t>(limit < most ? limit : most));
    return orders_of(run(sql_.open, given));
  }

  /// False: the number is taken. The order has version 1 from now on.
  bool insert(const Order& order) {
    const std::string total = order.total.amount();
    PostgresParameters given;
    bind(given, order, total, 1);
    if (run(sql_.insert, given).changed() == 0) return false;
    for (std::size_t i = 0; i < order.refunds.size(); ++i) put(order, i);
    return true;
  }

  /// False: the order has another version than `before` by now. Nothing is written then.
  bool replace(const Order& before, const Order& after) {
    const std::string total = after.total.amount();
    PostgresParameters given;
    bind(given, after, total, after.version);
    given.integer(static_cast<std::int64_t>(before.version));
    if (run(sql_.replace, given).changed() == 0) return false;
    for (std::size_t i = 0; i < after.refunds.size(); ++i)
      if (i >= before.refunds.size() || !(before.refunds[i] == after.refunds[i])) put(after, i);
    return true;
  }

  /// Of the tables; 0 where they are not there.
  std::int64_t version() {
    if (number_of(sql_.has_version) == 0) return 0;
    return number_of(sql_.version);
  }

  void migrate() {
    const PostgresParameters none = {};
    run(sql_.migration_lock, none);
    if (number_of(sql_.has_schema) == 0) run(sql_.create_schema, none);
    if (version() == 0)
      for (const std::string_view step : postgres_orders_schema_1) run(sql_.of(step), none);
  }

 private:
  static void bind(PostgresParameters& given, const Order& order, const std::string& total, Version version) {
    given.bytes(order.number);
    given.bytes(total);
    given.bytes(order.total.currency().code());
    given.integer(static_cast<std::int64_t>(order.state));
    given.integer(static_cast<std::int64_t>(order.payment));
    given.integer(static_cast<std::int64_t>(order.followed));
    given.integer(static_cast<std::int64_t>(version));
    given.integer(static_cast<std::int64_t>(order.refunds.size()));
  }

  void put(const Order& order, std::size_t position) {
    const Refund& refund = order.refunds[position];
    const std::string amount = refund.amount.amount();
    PostgresParameters given;
    given.bytes(order.number);
    given.bytes(refund.id);
    given.integer(static_cast<std::int64_t>(position));
    given.bytes(amount);
    given.integer(static_cast<std::int64_t>(refund.state));
    given.integer(static_cast<std::int64_t>(refund.followed));
    run(sql_.put, given);
  }

  std::int64_t number_of(const std::string& sql) {
    const PostgresParameters none = {};
    return integer(run(sql, none), 0, 0);
  }

  static std::int64_t integer(const PostgresResult& result, int row, int column) {
    if (PQgetlength(result.get(), row, column) != 8) throw_corrupt_order();
    return network_to<std::int64_t>(PQgetvalue(result.get(), row, column));
  }
  static std::string_view text(const PostgresResult& result, int row, int column) {
    return {PQgetvalue(result.get(), row, column),
            static_cast<std::size_t>(PQgetlength(result.get(), row, column))};
  }

  static Order order_of(const PostgresResult& rows, int row) {
    return {std::string(text(rows, row, 0)),
            money_from_columns(text(rows, row, 1), text(rows, row, 2)),
            order_state_from(integer(rows, row, 3)),
            payment_from(integer(rows, row, 4)),
            static_cast<Version>(integer(rows, row, 5)),
            {},
            static_cast<Version>(integer(rows, row, 6))};
  }
  static Refund refund_of(const PostgresResult& rows, int row, int column, const Money& total) {
    return {std::string(text(rows, row, column)),
            money_from_columns(text(rows, row, column + 1), total.currency().code()),
            refund_state_from(integer(rows, row, column + 2)),
            static_cast<Version>(integer(rows, row, column + 3))};
  }
  static std::vector<Order> orders_of(const PostgresResult& rows) {
    std::vector<Order> found;
    for (int row = 0; row < rows.rows(); ++row) {
      if (found.empty() || found.back().number != text(rows, row, 0)) found.push_back(order_of(rows, row));
      if (PQgetisnull(rows.get(), row, 7) == 0)
        found.back().refunds.push_back(refund_of(rows, row, 7, found.back().total));
    }
    return found;
  }

  PostgresResult run(const std::string& sql, const PostgresParameters& given) {
    return run_in_transaction(connection_, sql, given, answer_within_);
  }

  PGconn* connection_;
  const PostgresOrdersSql& sql_;
  Duration answer_within_;
};

}  // namespace paidonce::inline v1::detail
