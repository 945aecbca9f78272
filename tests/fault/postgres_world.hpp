#pragma once
// A guard over a PostgreSQL server that is out of reach, dies or hangs when a test says so.

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/guard/transaction.hpp>
#include <paidonce/locks/no_lock.hpp>
#include <paidonce/stores/postgres.hpp>

#include "fault/payments.hpp"
#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/pq.hpp"
#include "support/tcp_proxy.hpp"

namespace fault {

using namespace paidonce;

/// Short enough for a test that waits for each of them, long enough for a machine that has other things to
/// do.
inline PostgresStoreOptions short_timeouts(std::string schema) {
  PostgresStoreOptions options;
  options.schema = std::move(schema);
  options.connect_timeout = Duration(3000);
  options.statement_timeout = Duration(900);
  options.lock_timeout = Duration(300);
  options.acquire_timeout = Duration(300);
  options.idle_in_transaction_timeout = Duration(5000);
  options.reconnect = {Duration(5), Duration(50), Jitter::equal};
  return options;
}

/// A schema on a server, one store by way of a network that fails, and one that has a line of its own.
class PostgresWorld : public Payments {
 public:
  using Guard = IdempotencyGuard<PostgresStore&, NoLock, ManualClock>;

  explicit PostgresWorld(PostgresServer& the_server = shared_postgres(),
                         const std::string& extra_conninfo = "",
                         PostgresStoreOptions options = short_timeouts(PostgresServer::fresh_name("w")),
                         int by_way_of = 0)
      : server(the_server),
        schema(options.schema),
        proxy(by_way_of == 0 ? server.port() : by_way_of),
        straight((PostgresStore(server.conninfo() + local, options).migrate(), server.conninfo() + local),
                 options),
        store(proxy.conninfo(server.conninfo()) + extra_conninfo, options),
        guard(store, NoLock(), clock) {
    server.exec("SET synchronous_commit = local; CREATE TABLE " + schema + ".rows (order_number text)");
  }
  ~PostgresWorld() {
    try {
      server.exec("SET synchronous_commit = local; DROP SCHEMA " + schema + " CASCADE");
    } catch (const std::exception&) {
      // It goes with its server.
    }
  }

  /// Pays through the provider. `before` and `after` the charge something may happen.
  template <class Before, class After>
  Told pay(Guard& by, const std::string& order, const Before& before, const After& after) {
    return pay_by(by, order, before, after, [&](const std::string& each) { return record(each); });
  }
  Told pay(const std::string& order) {
    return pay(
        guard, order, [] {}, [] {});
  }

  /// A row and the record in one transaction.
  template <class After>
  Told pay_in_transaction(const std::string& order, const After& after) {
    const IdempotencyKey key = key_of(order);
    int runs = 0;
    const Told told = tell([&] {
      return guard.execute_in_transaction(
          key, fingerprint(order),
          [&](Attempt&, PostgresStore::Transaction& transaction) -> PaymentResult<std::string> {
            ++runs;
            const char* const number = order.c_str();
            const std::unique_ptr<PGresult, decltype(&PQclear)> result(
                PQexecParams(transaction.native(), ("INSERT INTO " + schema + ".rows VALUES ($1)").c_str(), 1,
                             nullptr, &number, nullptr, nullptr, 0),
                &PQclear);
            if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw std::runtime_error("no row");
            after(transaction);
            return succeeded("row of " + order);
          });
    });
    INFO("order " << order << " was told: " << told.how);
    CHECK(runs <= 1);
    const std::string there = rows(order);
    if (told.how == "completed") {
      CHECK(told.response == "row of " + order);
      CHECK(there == "1");
      const auto recorded = record(order);
      CHECK((recorded && recorded->state == State::succeeded));
    } else if (told.how != "in_doubt") {
      // It was not committed, and nothing can commit it any more: see settled().
      CHECK(there == "0");
    }
    return told;
  }
  Told pay_in_transaction(const std::string& order) {
    return pay_in_transaction(order, [](PostgresStore::Transaction&) {});
  }

  /// How many rows of an order are committed.
  std::string rows(const std::string& order) {
    return asked([&] {
      return server.value("SELECT count(*) FROM " + schema + ".rows WHERE order_number = '" + order + "'");
    });
  }
  std::optional<Record> record(const std::string& order) {
    return asked([&] { return straight.find(key_of(order)); });
  }

  /// Once nothing goes wrong any more, and leases are over: the payment comes to its end, once, and stays
  /// there.
  void settle(const std::string& order) {
    proxy.reset();
    settle_by(order, [&](const std::string& each) { return pay(each); });
  }

  /// Where a server commits only with a standby, what the test itself writes does not wait for it.
  static constexpr const char* local = " options='-c synchronous_commit=local'";

  PostgresServer& server;
  const std::string schema;
  TcpProxy proxy;
  PostgresStore straight, store;
  Guard guard;
};

}  // namespace fault
