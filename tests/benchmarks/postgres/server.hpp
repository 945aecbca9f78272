#pragma once
// The server that is measured: its own, on a disk, with checkpoints far apart and a schema for each run. What
// it counted meanwhile says where the time went.

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <paidonce/stores/postgres.hpp>

#include "benchmarks/file/measure.hpp"
#include "support/postgres_server.hpp"

namespace postgres_benchmark {

using namespace file_benchmark;

/// Durable as it is installed; memory for the tables, and WAL for several minutes. Segments have 4 MB, as all
/// of these servers have.
inline std::unique_ptr<PostgresServer> start_server() {
  return std::make_unique<PostgresServer>(PostgresServer::Settings{{"max_connections", "200"},
                                                                   {"shared_buffers", "2GB"},
                                                                   {"min_wal_size", "2GB"},
                                                                   {"max_wal_size", "16GB"},
                                                                   {"checkpoint_timeout", "30min"},
                                                                   {"autovacuum_naptime", "10s"}},
                                          support::Place::disk);
}

/// What the server has counted, over all of its clients that have gone.
struct Counted {
  double commits = 0, syncs = 0, wal_bytes = 0;
  double server_us = 0, client_us = 0;  ///< processor time, of all threads and processes

  friend Counted operator-(const Counted& a, const Counted& b) {
    return {a.commits - b.commits, a.syncs - b.syncs, a.wal_bytes - b.wal_bytes, a.server_us - b.server_us,
            a.client_us - b.client_us};
  }
  friend Counted operator/(const Counted& a, double payments) {
    return {a.commits / payments, a.syncs / payments, a.wal_bytes / payments, a.server_us / payments,
            a.client_us / payments};
  }
};

/// Of the server, those of its processes that have ended included: their parent has waited for them.
inline double processor_time_of(PostgresServer& server) {
  double ticks = 0;
  for (const pid_t pid : server.processes()) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(in, text)) continue;
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int i = 3; i < 14; ++i) fields >> skipped;
    for (double each = 0; int i : {14, 15, 16, 17})
      if (i != 0 && fields >> each) ticks += each;
  }
  return ticks * 1e6 / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Of this process, and of pgbench's that have ended.
inline double processor_time_here() {
  double us = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage used{};
    ::getrusage(who, &used);
    for (const timeval& time : {used.ru_utime, used.ru_stime})
      us += static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  }
  return us;
}

/// Waits until the clients have gone: only then have they added up what they did.
inline Counted counted(PostgresServer& server) {
  const auto deadline = Clock::now() + std::chrono::seconds(30);
  while (server.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") != "1") {
    if (Clock::now() > deadline) throw std::runtime_error("a client does not go");
    ::poll(nullptr, 0, 5);
  }
  const auto row =
      server
          .exec(
              "SELECT xact_commit, wal_sync, wal_bytes::bigint FROM pg_stat_database, pg_stat_wal "
              "WHERE datname = 'postgres'")
          .at(0);
  return {std::stod(row.at(0)), std::stod(row.at(1)), std::stod(row.at(2)), processor_time_of(server),
          processor_time_here()};
}

/// A schema with the store's table, and a table of an application's; dropped with this.
class Schema {
 public:
  explicit Schema(PostgresServer& server) : server_(server), name_(PostgresServer::fresh_name("bench")) {
    paidonce::PostgresStore(server.conninfo(), options()).migrate();
    server.exec("CREATE TABLE " + name_ +
                ".purchases (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payment bytea NOT NULL, "
                "euros bigint NOT NULL)");
  }
  ~Schema() {
    try {
      server_.exec("DROP SCHEMA " + name_ + " CASCADE");
    } catch (const std::exception&) {  // it goes with the server
    }
  }
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;

  const std::string& name() const { return name_; }
  PostgresServer& server() const { return server_; }
  /// One to one: what a call needs has a connection at once.
  paidonce::PostgresStoreOptions options() const {
    paidonce::PostgresStoreOptions options;
    options.schema = name_;
    return options;
  }

 private:
  PostgresServer& server_;
  const std::string name_;
};

}  // namespace postgres_benchmark
