#pragma once
// A small payment server in this process: http::Server, two Responders, a file store, and a ledger of
// charges.
//
//   POST /pay     a form; keys bare or in quotes        POST /strict  JSON; keys in quotes alone
//   POST /slow    a form; waits until it is let go      GET /probe    "probe"
//   GET /large    an answer of 8 MiB

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace integration {

class GuardedServer {
 public:
  struct Settings {
    std::size_t threads = 16;
    std::chrono::milliseconds head_timeout{5000}, body_timeout{5000}, idle_timeout{5000}, write_timeout{5000};
    /// How long a duplicate waits for the payment that runs.
    std::chrono::milliseconds wait{0};
  };

  GuardedServer() : GuardedServer(Settings()) {}
  explicit GuardedServer(Settings settings);
  ~GuardedServer();
  GuardedServer(const GuardedServer&) = delete;
  GuardedServer& operator=(const GuardedServer&) = delete;

  int port() const noexcept;
  /// The bodies that were charged, in their order.
  std::vector<std::string> charges() const;
  /// Waits until there are so many charges; false after 20 s.
  bool wait_for_charges(std::size_t count) const;
  /// Waits until so many payments wait at /slow; false after 20 s.
  bool wait_for_waiting(std::size_t count) const;
  /// Lets payments at /slow go, now and later.
  void let_go();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace integration
