// Programs that pay over one PostgreSQL database are killed: at each named point, with each of their
// statements under way or done, and at random while others pay the same orders; paused for longer than a
// lease; and the server is killed under them. The ledger is kept here, in another process: nothing is charged
// twice, and what a caller was told once stays so.

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/postgres.hpp>

#include "fault/crash/payers.hpp"
#include "support/catch.hpp"
#include "support/postgres_server.hpp"

namespace {

using namespace crash;

/// In a schema of its own.
class PostgresShop : public Shop {
 public:
  PostgresShop(PostgresServer& the_server, Terms the_terms) : Shop(std::move(the_terms)), server(the_server) {
    paidonce::PostgresStore(server.conninfo(), {.schema = schema}).migrate();
    server.exec("CREATE TABLE " + schema + ".rows (number text)");
  }
  ~PostgresShop() override { server.exec("DROP SCHEMA " + schema + " CASCADE"); }

  std::vector<std::string> payer() const override { return {POSTGRES_PAYER, server.conninfo(), schema}; }
  void restart_server() override {
    server.kill();
    server.start();
  }
  void check_stored() override {
    const std::string orders = std::to_string(terms.orders);
    CHECK(count("payments") == orders);
    if (terms.mode == "transaction") {
      CHECK(count("rows") == orders);
      CHECK(server.value("SELECT count(DISTINCT number) FROM " + schema + ".rows") == orders);
      CHECK(count("payments WHERE state = 2") == orders);
    } else {
      // Without a way to settle it, a doubt stays, and is the only thing that does.
      CHECK(count("payments WHERE state NOT IN (2, 3)") ==
            (terms.mode == "doubt" ? count("payments WHERE state = 4") : "0"));
    }
  }

 private:
  std::string count(const std::string& what) {
    return server.value("SELECT count(*) FROM " + schema + '.' + what);
  }

  PostgresServer& server;
  const std::string schema = PostgresServer::fresh_name("k");
};

const char* const modes[] = {"reconcile", "promise", "doubt", "transaction"};

}  // namespace

TEST_CASE(
    "a payer over PostgreSQL is killed at each point and with each statement, and nothing is charged twice",
    "[store][postgres][crash]") {
  const std::string mode = GENERATE(from_range(std::begin(modes), std::end(modes)));
  Terms terms;
  terms.mode = mode;
  PostgresServer& server = shared_postgres();
  const char* const charged = mode == "transaction" ? "body: after its row" : "callable: after the charge";
  std::set<std::string> points, died;
  {
    // The points of a first life and, after a death in a payment, of a later one.
    PostgresShop shop(server, terms);
    CHECK(live_once(shop, charged, 3, 1).first == charged);
    points = live_once(shop, "list", 0, 1).second;
    CHECK(settle(shop, mode));
    points.merge(live_once(shop, "list", 0, 1).second);
  }
  const bool transaction = mode == "transaction";
  for (const char* const statement : {"INSERT INTO", transaction ? "COMMIT" : "UPDATE"})
    for (const char* const when : {"sent ", "done "}) points.insert(std::string(when) + statement);
  for (const std::string& point : points) {
    PostgresShop shop(server, terms);
    const auto die = [&](const std::string& where, unsigned long count, std::uint64_t seed) {
      const std::string died_at = live_once(shop, where, count, seed).first;
      if (!died_at.empty()) died.insert(died_at);
    };
    die(charged, 2, 1);  // the later lives find what the earlier ones left
    die(point, 1, 2);
    die(point, 2, 3);
    if (!settle(shop, mode + ", " + point)) return;
  }
  std::string names;
  for (const std::string& name : points)
    names += "\n  " + name + (died.contains(name) ? "" : " (never died there)");
  INFO(mode << names);
  std::vector<std::string> expected = {
      "guard: begun, before the callable", "guard: the result is being encoded",
      "guard: completed, before the unlock", "sent INSERT INTO", "done INSERT INTO"};
  if (mode == "transaction")
    expected.insert(expected.end(),
                    {"body: before its row", "body: after its row", "sent COMMIT", "done COMMIT"});
  else
    expected.insert(expected.end(), {"callable: before the charge", "callable: after the charge",
                                     "sent UPDATE", "done UPDATE", "guard: replayed, before the answer"});
  if (mode == "reconcile")
    expected.insert(expected.end(), {"reconcile: before the question", "reconcile: after the question"});
  for (const std::string& name : expected) {
    INFO(name);
    CHECK(died.contains(name));
  }
}

TEST_CASE(
    "four processes pay the same 1000 orders over PostgreSQL and are killed, and nothing is charged twice",
    "[store][postgres][crash]") {
  const std::uint64_t seed = std::random_device()();
  Terms terms;
  terms.orders = 1000;
  terms.mode = modes[seed % 4];
  PostgresShop shop(shared_postgres(), terms);
  const Happened happened = pay_beside_each_other(shop, {}, seed);
  INFO("seed " << seed << ", " << terms.mode);
  CHECK(happened.deaths >= 8);
  CHECK(happened.pauses > 0);
}

TEST_CASE("a server is killed under four processes that pay the same orders, and nothing is charged twice",
          "[store][postgres][crash]") {
  const std::uint64_t seed = std::random_device()();
  PostgresServer server;
  Terms terms;
  terms.orders = 200;
  terms.mode = modes[seed % 4];
  terms.server_may_fail = true;
  Mishaps mishaps;
  mishaps.lives = 2;
  mishaps.server_kills = 5;
  PostgresShop shop(server, terms);
  const Happened happened = pay_beside_each_other(shop, mishaps, seed);
  INFO("seed " << seed << ", " << terms.mode);
  CHECK(happened.server_kills > 0);
}

TEST_CASE(
    "four processes make 10000 payments under 1000 keys at a time over PostgreSQL, and none is charged twice",
    "[store][postgres][crash][soak]") {
  const std::uint64_t seed = std::random_device()();
  Happened all;
  PostgresServer server;
  for (unsigned round = 0; round < 10; ++round) {
    Terms terms;
    terms.orders = 1000;
    terms.mode = modes[round % 4];
    terms.server_may_fail = round % 2 == 0;
    Mishaps mishaps;
    mishaps.payers = 4 + round % 3;
    mishaps.lives = 10;
    mishaps.server_kills = round % 2 == 0 ? 10 : 0;
    PostgresShop shop(server, terms);
    const Happened happened = pay_beside_each_other(shop, mishaps, seed + round);
    all.deaths += happened.deaths;
    all.pauses += happened.pauses;
    all.server_kills += happened.server_kills;
  }
  WARN("first seed " << seed << ": " << all.deaths << " deaths and " << all.pauses << " pauses of payers, "
                     << all.server_kills << " of the server");
  CHECK(all.deaths > 100);
}
