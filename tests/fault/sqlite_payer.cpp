// sqlite_payer <database> <does> <orders> <seed> <last call>
//
// Pays orders through a guard over a SQLite store, with a ledger at the other end of standard output, which
// is a socket; any number of these at once. Kills itself before the `last call`-th call of SQLite that
// changes the disk, half of a write done; 0: never. What it does:
//
//   doubt         pays all orders, in an order of its own; what is in doubt stays so
//   promise       the same, where the provider deduplicates by the provider key
//   transaction   pays by execute_in_transaction, with a row of its own in the table `bookings`
//   hold          begins a transaction, writes in it, says so and waits to be killed

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/guard.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "fault/crash/wire.hpp"
#include "support/sqlite_vfs.hpp"

namespace {

using namespace paidonce;
using namespace std::chrono_literals;

constexpr int socket_of_ledger = STDOUT_FILENO;

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

std::string ask(crash::Verb verb, unsigned order, const std::string& text) {
  crash::send(socket_of_ledger, {verb, order, text});
  const auto answer = crash::receive(socket_of_ledger);
  if (!answer) std::_Exit(9);  // the test is gone
  return answer->text;
}

IdempotencyKey key_of(unsigned order) { return {"shop", "order-" + std::to_string(order)}; }

void run(sqlite3* database, const std::string& sql) {
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    throw std::runtime_error("a row of the application was not written");
}

void hold(SqliteStore& store) {
  store.transact([](SqliteStore::Transaction& transaction) {
    Record record;
    record.version = 1;
    transaction.insert(key_of(1), record);
    run(transaction.native(), "CREATE TABLE bookings (number)");
    crash::send(socket_of_ledger, {crash::Verb::reached, 1, "holds"});
    while (crash::receive(socket_of_ledger)) continue;
    std::_Exit(9);  // the test is gone
  });
}

void pay(SqliteStore& store, const std::string& does, unsigned orders, std::uint64_t seed) {
  GuardOptions options;
  options.lease = 20ms;
  options.wait = 2000ms;  // until the lease of one who was killed is over
  options.heartbeat = false;
  options.provider_deduplicates = does == "promise";
  IdempotencyGuard<SqliteStore&> guard(store, options);
  std::vector<unsigned> all(orders);
  std::iota(all.begin(), all.end(), 0U);
  std::shuffle(all.begin(), all.end(), std::mt19937_64(seed));
  for (const unsigned order : all) {
    const auto outcome = [&]() -> Outcome<std::string> {
      if (does == "transaction")
        return guard.execute_in_transaction(
            key_of(order), fingerprint(order), [&](Attempt&, SqliteStore::Transaction& transaction) {
              run(transaction.native(), "INSERT INTO bookings VALUES (" + std::to_string(order) + ")");
              return "booked " + std::to_string(order);
            });
      return guard.execute(
          key_of(order), fingerprint(order), [&](Attempt& attempt) -> PaymentResult<std::string> {
            const std::string charged = ask(crash::Verb::charge, order, std::string(attempt.provider_key()));
            if (charged.empty()) return declined(std::string("declined"));
            return succeeded(charged);
          });
    };
    try {
      const auto said = outcome();
      std::string told(to_string(said.status()));
      if (said.status() == Status::completed) told += ' ' + said.response();
      if (const std::string* const evidence = said.evidence()) told = "late " + *evidence;
      crash::send(socket_of_ledger, {crash::Verb::told, order, told});
    } catch (const Error& error) {
      if (!retryable(error)) throw;
      crash::send(socket_of_ledger, {crash::Verb::told, order, "error"});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: see the first lines of sqlite_payer.cpp\n");
    return 2;
  }
  const std::string does = argv[2];
  unsigned long left = std::strtoul(argv[5], nullptr, 10);
  const support::SqliteVfs vfs("dying", [&](const support::VfsCall& call) {
    if (!call.changes() || left == 0 || --left > 0) return SQLITE_OK;
    if (call.does == support::VfsCall::Does::write) call.write_half();
    die();
  });
  try {
    SqliteStoreOptions options;
    options.checkpoint_pages = 64;
    options.vfs = "dying";
    SqliteStore store(argv[1], options);
    if (does == "hold")
      hold(store);
    else
      pay(store, does, static_cast<unsigned>(std::atoi(argv[3])), std::strtoull(argv[4], nullptr, 10));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sqlite_payer: %s\n", error.what());
    return 1;
  }
}
