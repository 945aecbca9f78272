// postgres_payer <conninfo> <schema> <orders> <mode> <threads> <point> <count> <seed>
//
// Pays orders, in an order of its own, through a guard over a PostgreSQL store, with a ledger at the other
// end of standard output, which is a socket; any number of these at once. It kills itself at the `count`-th
// pass of a crash point: `point` is its name, "any", "none", or "list", which only tells the names. "sent
// <text>" and "done <text>" are points too: the `count`-th request with that SQL is on its way to the server,
// or done there with its reply on the way back.
//
// The mode says what the guard can do about doubt: "reconcile" (ask), "promise" (the provider deduplicates)
// or "doubt" (neither); or it is "transaction": there is no provider, but a row in the table `rows`.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <paidonce/stores/postgres.hpp>

#include "fault/crash/points.hpp"
#include "support/tcp_proxy.hpp"

namespace {

using namespace crash;

using Guard = IdempotencyGuard<PostgresStore&, CrashingLock, SystemClock, CrashingObserver>;

std::string book(Guard& guard, const std::string& schema, unsigned order) {
  const std::string number = std::to_string(order);
  const auto outcome = guard.execute_in_transaction(
      IdempotencyKey("shop", "order-" + number), fingerprint(order),
      [&](Attempt&, PostgresStore::Transaction& transaction) -> PaymentResult<Charge> {
        point("body: before its row");
        const char* const parameter = number.c_str();
        const std::unique_ptr<PGresult, decltype(&PQclear)> result(
            PQexecParams(transaction.native(), ("INSERT INTO " + schema + ".rows VALUES ($1)").c_str(), 1,
                         nullptr, &parameter, nullptr, nullptr, 0),
            &PQclear);
        if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw std::runtime_error("no row");
        point("body: after its row");
        return succeeded(Charge{"row of " + number});
      });
  std::string told(to_string(outcome.status()));
  if (outcome.status() == Status::completed) told += " succeeded " + outcome.response().bytes;
  return told;
}

/// The server may be down, and is not for long.
PostgresStore open(const std::string& conninfo, const PostgresStoreOptions& options) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (;;) {
    try {
      return PostgresStore(conninfo, options);
    } catch (const Error& error) {
      if (!retryable(error) || std::chrono::steady_clock::now() > deadline) throw;
    }
  }
}

/// What a caller is told where the answer was no outcome.
template <class Call>
std::string or_error(const Call& call) {
  try {
    return call();
  } catch (const Error& error) {
    if (!retryable(error)) throw;
    return "error";
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr, "usage: see the first lines of postgres_payer.cpp\n");
    return 2;
  }
  const int socket = STDOUT_FILENO;
  std::string conninfo = argv[1];
  const std::string schema = argv[2], mode = argv[4], name = argv[6];
  const auto orders = static_cast<unsigned>(std::atoi(argv[3]));
  const auto threads = static_cast<unsigned>(std::atoi(argv[5]));
  const unsigned long count = std::strtoul(argv[7], nullptr, 10);
  Points all(socket, name, count);
  points = &all;
  try {
    // A network of its own, which dies with it.
    std::optional<TcpProxy> network;
    std::jthread at_hit;
    const bool sent = name.starts_with("sent ");
    if (sent || name.starts_with("done ")) {
      network.emplace(std::atoi(conninfo.c_str() + conninfo.find("port=") + 5));
      conninfo = network->conninfo(conninfo);
    }
    PostgresStoreOptions store_options;
    store_options.schema = schema;
    PostgresStore store = open(conninfo, store_options);
    if (network) {
      network->arm(sent ? Cut::request_held : Cut::reply_never, name.substr(5), count);
      at_hit = std::jthread([&](const std::stop_token& stop) {
        while (!stop.stop_requested())
          if (network->await_hit(1, std::chrono::milliseconds(20))) all.die(name);
      });
    }
    GuardOptions options;
    options.lease = Duration(50);   // nobody can prove that a dead holder is dead
    options.wait = Duration(5000);  // until it is over
    options.heartbeat = false;
    options.provider_deduplicates = mode == "promise";
    Guard guard(store, CrashingLock(), SystemClock(), options);
    Provider provider(socket);
    std::vector<unsigned> in_order(orders);
    std::iota(in_order.begin(), in_order.end(), 0U);
    std::shuffle(in_order.begin(), in_order.end(), std::mt19937_64(std::strtoull(argv[8], nullptr, 10)));
    std::atomic<unsigned> next{0};
    const auto work = [&] {
      for (unsigned at = next++; at < orders; at = next++) {
        const unsigned order = in_order[at];
        provider.announce(order);
        provider.tell(order, or_error([&] {
                        return mode == "transaction" ? book(guard, schema, order)
                                                     : pay_one(guard, provider, order, mode);
                      }));
        point("guard: unlocked and told");
      }
    };
    {
      std::vector<std::jthread> others;
      for (unsigned thread = 1; thread < threads; ++thread) others.emplace_back(work);
      work();
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "postgres_payer: %s\n", error.what());
    return 1;
  }
}
