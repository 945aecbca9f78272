#pragma once
// PostgreSQL for tests: the newest that is installed, on a free port of the loopback interface, in a
// directory of its own, as an unprivileged user, gone with the test. A machine without it fails the test,
// with a text that says what to install.
//
//   auto& server = shared_postgres();                          // one for all tests of a run
//   PostgresStore store(server.fresh_database());              // what belongs to this test
//
//   PostgresServer server({{"max_connections", "10"}});        // one for this test alone, about 0.5 s
//   server.kill();  server.start();
//
// Measurements take support::Place::disk. Programs that use it say POSTGRES in paidonce_test(...).

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "support/kept_process.hpp"

/// The directory of the server's programs, and one of them; std::runtime_error where it is not installed.
std::filesystem::path postgres_program(const std::string& name);

/// Durable (`fsync` on) unless the settings say otherwise; superuser `postgres`, no passwords, UTF-8
/// and locale C. One thread starts and stops a server; the other calls may be made from any number of
/// threads.
class PostgresServer {
 public:
  /// Of postgresql.conf.
  struct Setting {
    std::string name, value;
  };
  using Settings = std::initializer_list<Setting>;
  using Rows = std::vector<std::vector<std::string>>;  ///< a null is an empty text

  /// Started, and ready for connections. `until`: see KeptProcess. Throws std::runtime_error with the end of
  /// the server's log.
  explicit PostgresServer(Settings settings = {}, support::Place place = support::Place::memory,
                          pid_t until = 0);
  /// With a small disk beside its own, for a tablespace.
  struct SmallDisk {
    std::size_t bytes;
  };
  explicit PostgresServer(SmallDisk disk, Settings settings = {});
  /// A standby of another server, which streams from it: read-only until promote().
  struct StandbyOf {
    PostgresServer& primary;
  };
  explicit PostgresServer(StandbyOf primary, Settings settings = {});
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  /// Over TCP, without TLS. For sockets or other users: port(), socket_directory().
  std::string conninfo(const std::string& database = "postgres") const;
  int port() const;
  std::filesystem::path socket_directory() const;

  /// A new empty database, and its conninfo; about 0.1 s. A schema of a name of one's own is cheaper.
  std::string fresh_database();
  /// A name that no other test of this run uses: for a schema, a table, a role.
  static std::string fresh_name(const std::string& prefix = "t");

  /// Runs SQL as the superuser, on a connection of its own; std::runtime_error with the server's message.
  Rows exec(const std::string& sql, const std::string& database = "postgres");
  /// The first column of the first row; empty where there is none.
  std::string value(const std::string& sql, const std::string& database = "postgres");

  /// SIGKILL, of the first process and all of its children at once: as if the machine had lost power, except
  /// that the kernel keeps what was written.
  void kill();
  /// After kill() or stop(); waits until it takes connections.
  void start();
  /// With a checkpoint; connections are closed ("fast").
  void stop();
  bool running();
  /// All of its processes: to SIGSTOP and SIGCONT them. A client's own is pg_backend_pid().
  std::vector<pid_t> processes();
  /// Where the small disk is; empty where that needs an administrator.
  std::filesystem::path small_disk() { return process_->small_disk(); }
  /// Makes a standby a primary.
  void promote();
  /// For the fixture: who keeps it.
  pid_t keeper() const { return process_->keeper(); }
  /// The end of its log.
  std::string log() const;

 private:
  friend PostgresServer& shared_postgres();
  struct Elsewhere {
    int port;
    std::filesystem::path directory;
  };
  explicit PostgresServer(Elsewhere server);
  void copy_cluster(support::Place place);
  void launch(Settings settings, pid_t until, std::size_t small_disk = 0);
  void await_connections();

  std::unique_ptr<support::ReservedPort> reserved_;
  std::unique_ptr<support::KeptProcess> process_;  // null: of a server that is not ours
  std::filesystem::path directory_;
  int port_ = 0;
};

/// The server that all tests of a run share: CTest's fixture started it, or else this process does. Nobody
/// may kill it, stop it or change its settings, and tests run beside each other on it.
PostgresServer& shared_postgres();
