#pragma once
// Redis for tests: on free ports of the loopback interface, in a directory of its own, as an unprivileged
// user, gone with the test. A machine without it fails the test, with a text that says what to install.
//
//   auto& server = shared_redis();                             // one for all tests of a run
//   RedisStore store(server.uri(), {.prefix = RedisServer::fresh_prefix()});
//
//   RedisServer server({{"appendonly", "no"}});                // one for this test alone, about 0.05 s
//   server.kill();  server.start();
//
//   RedisCluster cluster;                                      // three nodes, about 2.5 s
//
// Programs that use it say REDIS in paidonce_test(...).

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "support/kept_process.hpp"
#include "support/server_fixture.hpp"

/// What a server answered.
struct RedisAnswer {
  bool nil = false, error = false;
  std::string text = {};  ///< of a string, a status, an error
  long long integer = 0;
  std::vector<RedisAnswer> elements = {};
};

/// One thread starts and stops a server; the other calls may be made from any number of threads.
class RedisServer {
 public:
  /// Of redis.conf; the value as it is written there.
  struct Setting {
    std::string name, value;
  };
  using Settings = std::vector<Setting>;
  /// Nothing that was answered is lost by kill().
  static Settings durable() { return {{"appendonly", "yes"}, {"appendfsync", "always"}}; }

  /// Started, and ready. `until`: see KeptProcess. Throws std::runtime_error with the end of its log.
  explicit RedisServer(Settings settings = durable(), pid_t until = 0);
  explicit RedisServer(std::initializer_list<Setting> settings) : RedisServer(Settings(settings)) {}
  /// Of a fixture: nobody's to stop.
  explicit RedisServer(support::FixtureServer elsewhere);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::string uri(int database = 0) const;
  int port() const noexcept { return port_; }
  const std::filesystem::path& directory() const noexcept { return directory_; }
  /// For keys of one's own on a server that others use too.
  static std::string fresh_prefix(const std::string& name = "t");

  /// One command on a connection of its own. Throws std::runtime_error where the server is gone or the
  /// answer is an error; try_command() only in the first case.
  RedisAnswer command(const std::vector<std::string>& words) const;
  RedisAnswer try_command(const std::vector<std::string>& words) const;
  /// A line of INFO; empty where there is none.
  std::string info(const std::string& field) const;

  /// SIGKILL, as if the process had crashed: the kernel keeps what was written.
  void kill();
  /// After kill() or stop(), with what is on its disk, and with these settings as well from now on.
  void start(const Settings& more = {});
  /// As on SHUTDOWN.
  void stop();
  bool running();
  /// To SIGSTOP and SIGCONT it.
  std::vector<pid_t> processes();

  /// Follows another server, whose data it has when this returns.
  void replica_of(const RedisServer& other);
  /// Makes a replica a master.
  void promote();

  support::FixtureServer as_fixture() const;
  std::string log() const;

 private:
  void write_settings(const Settings& settings);
  void await_ready();

  std::unique_ptr<support::ReservedPort> reserved_;
  std::unique_ptr<support::KeptProcess> process_;  // null: of a server that is not ours
  std::filesystem::path directory_;
  int port_ = 0;
};

/// The server that all tests of a run share: CTest's fixture started it, or else this process does. Nobody
/// may stop it, change its settings or empty it.
RedisServer& shared_redis();

/// Masters that divide the slots between them, and replicas of each. Needs Redis 7.
class RedisCluster {
 public:
  explicit RedisCluster(int masters = 3, int replicas = 0, RedisServer::Settings more = {}, pid_t until = 0);
  /// Of a fixture.
  explicit RedisCluster(std::span<const support::FixtureServer> elsewhere);
  ~RedisCluster();

  /// Returns when every node that runs says that all slots are served. The constructor of one's own has done
  /// so.
  void await_ok();
  /// Of all nodes.
  std::string uri() const;
  std::size_t size() const noexcept { return nodes_.size(); }
  /// First the masters, then the replicas of the first, of the second...
  RedisServer& node(std::size_t at) { return *nodes_.at(at).server; }
  std::size_t node_of_slot(int slot) const;
  static int slot_of(const std::string& key);

  /// The steps in which a slot is moved, as redis-cli does it; between them the cluster answers ASK and
  /// TRYAGAIN.
  void begin_move(int slot, std::size_t from, std::size_t to);
  /// Moves that many keys of it; how many there were.
  std::size_t move_keys(int slot, std::size_t from, std::size_t to, std::size_t count = 1000);
  void finish_move(int slot, std::size_t from, std::size_t to);
  void move_slot(int slot, std::size_t from, std::size_t to);

 private:
  struct Node {
    std::unique_ptr<support::ReservedPort> bus;
    std::unique_ptr<RedisServer> server;
    std::string id;
  };
  std::vector<Node> nodes_;
};

/// Three masters, of all tests of a run; its keys are everybody's, its slots nobody's to move.
RedisCluster& shared_redis_cluster();
