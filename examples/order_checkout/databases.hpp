#pragma once
// The shop's database: payments, orders and outbox side by side, so that they change in one transaction.

#include <filesystem>
#include <string>

#include <paidonce/orders/postgres_orders.hpp>
#include <paidonce/orders/postgres_outbox.hpp>
#include <paidonce/orders/sqlite_orders.hpp>
#include <paidonce/orders/sqlite_outbox.hpp>

namespace checkout {

/// One host: a file.
struct SqliteDatabase {
  explicit SqliteDatabase(const std::filesystem::path& file) : store(file) {}

  paidonce::SqliteStore store;
  paidonce::SqliteOrders orders{store};
  paidonce::SqliteOutbox<> outbox{store};
};

/// Many hosts: a server. The tables are made once, by `migrate`, or by hand from docs/stores/.
struct PostgresDatabase {
  explicit PostgresDatabase(const std::string& url) : store(url) {}

  static void migrate(const std::string& url) {
    paidonce::PostgresStore store(url);
    store.migrate();
    paidonce::PostgresOrders::migrate(store);
    paidonce::PostgresOutbox::migrate(store);
  }

  paidonce::PostgresStore store;
  paidonce::PostgresOrders orders{store};
  paidonce::PostgresOutbox outbox{store};
};

}  // namespace checkout
