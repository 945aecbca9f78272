#pragma once
// A server on a free port of this host that does to each connection in turn what a test says, byte by byte.
//
//   ScriptedServer server({closes_after_request(), replies("HTTP/1.1 200 OK\r\nContent-Length:
//   2\r\n\r\nok")}); … server.url() … CHECK(server.requests().size() == 2);

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// A TCP socket on a free port of 127.0.0.1. Connections to it are refused until somebody listens.
class BoundSocket {
 public:
  BoundSocket() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (descriptor_ < 0 || ::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no free port on 127.0.0.1");
    port_ = ntohs(address.sin_port);
  }
  ~BoundSocket() { ::close(descriptor_); }
  BoundSocket(const BoundSocket&) = delete;
  BoundSocket& operator=(const BoundSocket&) = delete;

  int descriptor() const { return descriptor_; }
  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  int descriptor_, port_ = 0;
};

/// One connection, while a step has it. It is closed after the step.
class ScriptedConnection {
 public:
  explicit ScriptedConnection(int descriptor) : descriptor_(descriptor) {}

  /// All of a request with a Content-Length, or what came of it; `most`: so many bytes at most.
  const std::string& read_request(std::size_t most = std::string::npos) {
    std::size_t wanted = most;
    while (request_.size() < wanted) {
      char bytes[4096];
      const auto got = ::recv(descriptor_, bytes, std::min(sizeof bytes, wanted - request_.size()), 0);
      if (got <= 0) break;
      request_.append(bytes, static_cast<std::size_t>(got));
      const auto end = request_.find("\r\n\r\n");
      if (most != std::string::npos || end == std::string::npos) continue;
      const auto at = request_.find("Content-Length: ");
      const std::size_t length = at < end ? std::strtoul(request_.c_str() + at + 16, nullptr, 10) : 0;
      wanted = end + 4 + length;
    }
    return request_;
  }
  /// False where the client has gone.
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto put = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return true;
  }
  /// The client gets nothing more, and can still send.
  void finish_sending() const { ::shutdown(descriptor_, SHUT_WR); }
  /// Until the client closes its side.
  void await_close() const {
    char bytes[4096];
    while (::recv(descriptor_, bytes, sizeof bytes, 0) > 0) {
    }
  }
  /// One byte every few milliseconds until the client closes its side.
  void drip(char byte) const {
    for (pollfd client{descriptor_, POLLIN, 0}; send({&byte, 1});)
      if (::poll(&client, 1, 5) != 0) return;
  }

 private:
  int descriptor_;
  std::string request_ = {};
};

class ScriptedServer {
 public:
  using Step = std::function<void(ScriptedConnection&)>;

  /// The last step is for all connections that follow.
  explicit ScriptedServer(std::vector<Step> steps) : steps_(std::move(steps)) {
    if (::listen(socket_.descriptor(), 64) != 0) throw std::runtime_error("cannot listen");
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      if (connection_ >= 0) ::shutdown(connection_, SHUT_RDWR);
    }
    ::shutdown(socket_.descriptor(), SHUT_RDWR);
    thread_.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string url() const { return socket_.url(); }
  int port() const { return socket_.port(); }
  /// What each connection has brought, in order. Waits for the step that has one.
  std::vector<std::string> requests() const {
    std::unique_lock lock(mutex_);
    over_.wait(lock, [this] { return connection_ < 0; });
    return requests_;
  }

 private:
  void serve() {
    for (std::size_t n = 0;; ++n) {
      const int accepted = ::accept4(socket_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) return;
      {
        const std::lock_guard lock(mutex_);
        if (stopped_) return static_cast<void>(::close(accepted));
        connection_ = accepted;
      }
      ScriptedConnection connection(accepted);
      steps_[n < steps_.size() ? n : steps_.size() - 1](connection);
      const std::lock_guard lock(mutex_);
      requests_.push_back(connection.read_request(0));
      ::close(accepted);
      connection_ = -1;
      over_.notify_all();
    }
  }

  const std::vector<Step> steps_;
  BoundSocket socket_;
  mutable std::mutex mutex_;
  mutable std::condition_variable over_;
  bool stopped_ = false;
  int connection_ = -1;
  std::vector<std::string> requests_ = {};
  std::thread thread_ = {};
};

inline ScriptedServer::Step replies(std::string bytes) {
  return [bytes = std::move(bytes)](ScriptedConnection& client) {
    client.read_request();
    client.send(bytes);
  };
}
inline ScriptedServer::Step closes_at_once() {
  return [](ScriptedConnection&) {};
}
inline ScriptedServer::Step closes_within_request(std::size_t bytes) {
  return [bytes](ScriptedConnection& client) { client.read_request(bytes); };
}
inline ScriptedServer::Step closes_after_request() { return replies(""); }
inline ScriptedServer::Step never_replies() {
  return [](ScriptedConnection& client) {
    client.read_request();
    client.await_close();
  };
}
/// Sends that, and then byte after byte.
inline ScriptedServer::Step drips(std::string bytes) {
  return [bytes = std::move(bytes)](ScriptedConnection& client) {
    client.read_request();
    if (client.send(bytes)) client.drip('x');
  };
}

}  // namespace support
