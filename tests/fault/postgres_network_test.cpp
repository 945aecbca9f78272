// The network to a PostgreSQL server fails before, within and after each statement of a payment and its
// reply: nothing is charged twice, and a commit whose reply is lost is answered truthfully.

#include <chrono>
#include <map>
#include <string>

#include "fault/postgres_world.hpp"

using namespace fault;

namespace {

struct NamedCut {
  Cut cut;
  const char* name;
};
constexpr NamedCut cuts[] = {
    {Cut::before_request, "before_request"}, {Cut::within_request, "within_request"},
    {Cut::after_request, "after_request"},   {Cut::before_reply, "before_reply"},
    {Cut::within_reply, "within_reply"},     {Cut::after_reply, "after_reply"},
    {Cut::reply_never, "reply_never"},       {Cut::request_held, "request_held"},
};

/// Where every write is read back, so that an answer which is late by chance does no harm.
PostgresStoreOptions very_short_timeouts() {
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.statement_timeout = Duration(400);
  return options;
}

}  // namespace

TEST_CASE("a payment outlives a cut at each of its statements, and is charged once", "[postgres][network]") {
  PostgresWorld world(shared_postgres(), "", very_short_timeouts());
  for (const auto& [cut, name] : cuts)
    for (const std::size_t statement : {1U, 2U}) {
      const std::string order = std::string(name) + " at " + std::to_string(statement);
      INFO(order);
      CHECK(world.pay("a payment before " + order).how == "completed");
      const auto opened = world.store.stats().connections_opened;
      world.proxy.arm(cut, world.schema + ".payments", statement);
      // Read back on another connection, the write's fate is known.
      CHECK(world.pay(order).how == "completed");
      CHECK(world.proxy.await_hit());
      if (cut == Cut::after_reply) CHECK(world.pay("a payment after " + order).how == "completed");
      CHECK(world.store.stats().connections_opened > opened);
      world.proxy.reset();
    }
  CHECK(world.proxy.open() > 0);
  // What was held has come meanwhile, and changed nothing.
  for (const auto& [order, response] : std::map(world.completed)) CHECK(world.pay(order).replayed);
}

TEST_CASE("a replay outlives a cut at its statement", "[postgres][network]") {
  PostgresWorld world(shared_postgres(), "", very_short_timeouts());
  CHECK(world.pay("order").how == "completed");
  for (const auto& [cut, name] : cuts) {
    INFO(name);
    world.proxy.arm(cut, world.schema + ".payments");
    CHECK(world.pay("order").replayed);
    CHECK(world.proxy.await_hit());
    world.proxy.reset();
  }
}

TEST_CASE("a read fails where its answer does not come, and is not answered by a guess",
          "[postgres][network]") {
  PostgresWorld world;
  const IdempotencyKey key = PostgresWorld::key_of("order");
  world.pay("order");
  for (const auto& [cut, name] : cuts) {
    INFO(name);
    world.proxy.arm(cut, world.schema + ".payments");
    if (cut == Cut::after_reply)
      CHECK(world.store.find(key));
    else
      CHECK_THROWS_MATCHES(world.store.find(key), Error, support::has_code<Error>(errc::store_unavailable));
    world.proxy.reset();
    CHECK(world.store.find(key));
  }
}

TEST_CASE("a transaction that is cut off is answered truthfully, its commit above all",
          "[postgres][network]") {
  PostgresWorld world;
  const auto run = [&](Cut cut, const char* name, const std::string& sql) {
    const std::string order = std::string(name) + " at " + sql;
    INFO(order);
    world.proxy.arm(cut, sql);
    const Told told = world.pay_in_transaction(order);
    CHECK(world.proxy.await_hit());
    if (told.how == "in_doubt") {
      // The commit is on its way, and nobody can say whether it arrives. Here it does.
      CHECK(cut == Cut::request_held);
      CHECK(world.rows(order) == "0");
      CHECK(world.pay_in_transaction(order).thrown());  // its row is held
    }
    world.proxy.reset();
    if (told.how == "in_doubt") CHECK(eventually([&] { return world.rows(order) == "1"; }));
    const Told again = world.pay_in_transaction(order);
    CHECK(again.how == "completed");
    CHECK(again.replayed == (told.how == "completed" || told.how == "in_doubt"));
    CHECK(world.rows(order) == "1");
    return told.how;
  };
  for (const auto& [cut, name] : cuts) {
    INFO(name);
    // Before the callable: thrown, and it was not called. (A cut after the reply is noticed by the next
    // statement.)
    const std::string begun = run(cut, name, "BEGIN");
    CHECK((cut == Cut::after_reply ? begun == "not_executed" : begun.starts_with("thrown")));
    // The body's own statement, and libpq's own waiting.
    if (cut != Cut::reply_never && cut != Cut::request_held) CHECK(run(cut, name, ".rows") == "not_executed");
    const std::string committed = run(cut, name, "; COMMIT");
    switch (cut) {
      case Cut::before_request:
      case Cut::within_request: CHECK(committed == "not_executed"); break;
      case Cut::request_held: CHECK(committed == "in_doubt"); break;
      default: CHECK(committed == "completed"); break;
    }
  }
}

TEST_CASE("a commit that was on its way for ever is not repeated, and once it is lost the payment runs",
          "[postgres][network]") {
  PostgresWorld world;
  world.proxy.arm(Cut::request_held, "; COMMIT");
  CHECK(world.pay_in_transaction("order").how == "in_doubt");
  CHECK(world.pay_in_transaction("order").thrown());
  world.proxy.cut_all();
  Told told;
  CHECK(eventually([&] { return (told = world.pay_in_transaction("order")).how == "completed"; }));
  CHECK_FALSE(told.replayed);
  CHECK(world.rows("order") == "1");
}

TEST_CASE("a commit whose reply is lost is asked for again where the answer is lost, too",
          "[postgres][network]") {
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.connect_timeout = Duration(500);
  PostgresWorld world(shared_postgres(), "", options);
  for (const Cut commit : {Cut::before_request, Cut::before_reply})
    for (const Cut asked : {Cut::before_request, Cut::before_reply}) {
      const bool committed = commit == Cut::before_reply;
      const std::string order =
          (committed ? "committed, " : "not committed, ") + std::to_string(static_cast<int>(asked));
      INFO(order);
      const Told told = world.pay_in_transaction(order, [&](PostgresStore::Transaction&) {
        world.proxy.arm(commit, "; COMMIT");
        world.proxy.arm(asked, "INSERT INTO " + world.schema + ".payments");
      });
      CHECK(told.how == (committed ? "completed" : "not_executed"));
      CHECK(world.proxy.hits() == 2);
      world.proxy.reset();
      CHECK(world.pay_in_transaction(order).replayed == committed);
    }
  // And where nobody is there to be asked.
  for (const Cut commit : {Cut::before_request, Cut::before_reply}) {
    const bool committed = commit == Cut::before_reply;
    const std::string order = committed ? "committed" : "not committed";
    const Told told = world.pay_in_transaction(order, [&](PostgresStore::Transaction&) {
      world.proxy.arm(commit, "; COMMIT");
      world.proxy.arm_always(Cut::before_request, world.schema + ".payments");
      world.proxy.refuse();
    });
    CHECK(told.how == "in_doubt");
    world.proxy.reset();
    Told again;
    CHECK(eventually([&] { return (again = world.pay_in_transaction(order)).how == "completed"; }));
    CHECK(again.replayed == committed);
    CHECK(world.rows(order) == "1");
  }
}

TEST_CASE("a server out of reach costs no payment, and calls that wait end in time", "[postgres][network]") {
  PostgresWorld world(shared_postgres(), "", [] {
    auto options = short_timeouts(PostgresServer::fresh_name("w"));
    options.connect_timeout = Duration(500);
    return options;
  }());
  CHECK(world.pay("first").how == "completed");
  const auto fails_in_time = [&](const std::string& order) {
    const auto began = std::chrono::steady_clock::now();
    CHECK(world.pay(order).thrown());
    // Four tries, each of them with the time to connect, and one statement's.
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
    CHECK_FALSE(world.till.look_up(PostgresWorld::key_of(order)));
  };
  SECTION("refused") {
    world.proxy.refuse();
    world.proxy.cut_all();
    fails_in_time("order");
    // At the end of an outage callers need not be told.
    world.proxy.accept();
    CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
  }
  SECTION("swallowed") {
    world.proxy.swallow();
    world.proxy.cut_all();
    fails_in_time("order");
    world.proxy.accept();
    CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
  }
  SECTION("partitioned, and the partition ends") {
    world.proxy.freeze();
    fails_in_time("order");
    world.proxy.thaw();
    CHECK(eventually([&] {
      world.clock.advance(std::chrono::minutes(1));  // what was on its way may have begun it
      return world.pay("order").how == "completed";
    }));
  }
  SECTION("lost in the callable: the result is evidence, and later the record") {
    const Told told = world.pay(
        world.guard, "order", [] {},
        [&] {
          world.proxy.refuse();
          world.proxy.cut_all();
        });
    CHECK(told.how == "in_doubt");
    CHECK(told.evidence == world.till.look_up(PostgresWorld::key_of("order")));
    world.proxy.accept();
    world.settle("order");
    CHECK(world.till.charges() == 2);
  }
}
