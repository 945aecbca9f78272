// The PostgreSQL server dies, fills up, takes no more connections, only reads, waits for a replica that never
// comes, forgets; and hosts whose clocks are wrong. Nothing is charged twice.

#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include <paidonce/clocks/postgres_clock.hpp>
#include <paidonce/clocks/system_clock.hpp>

#include "fault/event.hpp"
#include "fault/postgres_world.hpp"
#include "support/pgbouncer.hpp"

using namespace fault;

namespace {

/// What is wrong with this thread's host's clock, in seconds.
thread_local std::time_t clock_error = 0;

const auto nothing = [] {};

/// Restarts a server that something has killed, when a proxy has hit; then lets what was held go on.
class KilledAtHit {
 public:
  explicit KilledAtHit(PostgresWorld& world)
      : thread_([&world] {
          hit_or_fail(world);
          world.server.kill();
          world.server.start();
          world.proxy.release();
        }) {}
  ~KilledAtHit() { thread_.join(); }

 private:
  static void hit_or_fail(PostgresWorld& world) {
    if (!world.proxy.await_hit()) FAIL_CHECK("the proxy has hit nothing");
  }
  std::thread thread_;
};

}  // namespace

/// In place of the C library's, for the whole program.
extern "C" int clock_gettime(clockid_t id, timespec* time) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, id, time));
  if (result == 0 && id == CLOCK_REALTIME) time->tv_sec += clock_error;
  return result;
}

TEST_CASE("a server that is killed at any step of a payment costs nobody a second charge",
          "[postgres][server]") {
  PostgresServer server;
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.connect_timeout = Duration(2000);
  PostgresWorld world(server, "", options);
  const auto restart = [&] {
    server.kill();
    server.start();
  };
  CHECK(world.pay("first").how == "completed");

  restart();
  CHECK(world.pay("killed before").how == "completed");
  CHECK(world.pay(world.guard, "killed in the callable, before the charge", restart, nothing).how ==
        "completed");
  CHECK(world.pay(world.guard, "killed in the callable, after the charge", nothing, restart).how ==
        "completed");
  for (const std::size_t statement : {1U, 2U})
    for (const Cut cut : {Cut::request_held, Cut::reply_never}) {
      const std::string order =
          "killed at " + std::to_string(statement) + (cut == Cut::reply_never ? ", done" : "");
      INFO(order);
      world.proxy.arm(cut, world.schema + ".payments", statement);
      {
        const KilledAtHit killed(world);
        CHECK(world.pay(order).how == "completed");
      }
      world.proxy.reset();
    }

  // And does not come back in time.
  server.kill();
  CHECK(world.pay("down").thrown());
  CHECK_FALSE(world.till.look_up(PostgresWorld::key_of("down")));
  server.start();
  CHECK(world.pay("down").how == "completed");
  const Told told = world.pay(world.guard, "down after the charge", nothing, [&] { server.kill(); });
  CHECK(told.how == "in_doubt");
  CHECK_FALSE(told.evidence.empty());
  server.start();
  world.settle("down after the charge");

  for (const auto& [order, response] : std::map(world.completed)) CHECK(world.pay(order).replayed);
}

TEST_CASE("a server that is killed in a transaction has committed all of it or nothing",
          "[postgres][server]") {
  PostgresServer server;
  PostgresWorld world(server);
  const auto restart = [&](PostgresStore::Transaction&) {
    server.kill();
    server.start();
  };
  CHECK(world.pay_in_transaction("killed in the body", restart).how == "not_executed");
  CHECK(world.pay_in_transaction("killed in the body").how == "completed");
  for (const Cut cut : {Cut::request_held, Cut::reply_never}) {
    const bool done = cut == Cut::reply_never;
    const std::string order = done ? "killed after the commit" : "killed before the commit";
    world.proxy.arm(cut, "; COMMIT");
    {
      const KilledAtHit killed(world);
      CHECK(world.pay_in_transaction(order).how == (done ? "completed" : "not_executed"));
    }
    world.proxy.reset();
    const Told told = world.pay_in_transaction(order);
    CHECK(told.how == "completed");
    CHECK(told.replayed == done);
  }
  // One session killed takes all others with it.
  const std::string pid =
      server.value("SELECT pid FROM pg_stat_activity WHERE application_name = 'paidonce' LIMIT 1");
  REQUIRE_FALSE(pid.empty());
  ::kill(std::stoi(pid), SIGKILL);
  CHECK(eventually([&] { return world.pay_in_transaction("after a crash").how == "completed"; }));
}

TEST_CASE("a commit that waits for a replica is not taken for one that failed", "[postgres][server]") {
  // No replica has that name: what is committed is durable here, and shown to nobody.
  PostgresServer server({{"synchronous_standby_names", "nobody"}});
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.statement_timeout = Duration(400);
  options.lock_timeout = Duration(150);
  PostgresWorld world(server, "", options);
  CHECK(world.pay("order").thrown());
  CHECK_FALSE(world.till.look_up(PostgresWorld::key_of("order")));
  CHECK(world.pay_in_transaction("row").how == "in_doubt");
  CHECK(world.rows("row") == "0");
  CHECK(world.pay_in_transaction("row").thrown());
  server.exec("ALTER SYSTEM RESET synchronous_standby_names");
  server.exec("SELECT pg_reload_conf()");
  CHECK(eventually([&] { return world.rows("row") == "1"; }));
  const Told told = world.pay_in_transaction("row");
  CHECK(told.how == "completed");
  CHECK(told.replayed);
  world.settle("order");
}

TEST_CASE("a standby takes over with all that was acknowledged", "[postgres][server]") {
  PostgresServer primary({{"synchronous_commit", "on"}});
  PostgresServer standby(PostgresServer::StandbyOf{primary});
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  CHECK_THROWS_MATCHES(PostgresStore(standby.conninfo(), options), Error,
                       support::has_code<Error>(errc::store_unavailable));
  PostgresStore(primary.conninfo(), options).migrate();
  primary.exec("ALTER SYSTEM SET synchronous_standby_names = '*'");
  primary.exec("SELECT pg_reload_conf()");
  REQUIRE(eventually([&] { return primary.value("SELECT sync_state FROM pg_stat_replication") == "sync"; }));

  PostgresStore store("host=127.0.0.1,127.0.0.1 port=" + std::to_string(primary.port()) + ',' +
                          std::to_string(standby.port()) +
                          " dbname=postgres user=postgres sslmode=disable target_session_attrs=read-write",
                      options);
  ManualClock clock;
  IdempotencyGuard<PostgresStore&, NoLock, ManualClock> guard(store, NoLock(), clock);
  Till till;
  const auto pay = [&](const std::string& order, const auto& after) {
    return PostgresWorld::tell([&] {
      return guard.execute(PostgresWorld::key_of(order), fingerprint(order), [&] {
        std::string charge = till.charge(PostgresWorld::key_of(order));
        after();
        return charge;
      });
    });
  };
  std::vector<std::string> responses;
  for (int order = 0; order < 10; ++order) {
    const Told told = pay(std::to_string(order), nothing);
    CHECK(told.how == "completed");
    responses.push_back(told.response);
  }
  const Told told = pay("the last", [&] {
    primary.kill();
    standby.promote();
  });
  CHECK(told.how == "completed");
  responses.push_back(told.response);
  for (int order = 0; order < 11; ++order) {
    const Told again = pay(order == 10 ? "the last" : std::to_string(order), nothing);
    CHECK(again.replayed);
    CHECK(again.response == responses[static_cast<std::size_t>(order)]);
  }
  CHECK(till.charges() == 11);
}

TEST_CASE("a server that only reads, or takes no more connections, costs no payment", "[postgres][server]") {
  PostgresServer server({{"max_connections", "12"}, {"superuser_reserved_connections", "0"}});
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.connect_timeout = Duration(500);
  PostgresWorld world(server, "", options);
  CHECK(world.pay("first").how == "completed");
  SECTION("read-only") {
    const auto set = [&](const char* value) {
      server.exec(std::string("ALTER SYSTEM SET default_transaction_read_only = ") + value);
      server.exec("SELECT pg_reload_conf()");
      CHECK(eventually([&] { return server.value("SHOW default_transaction_read_only") == value; }));
    };
    set("on");
    CHECK(world.pay("order").thrown());
    CHECK(world.pay_in_transaction("row").thrown());
    CHECK_FALSE(world.till.look_up(PostgresWorld::key_of("order")));
    CHECK_THROWS_MATCHES(PostgresStore(server.conninfo(), options), Error,
                         support::has_code<Error>(errc::store_unavailable));
    set("off");
    CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
    const Told told = world.pay(world.guard, "in the callable", nothing, [&] { set("on"); });
    CHECK(told.how == "in_doubt");
    CHECK_FALSE(told.evidence.empty());
    set("off");
    world.settle("in the callable");
  }
  SECTION("full of connections") {
    std::vector<std::unique_ptr<Pq>> others;
    const auto fill = [&] {
      while (others.emplace_back(std::make_unique<Pq>(server.conninfo()))->ok()) REQUIRE(others.size() < 20);
      others.pop_back();
    };
    fill();
    CHECK_THROWS_MATCHES(PostgresStore(server.conninfo(), options), Error,
                         support::says<Error>("no more connections"));
    CHECK(world.pay("on the connection that there is").how == "completed");
    const auto sessions = [&] {
      return std::stoul(
          others[0]
              ->query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'paidonce'")
              .value);
    };
    const auto left = sessions() - world.proxy.open();
    world.proxy.cut_all();
    CHECK(eventually([&] { return sessions() == left; }));
    fill();
    CHECK(world.pay("order").thrown());
    CHECK_FALSE(world.till.look_up(PostgresWorld::key_of("order")));
    others.clear();
    CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
  }
}

TEST_CASE("a full disk refuses payments, and what was charged meanwhile is known", "[postgres][server]") {
  PostgresServer server(PostgresServer::SmallDisk{2U << 20U});
  PostgresWorld world(server);
  const std::string table = world.schema + ".payments";
  CHECK(world.pay("first").how == "completed");
  const auto until_refused = [&](const char* told) {
    Told refused;
    for (int order = 0; order < 2000 && !refused.thrown(); ++order) {
      const int charges = world.till.charges();
      refused = world.pay("order " + std::to_string(order));
      if (refused.thrown()) CHECK(world.till.charges() == charges);
    }
    CHECK(refused.how == told);
    CHECK(world.pay("first").replayed);
    Told row;
    for (int order = 0; order < 2000 && !row.thrown() && row.how != "not_executed"; ++order)
      row = world.pay_in_transaction("row " + std::to_string(order));
    CHECK(row.how != "completed");
  };
  if (!server.small_disk().empty()) {
    server.exec("CREATE TABLESPACE small LOCATION '" + server.small_disk().string() + "'");
    server.exec("ALTER TABLE " + table + " SET TABLESPACE small");
    server.exec("CREATE TABLE ballast (bytes text) TABLESPACE small");
    const auto fill = [&] {
      Pq client(server.conninfo());
      const auto add = [&](int rows) {
        return client.query("INSERT INTO ballast SELECT repeat('x', 1000) FROM generate_series(1, " +
                            std::to_string(rows) + ")");
      };
      for (int rows = 8; rows > 0; rows /= 2)
        while (add(rows).ok()) {
        }
      CHECK(add(1).sqlstate == "53100");
    };
    // The callable has run by then: there is a result, and no room to keep it.
    world.till.padding = 6000;
    const Told told = world.pay(world.guard, "filled in the callable", nothing, fill);
    CHECK(told.how == "in_doubt");
    CHECK_FALSE(told.evidence.empty());
    world.till.padding = 0;
    until_refused("thrown: store full");
    server.exec("DROP TABLE ballast");  // truncating would need a new file
    world.settle("filled in the callable");
  } else {
    WARN("nobody may mount a disk here: a table that cannot grow stands for a full one");
    // Longer than a segment of the log, which must go on growing.
    server.exec("DO $$ DECLARE r " + table + "; BEGIN SELECT * INTO r FROM " + table +
                " LIMIT 1; r.description := decode(repeat(md5('x'), 50), 'hex'); FOR i IN 1..6000 LOOP"
                " r.key := ('filler ' || i)::bytea; INSERT INTO " +
                table + " VALUES (r.*); END LOOP; END $$");
    const auto limit_files = [&](const std::string& bytes) {
      // By a program that runs as the server's user does: others may need a privilege for it.
      for (const pid_t process : server.processes()) {
        try {
          support::run_to_end(
              {"/usr/bin/prlimit", "--pid", std::to_string(process), "--fsize=" + bytes + ':'});
        } catch (const std::runtime_error&) {
          if (::kill(process, 0) == 0) throw;  // others come and go
        }
      }
    };
    limit_files(server.value("SELECT pg_relation_size('" + table + "')"));
    until_refused("thrown: store unavailable");
    limit_files("unlimited");
  }
  CHECK(world.pay("after").how == "completed");
  CHECK(world.pay_in_transaction("row").how == "completed");
}

TEST_CASE("a server that may forget is refused", "[postgres][server]") {
  PostgresServer server({{"fsync", "off"}});
  PostgresStoreOptions options;
  const auto unsafe = support::has_code<Error>(errc::unsafe_config);
  CHECK_THROWS_MATCHES(PostgresStore(server.conninfo(), options), Error, unsafe);
  server.exec("ALTER SYSTEM SET fsync = on");
  const auto reload = [&](const char* setting, const char* value) {
    server.exec("SELECT pg_reload_conf()");
    return eventually([&] { return server.value(std::string("SHOW ") + setting) == value; });
  };
  REQUIRE(reload("fsync", "on"));
  CHECK_NOTHROW(PostgresStore(server.conninfo(), options));
  server.exec("ALTER SYSTEM SET full_page_writes = off");
  REQUIRE(reload("full_page_writes", "off"));
  CHECK_THROWS_MATCHES(PostgresStore(server.conninfo(), options), Error, unsafe);
  server.exec("ALTER SYSTEM SET full_page_writes = on");
  REQUIRE(reload("full_page_writes", "on"));
  server.exec("ALTER ROLE postgres SET synchronous_commit = off");
  CHECK_THROWS_MATCHES(PostgresStore(server.conninfo(), options), Error, unsafe);
  options.unsafe = UnsafeConfig::accept;
  CHECK_NOTHROW(PostgresStore(server.conninfo(), options));
}

TEST_CASE("a statement that the server undoes because of others is repeated, and the callable is not",
          "[postgres][server]") {
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.statement_timeout = Duration(15'000);
  options.lock_timeout = Duration(10'000);
  PostgresWorld world(shared_postgres(),
                      " options='-c default_transaction_isolation=serializable -c deadlock_timeout=20ms'",
                      options);
  const auto waits_for_lock = [&] {
    return world.server.value(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%" +
               world.schema + "%'") != "0";
  };
  SECTION("serialization") {
    // The record is changed beside the completing write, by somebody who leaves its version alone.
    std::thread other;
    const Told told = world.pay(world.guard, "order", nothing, [&] {
      auto client = std::make_shared<Pq>(world.server.conninfo());
      client->query("BEGIN");
      CHECK(client->query("UPDATE " + world.schema + ".payments SET description = ''").ok());
      other = std::thread([&, client] {
        if (!eventually(waits_for_lock)) FAIL_CHECK("nobody waits");
        client->query("COMMIT");
      });
    });
    other.join();
    CHECK(told.how == "completed");
    CHECK(world.till.charges() == 1);
    CHECK(world.store.stats().repeats > 0);
  }
  SECTION("deadlock") {
    world.server.exec("INSERT INTO " + world.schema + ".rows VALUES ('a'), ('b')");
    const auto lock = [&](const char* row) {
      return "UPDATE " + world.schema + ".rows SET order_number = order_number WHERE order_number = '" + row +
             "'";
    };
    Pq client(world.server.conninfo());
    client.query("SET deadlock_timeout = '1h'");
    client.query("BEGIN");
    CHECK(client.query(lock("b")).ok());
    std::thread other;
    std::string state;
    const Told told = world.pay_in_transaction("order", [&](PostgresStore::Transaction& transaction) {
      PQclear(PQexec(transaction.native(), lock("a").c_str()));
      other = std::thread([&] { client.query(lock("a")); });
      if (!eventually(waits_for_lock)) FAIL_CHECK("nobody waits");
      const std::unique_ptr<PGresult, decltype(&PQclear)> result(
          PQexec(transaction.native(), lock("b").c_str()), &PQclear);
      if (const char* const field = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE)) state = field;
      if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) throw std::runtime_error("deadlock");
    });
    other.join();
    client.query("COMMIT");
    CHECK(state == "40P01");
    CHECK(told.how == "not_executed");
    CHECK(world.pay_in_transaction("order").how == "completed");
  }
}

TEST_CASE("transactions that use up the pool are waited for, and single operations go on",
          "[postgres][server]") {
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.connections = 1;
  PostgresWorld world(shared_postgres(), "", options);
  Event inside, leave;
  std::thread other([&] {
    world.store.transact([&](PostgresStore::Transaction& transaction) {
      transaction.native();
      inside.happen();
      leave.await();
    });
  });
  CHECK(inside.await());
  CHECK(world.pay_in_transaction("row").how == "thrown: store busy");
  CHECK(world.pay("order").how == "completed");
  leave.happen();
  other.join();
  CHECK(world.pay_in_transaction("row").how == "completed");
}

TEST_CASE("a host whose clock is wrong by an hour spoils nobody's payment", "[postgres][server]") {
  PostgresWorld world;
  using OwnClock = IdempotencyGuard<PostgresStore&, NoLock, SystemClock>;
  using ServersClock = IdempotencyGuard<PostgresStore&, NoLock, PostgresClock>;
  OwnClock own(world.store, NoLock());
  ServersClock servers(world.store, NoLock(), PostgresClock(world.server.conninfo()));
  const auto pay = [&](auto& guard, const std::string& order, const auto& meanwhile) {
    const IdempotencyKey key = PostgresWorld::key_of(order);
    return PostgresWorld::tell([&] {
      return guard.execute(key, fingerprint(order), [&] {
        std::string charge = world.till.charge(key);
        meanwhile();
        return charge;
      });
    });
  };
  const auto at_a_host_that_is_off = [](std::time_t seconds, const auto& call) {
    Told told;
    std::thread host([&] {
      clock_error = seconds;
      told = call();
    });
    host.join();
    return told;
  };
  for (const std::time_t off : {3600, -3600}) {
    const std::string order = std::to_string(off);
    INFO(order);
    // A payment on a host that is right; a duplicate comes to one that is not.
    Told beside;
    Told told = pay(own, order,
                    [&] { beside = at_a_host_that_is_off(off, [&] { return pay(own, order, nothing); }); });
    // Ahead: the lease seems to be over, and so the payment in doubt; it is not run.
    CHECK(beside.how == (off > 0 ? "in_doubt" : "in_progress"));
    CHECK(told.how == "completed");
    CHECK(at_a_host_that_is_off(off, [&] { return pay(own, order, nothing); }).response == told.response);
    // A payment on the host that is wrong, and a duplicate on one that is right.
    const std::string other = "the other way round, " + order;
    told = at_a_host_that_is_off(off, [&] {
      return pay(own, other, [&] { std::thread([&] { beside = pay(own, other, nothing); }).join(); });
    });
    CHECK(beside.how == (off < 0 ? "in_doubt" : "in_progress"));
    CHECK(told.how == "completed");
    CHECK(pay(own, other, nothing).response == told.response);
    // All hosts that ask the server for the time agree.
    const std::string agreed = "agreed, " + order;
    told = pay(servers, agreed,
               [&] { beside = at_a_host_that_is_off(off, [&] { return pay(servers, agreed, nothing); }); });
    CHECK(beside.how == "in_progress");
    CHECK(told.how == "completed");
    // And a clock that is made there tells the same time.
    at_a_host_that_is_off(off, [&] {
      const PostgresClock clock(world.server.conninfo());
      const auto apart = clock.now() - servers.clock().now();
      CHECK(apart < std::chrono::seconds(1));
      CHECK(apart > std::chrono::seconds(-1));
      CHECK(SystemClock().now() - clock.now() > std::chrono::seconds(off - 60));
      CHECK(SystemClock().now() - clock.now() < std::chrono::seconds(off + 60));
      return Told{};
    });
    // Nothing is over by an hour that was to be kept for a day.
    CHECK(world.store.erase_expired(SystemClock().now() + std::chrono::seconds(off), 100) == 0);
  }
  CHECK_FALSE(world.till.charged_twice());
  CHECK(world.till.charges() == 6);
}

TEST_CASE("behind a pgbouncer that shares connections payments are safe, and it may die",
          "[postgres][server]") {
  PostgresServer& server = shared_postgres();
  Pgbouncer bouncer(server, 3);
  auto options = short_timeouts(PostgresServer::fresh_name("w"));
  options.statements = Statements::unnamed;
  options.lanes = 4;
  PostgresWorld world(server, "", options, bouncer.port());
  std::vector<std::thread> threads;
  std::atomic<int> completed{0};
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int order = 0; order < 25; ++order) {
        const IdempotencyKey key = PostgresWorld::key_of("shared " + std::to_string(order));
        const Told told = PostgresWorld::tell([&] {
          return world.guard.execute(key, fingerprint(order), [&] { return world.till.charge(key); });
        });
        if (told.how == "completed") ++completed;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(world.till.charges() == 25);
  CHECK_FALSE(world.till.charged_twice());
  CHECK(completed >= 25);

  for (const Cut cut : {Cut::before_request, Cut::before_reply, Cut::after_request}) {
    const std::string order = "cut " + std::to_string(static_cast<int>(cut));
    INFO(order);
    world.proxy.arm(cut, world.schema + ".payments", 2);
    CHECK(world.pay(order).how == "completed");
    world.proxy.arm(cut, "; COMMIT");
    const std::string told = world.pay_in_transaction(order + ", row").how;
    CHECK(told == (cut == Cut::before_request ? "not_executed" : "completed"));
    CHECK(world.proxy.await_hit(2));
    world.proxy.reset();
    CHECK(world.pay_in_transaction(order + ", row").how == "completed");
  }
  const auto restart = [&] {
    bouncer.kill();
    bouncer.start();
  };
  CHECK(world.pay(world.guard, "it dies in the callable", nothing, restart).how == "completed");
  CHECK(
      world.pay_in_transaction("it dies in the body", [&](PostgresStore::Transaction&) { restart(); }).how ==
      "not_executed");
  CHECK(world.pay_in_transaction("it dies in the body").how == "completed");
}
