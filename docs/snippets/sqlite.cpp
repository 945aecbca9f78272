// What docs/stores/sqlite.md shows.

#include <filesystem>
#include <iostream>
#include <optional>

#include <sqlite3.h>

#include <paidonce/guard.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;

namespace {

// [open]
std::optional<SqliteStore> open_shared_payments(const std::filesystem::path& file) {
  SqliteStoreOptions options;
  options.busy_timeout = Duration(2000);
  try {
    return SqliteStore{file, options};
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';  // what happened, and what to do about it
    return std::nullopt;                // take no payments: without the store each is a first one
  }
}
// [/open]

// [backup]
bool back_up(const std::filesystem::path& payments, const std::filesystem::path& copy) {
  sqlite3* from = nullptr;
  sqlite3* to = nullptr;
  bool done = false;
  if (sqlite3_open_v2(payments.c_str(), &from, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK &&
      sqlite3_open(copy.c_str(), &to) == SQLITE_OK) {
    sqlite3_busy_timeout(from, 5000);
    if (sqlite3_backup* const backup = sqlite3_backup_init(to, "main", from, "main")) {
      sqlite3_backup_step(backup, -1);  // all pages, of one moment; payments go on beside it
      done = sqlite3_backup_finish(backup) == SQLITE_OK;
    }
  }
  sqlite3_close(to);
  sqlite3_close(from);
  return done;
}
// [/backup]

}  // namespace

TEST_CASE("a SQLite store is opened, pays once, and is backed up", "[docs]") {
  const ScratchDirectory files;
  auto store = open_shared_payments(files / "payments.db");
  REQUIRE(store);
  CHECK_FALSE(open_shared_payments(files / "nowhere/payments.db"));
  IdempotencyGuard<SqliteStore&> guard(*store);
  const IdempotencyKey key{"shop", "order-1"};
  CHECK(guard.execute(key, fingerprint(1), [] { return "paid"; }).response() == "paid");
  REQUIRE(back_up(files / "payments.db", files / "copy.db"));
  SqliteStore copy{files / "copy.db"};
  CHECK(copy.find(key) == store->find(key));
}
