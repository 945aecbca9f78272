// One line for each repository of orders.

#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>

#include <paidonce/orders/memory_orders.hpp>
#include <paidonce/orders/postgres_orders.hpp>
#include <paidonce/orders/sqlite_orders.hpp>

#include "support/catch.hpp"
#include "support/order_repository_suite.hpp"
#include "support/postgres_server.hpp"
#include "support/row_orders.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;
using support::has_code;

namespace {

struct Memory {
  std::optional<MemoryOrders> orders = {};
  MemoryOrders& make(OrderLocking locking, const OrderConflicts& conflicts) {
    if (!orders) orders.emplace(MemoryOrdersOptions{locking, conflicts});
    return *orders;
  }
};

struct Sqlite {
  ScratchDirectory scratch = {};
  SqliteStore store = SqliteStore(scratch / "shop.db");
  SqliteOrders make(OrderLocking locking, const OrderConflicts& conflicts) {
    return SqliteOrders(store, {.locking = locking, .conflicts = conflicts});
  }
};

/// Each with a store, and so a connection, of its own: as another process has them.
struct SqliteFileOfItsOwn {
  ScratchDirectory scratch = {};
  SqliteOrders make(OrderLocking locking, const OrderConflicts& conflicts) {
    return SqliteOrders(scratch / "orders.db", {.locking = locking, .conflicts = conflicts});
  }
};

/// A schema of its own on the shared server.
struct Postgres {
  std::string schema = PostgresServer::fresh_name("orders");
  PostgresStore store =
      PostgresStore(shared_postgres().conninfo(), {.schema = schema, .unsafe = UnsafeConfig::accept});

  Postgres() {
    store.migrate();
    PostgresOrders::migrate(store, {.schema = schema});
  }
  PostgresOrders make(OrderLocking locking, const OrderConflicts& conflicts) {
    return PostgresOrders(store, {.locking = locking, .conflicts = conflicts, .schema = schema});
  }
  void exec(const std::string& sql) { shared_postgres().exec(sql); }
};

}  // namespace

TEST_CASE("MemoryOrders keep orders", "[orders][repository]") { check_order_repository<Memory>(); }
TEST_CASE("SqliteOrders keep orders beside payments", "[orders][repository][sqlite]") {
  check_order_repository<Sqlite>();
}
TEST_CASE("SqliteOrders keep orders in a file of theirs", "[orders][repository][sqlite]") {
  check_order_repository<SqliteFileOfItsOwn>();
}

TEST_CASE("the least that a repository has is enough", "[orders][repository]") {
  struct Archetype {
    Archetype() = default;
    Archetype(Archetype&&) = delete;
    std::optional<Order> find(std::string_view) { return std::nullopt; }
    bool insert(const Order&) { return true; }
    std::optional<Order> change(std::string_view, const OrderChange&) { return std::nullopt; }
  };
  static_assert(OrderRepository<Archetype> && OrderRepository<Archetype&> && !ListableOrders<Archetype>);
  static_assert(!TransactionalOrders<Archetype, SqliteStore::Transaction>);
  static_assert(!TransactionalOrders<MemoryOrders, SqliteStore::Transaction>);
}

TEST_CASE("an order in a transaction of SQLite is there with it, or not at all", "[orders][sqlite]") {
  ScratchDirectory scratch;
  SqliteStore store(scratch / "shop.db");
  SqliteOrders orders(store);
  REQUIRE(orders.insert(make_order("o", Money::parse("4.50", "EUR"))));
  const auto begin = [](Order& order) { order.state = OrderState::paying; };
  CHECK_THROWS_AS(store.transact([&](SqliteStore::Transaction& transaction) {
    CHECK(orders.change_in(transaction, "o", begin)->state == OrderState::paying);
    CHECK(orders.find_in(transaction, "o")->state == OrderState::paying);
    CHECK(orders.find("o")->state == OrderState::unpaid);
    throw std::runtime_error("rolled back");
  }),
                  std::runtime_error);
  CHECK(orders.find("o")->state == OrderState::unpaid);
  store.transact([&](SqliteStore::Transaction& transaction) {
    orders.change_in(transaction, "o", begin);
    CHECK_FALSE(orders.change_in(transaction, "p", begin).has_value());
  });
  CHECK(orders.find("o")->state == OrderState::paying);
}

TEST_CASE("a damaged order is told from none", "[orders][sqlite]") {
  ScratchDirectory scratch;
  SqliteStore store(scratch / "shop.db");
  SqliteOrders orders(store);
  for (const char* damage : {"total = 'x'", "total = '1.2.3'", "currency = 'eur'", "currency = ''",
                             "total = x'00'", "followed = 'x'"}) {
    CAPTURE(damage);
    const std::string number = std::string("o-") + std::to_string(std::string(damage).size()) + damage[0];
    orders.insert(make_order(number, Money::parse("4.50", "EUR")));
    store.transact([&](SqliteStore::Transaction& transaction) {
      const std::string sql =
          std::string("UPDATE paidonce_orders SET ") + damage + " WHERE number = '" + number + "'";
      REQUIRE(sqlite3_exec(transaction.native(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    });
    CHECK_THROWS_MATCHES(orders.find(number), Error, has_code<Error>(errc::store_corrupt));
    CHECK_THROWS_MATCHES(orders.change(number, [](Order&) {}), Error, has_code<Error>(errc::store_corrupt));
  }
}

TEST_CASE("tables of a newer release are refused, and SQL made by others is taken", "[orders][sqlite]") {
  ScratchDirectory scratch;
  SqliteStore store(scratch / "shop.db");
  { SqliteOrders made(store); }
  CHECK_NOTHROW(SqliteOrders(store));
  store.transact([](SqliteStore::Transaction& transaction) {
    REQUIRE(sqlite3_exec(transaction.native(),
                         "UPDATE paidonce_schema SET version = 2 WHERE component = 'paidonce_orders'",
                         nullptr, nullptr, nullptr) == SQLITE_OK);
  });
  CHECK_THROWS_MATCHES(SqliteOrders(store), Error, has_code<Error>(errc::unsupported_format));
}

TEST_CASE("an order's row says what the order says", "[orders]") {
  Order order = order_suite::furnished("o");
  order.version = 5;
  CHECK(order_tests::order_of("o", order_tests::row_of(order)) == order);
}

TEST_CASE("PostgresOrders keep orders", "[orders][repository][postgres]") {
  check_order_repository<Postgres>();
}

TEST_CASE("an order in a transaction of PostgreSQL is there with it, or not at all", "[orders][postgres]") {
  Postgres here;
  PostgresOrders orders = here.make(OrderLocking::optimistic, {});
  REQUIRE(orders.insert(make_order("o", Money::parse("4.50", "EUR"))));
  const auto begin = [](Order& order) { order.state = OrderState::paying; };
  CHECK_THROWS_AS(here.store.transact([&](PostgresStore::Transaction& transaction) {
    CHECK(orders.change_in(transaction, "o", begin)->state == OrderState::paying);
    CHECK(orders.find_in(transaction, "o")->state == OrderState::paying);
    CHECK(orders.find("o")->state == OrderState::unpaid);
    throw std::runtime_error("rolled back");
  }),
                  std::runtime_error);
  CHECK(orders.find("o")->state == OrderState::unpaid);
  here.store.transact([&](PostgresStore::Transaction& transaction) {
    orders.change_in(transaction, "o", begin);
    CHECK_FALSE(orders.change_in(transaction, "p", begin).has_value());
  });
  CHECK(orders.find("o")->state == OrderState::paying);
}

TEST_CASE("tables that are not there, or newer, are told from others", "[orders][postgres]") {
  const std::string schema = PostgresServer::fresh_name("orders");
  PostgresStore store(shared_postgres().conninfo(), {.schema = schema, .unsafe = UnsafeConfig::accept});
  store.migrate();
  CHECK_THROWS_MATCHES(PostgresOrders(store, {.schema = schema}), Error,
                       has_code<Error>(errc::invalid_options));
  for (const char* bad : {"", "x;y", "Upper", "1x", "pg_x"})
    CHECK_THROWS_MATCHES(PostgresOrders::migrate(store, {.schema = bad}), Error,
                         has_code<Error>(errc::invalid_options));
  PostgresOrders::migrate(store, {.schema = schema});
  PostgresOrders::migrate(store, {.schema = schema});
  CHECK_NOTHROW(PostgresOrders(store, {.schema = schema}));
  shared_postgres().exec("INSERT INTO " + schema + ".orders_version VALUES (2)");
  CHECK_THROWS_MATCHES(PostgresOrders(store, {.schema = schema}), Error,
                       has_code<Error>(errc::unsupported_format));
}

TEST_CASE("the schema files of orders make what the library makes", "[orders]") {
  const auto read_file = [](const char* name) {
    std::ifstream file(std::string(PAIDONCE_DOCS "/stores/") + name);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  std::string sqlite(detail::sqlite_schema_table);
  sqlite.append("\n").append(detail::sqlite_orders_sql);
  sqlite += "\nINSERT INTO paidonce_schema (component, version) VALUES ('paidonce_orders', 1);\n\nCOMMIT;\n";
  CHECK_THAT(read_file("sqlite_orders_schema.sql"), support::ends_with(sqlite));

  std::string postgres;
  for (const std::string_view step : detail::postgres_orders_schema_1)
    postgres += detail::in_schema(step, "paidonce") + ";";
  const auto unbroken = [](const std::string& text) {  // the file has line breaks where the library has none
    std::string words;
    for (const char c : text)
      if (c != '\n' && c != ' ') words += c;
    return words;
  };
  CHECK_THAT(unbroken(read_file("postgres_orders_schema.sql")), support::ends_with(unbroken(postgres)));
}
