// The snippets about payments that are rows of the store's own database.

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/sqlite.hpp>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <sqlite3.h>

#include "elsewhere.hpp"
#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;

namespace {

void run(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    throw std::runtime_error(sqlite3_errmsg(database));
}

int balance(SqliteStore& store, const char* account) {
  int euros = 0;
  store.transact([&](SqliteStore::Transaction& transaction) {
    const std::string sql = std::string("SELECT euros FROM accounts WHERE name = '") + account + "'";
    sqlite3_exec(
        transaction.native(), sql.c_str(),
        [](void* out, int, char** values, char**) {
          *static_cast<int*>(out) = std::stoi(values[0]);
          return 0;
        },
        &euros, nullptr);
  });
  return euros;
}

}  // namespace

TEST_CASE("a booking and its record commit together", "[docs][sqlite]") {
  ScratchDirectory scratch;
  SqliteStore store(scratch / "bank.db");
  store.transact([](SqliteStore::Transaction& transaction) {
    run(transaction.native(),
        "CREATE TABLE accounts (name TEXT PRIMARY KEY, euros INTEGER NOT NULL CHECK (euros >= 0)) STRICT;"
        "INSERT INTO accounts VALUES ('ada', 100), ('ben', 0)");
  });
  IdempotencyGuard guard{store};
  const auto transfer = [&](const std::string& id) {
    // [transfer]
    return guard.execute_in_transaction(
        IdempotencyKey{"bank", id}, fingerprint(id, "70", "EUR", "ada", "ben"),
        [](Attempt&, SqliteStore::Transaction& transaction) -> PaymentResult<std::string> {
          // In one transaction with the record: all of it is committed, or nothing is.
          run(transaction.native(), "UPDATE accounts SET euros = euros - 70 WHERE name = 'ada'");
          run(transaction.native(), "UPDATE accounts SET euros = euros + 70 WHERE name = 'ben'");
          return succeeded("70 EUR from ada to ben");
        });
    // [/transfer]
  };
  CHECK(transfer("transfer-1").succeeded());
  CHECK(transfer("transfer-1").replayed());
  CHECK(balance(store, "ada") == 30);
  CHECK(balance(store, "ben") == 70);

  const auto refused = transfer("transfer-2");  // ada has 30 left, and the CHECK objects
  CHECK(refused.status() == Status::not_executed);
  CHECK(refused.cause());
  CHECK(balance(store, "ada") == 30);
  CHECK(balance(store, "ben") == 70);
}

TEST_CASE("a guard over SQLite takes one line", "[docs][sqlite]") {
  const integration::ElsewhereForNow elsewhere;
  // [sqlite]
  IdempotencyGuard guard{SqliteStore{"payments.db"}};
  // [/sqlite]
  CHECK(guard.execute(IdempotencyKey{"shop", "1"}, fingerprint("1"), [] { return 1; }).succeeded());
  CHECK(std::filesystem::exists("payments.db"));
}
