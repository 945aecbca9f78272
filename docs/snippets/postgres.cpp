// The snippets about the store on a PostgreSQL server.

#include <paidonce/clocks/postgres_clock.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/stores/postgres.hpp>

#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"

using namespace paidonce;

namespace {

// [open]
std::optional<PostgresStore> open_payments(const std::string& conninfo) {
  PostgresStoreOptions options;
  options.schema = "payments";
  options.statement_timeout = Duration(2000);
  options.lock_timeout = Duration(1000);
  try {
    return PostgresStore{conninfo, options};
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';  // what happened, and what to do about it
    return std::nullopt;                // take no payments: without the store each is a first one
  }
}
// [/open]

// [run]
void run(PGconn* connection, const char* sql, const char* value) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(
      PQexecParams(connection, sql, 1, nullptr, &value, nullptr, nullptr, 0), &PQclear);
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw std::runtime_error("the booking failed");
}
// [/run]

}  // namespace

TEST_CASE("the page on PostgresStore pays once", "[docs][postgres]") {
  const std::string conninfo = shared_postgres().fresh_database();
  {
    // [migrate]
    PostgresStoreOptions options;
    options.schema = "payments";
    PostgresStore{conninfo, options}.migrate();
    // [/migrate]
  }
  std::optional<PostgresStore> opened = open_payments(conninfo);
  REQUIRE(opened);
  PostgresStore& store = *opened;
  store.transact([](PostgresStore::Transaction& transaction) {
    PQclear(PQexec(transaction.native(), "CREATE TABLE vouchers (owner text PRIMARY KEY)"));
  });
  {
    // [clock]
    IdempotencyGuard guard{store, KeyedMutex{}, PostgresClock{conninfo}};
    // [/clock]
    const auto ask = [&] {
      // [transaction]
      return guard.execute_in_transaction(
          IdempotencyKey{"shop", "voucher-17"}, fingerprint("voucher-17", "ada"),
          [](Attempt&, PostgresStore::Transaction& transaction) -> PaymentResult<std::string> {
            run(transaction.native(), "INSERT INTO vouchers (owner) VALUES ($1)", "ada");
            return succeeded("a voucher for ada");
          });
      // [/transaction]
    };
    const auto outcome = ask();
    CHECK(outcome.succeeded());
    CHECK(outcome.response() == "a voucher for ada");
    CHECK(ask().replayed());
  }
  // [forget]
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  while (store.erase_expired(now, 10'000) == 10'000) {
  }
  // [/forget]
  CHECK_FALSE(open_payments("host=127.0.0.1 port=1"));
}
