// PostgresStore: by itself, and behind a pooler that shares connections between transactions.

#include <string>

#include <paidonce/stores/postgres.hpp>

#include "support/catch.hpp"
#include "support/pgbouncer.hpp"
#include "support/postgres_server.hpp"
#include "support/tcp_proxy.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

using namespace paidonce;

namespace {

/// Each store has a schema of its own, and is reached by way of a network that can be cut.
struct Postgres {
  PostgresStoreOptions options;
  TcpProxy network;
  std::string conninfo;

  Postgres(Statements statements, int port, const std::string& server)
      : network(port), conninfo(network.conninfo(server)) {
    options.statements = statements;
    options.connect_timeout = Duration(1000);
    options.reconnect = {Duration(1), Duration(20), Jitter::equal};
  }

  PostgresStore make() {
    network.accept();
    options.schema = PostgresServer::fresh_name("store");
    PostgresStore store(conninfo, options);
    store.migrate();
    return store;
  }
  PostgresStore reopen() { return PostgresStore(conninfo, options); }
  PostgresStore second_handle() { return PostgresStore(conninfo, options); }
  void break_backend(PostgresStore&) {
    network.refuse();
    network.cut_all();
  }
  void mend_backend(PostgresStore&) { network.accept(); }
};

}  // namespace

TEST_CASE("PostgresStore is a store", "[conformance][store][postgres]") {
  Postgres fixture(Statements::named, shared_postgres().port(), shared_postgres().conninfo());
  check_store_conformance(fixture);
}

TEST_CASE("PostgresStore with unnamed statements is a store behind a pgbouncer that pools transactions",
          "[conformance][store][postgres]") {
  Pgbouncer bouncer(shared_postgres());
  Postgres fixture(Statements::unnamed, bouncer.port(), bouncer.conninfo());
  check_store_conformance(fixture);
}
