#pragma once
// RabbitMQ for tests: on free ports of the loopback interface, in a directory of its own, as an unprivileged
// user, gone with the test. A machine without it fails the test, with a text that says what to install.
//
//   auto& server = shared_rabbitmq();                          // one for all tests of a run
//   RabbitQueue queue(server.uri(), {.queue = RabbitServer::fresh_name()});
//
//   RabbitServer server;                                       // one for this test alone, about 6 s
//
// Programs that use it say RABBITMQ in paidonce_test(...).

#include <filesystem>
#include <memory>
#include <string>

#include <sys/types.h>

#include "support/kept_process.hpp"
#include "support/server_fixture.hpp"

/// User and password `guest`, no plugins. One thread starts and stops a server.
class RabbitServer {
 public:
  /// Started, and ready. `until`: see KeptProcess. Throws std::runtime_error with the end of its log.
  explicit RabbitServer(pid_t until = 0);
  /// Of a fixture: nobody's to stop.
  explicit RabbitServer(support::FixtureServer elsewhere);
  ~RabbitServer();
  RabbitServer(const RabbitServer&) = delete;
  RabbitServer& operator=(const RabbitServer&) = delete;

  /// Of the virtual host `/`; or by way of another port, a proxy's.
  std::string uri() const { return uri(port_); }
  static std::string uri(int port) { return "amqp://guest:guest@127.0.0.1:" + std::to_string(port); }
  int port() const noexcept { return port_; }
  /// For queues of one's own on a server that others use too.
  static std::string fresh_name(const std::string& name = "q");

  /// SIGKILL, of all its processes at once.
  void kill();
  /// After kill() or stop(), with the queues on its disk.
  void start();
  /// In good order.
  void stop();
  bool running();

  support::FixtureServer as_fixture() const;
  std::string log() const;

 private:
  std::unique_ptr<support::ReservedPort> amqp_, distribution_, names_;
  std::unique_ptr<support::KeptProcess> process_;  // null: of a server that is not ours
  std::filesystem::path directory_;
  int port_ = 0;
};

/// The server that all tests of a run share: CTest's fixture started it, or else this process does. Nobody
/// may stop it.
RabbitServer& shared_rabbitmq();
