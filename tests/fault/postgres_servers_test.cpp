// What the tests of PostgreSQL stand on: that servers come, die and come back, and that the network between
// fails where it is told to.

#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <sys/socket.h>

#include "support/catch.hpp"
#include "support/pgbouncer.hpp"
#include "support/postgres_server.hpp"
#include "support/pq.hpp"
#include "support/tcp_proxy.hpp"

namespace {

/// A table of its own on the shared server.
struct Table {
  Table() { server.exec("CREATE TABLE " + name + " (id int PRIMARY KEY)"); }
  ~Table() { server.exec("DROP TABLE IF EXISTS " + name); }
  std::string insert(int id) const { return "INSERT INTO " + name + " VALUES (" + std::to_string(id) + ")"; }
  std::string rows() { return server.value("SELECT count(*) FROM " + name); }
  /// Waits for what a server does after its client has gone.
  bool await_rows(const std::string& count) {
    for (int attempt = 0; attempt < 1000; ++attempt)
      if (rows() == count) return true;
    return false;
  }

  PostgresServer& server = shared_postgres();
  std::string name = PostgresServer::fresh_name();
};

}  // namespace

TEST_CASE("a server that is killed comes back with what was committed", "[postgres][servers]") {
  PostgresServer server;
  CHECK(server.value("SHOW fsync") == "on");
  CHECK(server.value("SHOW listen_addresses") == "127.0.0.1");
  server.exec("CREATE TABLE kept (id int)");
  Pq open(server.conninfo());
  open.query("BEGIN");
  open.query("CREATE TABLE lost (id int)");
  CHECK(server.processes().size() > 5);
  server.kill();
  CHECK_FALSE(server.running());
  CHECK(server.processes().empty());
  CHECK_FALSE(open.query("COMMIT").ok());
  server.start();
  CHECK(server.value("SELECT to_regclass('kept') IS NOT NULL AND to_regclass('lost') IS NULL") == "t");
  server.stop();
  CHECK_FALSE(Pq(server.conninfo()).ok());
  server.start();
  CHECK(Pq(server.fresh_database()).ok());
}

TEST_CASE("a server and its directory go with the test", "[postgres][servers]") {
  auto server = std::make_unique<PostgresServer>();
  const auto directory = server->socket_directory();
  const auto processes = server->processes();
  CHECK(std::filesystem::exists(directory));
  server.reset();
  CHECK_FALSE(std::filesystem::exists(directory));
  for (const pid_t process : processes) CHECK(::kill(process, 0) != 0);
}

TEST_CASE("a server that does not start says why", "[postgres][servers]") {
  CHECK_THROWS_WITH(PostgresServer({{"max_connections", "many"}}), support::contains("max_connections"));
}

TEST_CASE("a standby follows, refuses writes and can be promoted", "[postgres][servers]") {
  PostgresServer primary;
  primary.exec("CREATE TABLE t (id int)");
  PostgresServer standby(PostgresServer::StandbyOf{primary});
  CHECK(standby.value("SELECT pg_is_in_recovery()") == "t");
  CHECK(Pq(standby.conninfo()).query("INSERT INTO t VALUES (1)").sqlstate == "25006");
  primary.kill();
  standby.promote();
  CHECK(Pq(standby.conninfo()).query("INSERT INTO t VALUES (1)").ok());
}

TEST_CASE("a connection is cut at a statement, before, within and after it and its reply",
          "[postgres][servers]") {
  Table table;
  TcpProxy proxy(table.server.port());
  int id = 0;
  const auto cut = [&](Cut how) {
    Pq client(proxy.conninfo(table.server.conninfo()));
    REQUIRE(client.ok());
    CHECK(client.query("SELECT 1").value == "1");
    proxy.arm(how, "insert into " + table.name);
    const auto answer = client.query(table.insert(++id), {});
    CHECK(proxy.await_hit());
    proxy.reset();
    return std::pair(answer.ok(), client.query("SELECT 1").ok());
  };
  using Told = std::pair<bool, bool>;
  CHECK(cut(Cut::before_request) == Told(false, false));
  CHECK(table.rows() == "0");
  CHECK(cut(Cut::within_request) == Told(false, false));
  CHECK(table.rows() == "0");
  CHECK(cut(Cut::before_reply) == Told(false, false));
  CHECK(table.rows() == "1");
  CHECK(cut(Cut::within_reply) == Told(false, false));
  CHECK(table.rows() == "2");
  CHECK(cut(Cut::after_reply) == Told(true, false));
  CHECK(table.rows() == "3");
  CHECK(cut(Cut::after_request) == Told(false, false));
  CHECK(table.await_rows("4"));
}

TEST_CASE("a request is held and comes when its client has long gone, and a reply never comes",
          "[postgres][servers]") {
  Table table;
  TcpProxy proxy(table.server.port());
  {
    Pq client(proxy.conninfo(table.server.conninfo()));
    REQUIRE(client.ok());
    proxy.arm(Cut::request_held, "insert");
    REQUIRE(PQsendQuery(client.handle(), table.insert(1).c_str()) == 1);
    REQUIRE(proxy.await_hit());
    ::shutdown(PQsocket(client.handle()), SHUT_RDWR);
  }
  CHECK(table.rows() == "0");
  proxy.release();
  CHECK(table.await_rows("1"));
  proxy.reset();
  {
    Pq client(proxy.conninfo(table.server.conninfo()));
    proxy.arm(Cut::reply_never, "insert");
    REQUIRE(PQsendQuery(client.handle(), table.insert(2).c_str()) == 1);
    REQUIRE(proxy.await_hit());
    CHECK(table.rows() == "2");
    CHECK(PQconsumeInput(client.handle()) == 1);
    CHECK(PQisBusy(client.handle()) == 1);
  }
}

TEST_CASE("the proxy counts, refuses, and knows prepared statements by their text", "[postgres][servers]") {
  Table table;
  TcpProxy proxy(table.server.port());
  const std::string conninfo = proxy.conninfo(table.server.conninfo());
  {
    Pq client(conninfo);
    PQclear(PQprepare(client.handle(), "put", ("INSERT INTO " + table.name + " VALUES ($1::int)").c_str(), 0,
                      nullptr));
    proxy.reset();
    for (const char* const id : {"1", "2", "3"}) {
      if (id[0] == '3') proxy.arm(Cut::before_reply, "insert into " + table.name, 1);
      PQclear(PQexecPrepared(client.handle(), "put", 1, &id, nullptr, nullptr, 0));
    }
    CHECK(proxy.await_hit());
    CHECK(proxy.requests() == 3);
    CHECK(proxy.round_trips() == 3);
    CHECK(proxy.connected() == 0);
    CHECK(table.rows() == "3");
  }
  proxy.refuse();
  CHECK_FALSE(Pq(conninfo).ok());
  proxy.swallow();
  CHECK_FALSE(Pq(conninfo + " connect_timeout=2").ok());
  proxy.accept();
  Pq client(conninfo);
  CHECK(client.ok());
  proxy.cut_all();
  CHECK(proxy.open() == 0);
  CHECK_FALSE(client.query("SELECT 1").ok());
  // By encryption's letter as well.
  CHECK(Pq(conninfo + " sslmode=prefer gssencmode=prefer").query("SELECT 7").value == "7");
}

TEST_CASE("pgbouncer gives each transaction a connection of the server's", "[postgres][servers]") {
  PostgresServer& server = shared_postgres();
  Pgbouncer bouncer(server, 1);
  Pq first(bouncer.conninfo()), second(bouncer.conninfo());
  const std::string pid = first.query("SELECT pg_backend_pid()").value;
  CHECK(second.query("SELECT pg_backend_pid()").value == pid);
  bouncer.kill();
  CHECK_FALSE(first.query("SELECT 1").ok());
  bouncer.start();
  CHECK(Pq(bouncer.conninfo()).query("SELECT 1").value == "1");
}
