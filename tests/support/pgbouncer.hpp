#pragma once
// pgbouncer in transaction mode in front of a PostgreSQL server: what many deployments have there, and what
// no session state survives.

#include <memory>
#include <string>

#include "support/kept_process.hpp"
#include "support/postgres_server.hpp"

/// As an unprivileged user, on a free port of the loopback interface, gone with the test; configured for
/// nothing but its mode, as somebody has it who reads its manual for the first time.
class Pgbouncer {
 public:
  /// std::runtime_error where the program is missing, or does not start. At most `pool` connections to each
  /// database.
  explicit Pgbouncer(PostgresServer& server, int pool = 10);
  ~Pgbouncer();
  Pgbouncer(const Pgbouncer&) = delete;
  Pgbouncer& operator=(const Pgbouncer&) = delete;

  std::string conninfo(const std::string& database = "postgres") const;
  int port() const noexcept { return port_.number(); }
  /// SIGKILL, and once more from the beginning.
  void kill();
  void start();
  std::string log() const;

 private:
  support::ReservedPort port_;
  std::unique_ptr<support::KeptProcess> process_;
};
