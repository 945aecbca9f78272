#pragma once
// A client that writes bytes, and reads answers of HTTP without a library of HTTP.

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace integration {

struct RawAnswer {
  int status = 0;
  std::string head, body;

  /// The value of a field; empty without one.
  std::string field(std::string name) const {
    name = "\r\n" + name + ": ";
    const auto at = head.find(name);
    if (at == head.npos) return {};
    return head.substr(at + name.size(), head.find('\r', at + name.size()) - at - name.size());
  }
  /// "400 key-missing", "200 replayed"
  std::string told() const {
    std::string text = std::to_string(status);
    if (field("Idempotent-Replayed") == "true") text += " replayed";
    constexpr std::string_view type = "\"type\":\"urn:paidonce:problem:";
    if (const auto at = body.find(type); at != body.npos)
      text += ' ' + body.substr(at + type.size(), body.find('"', at + type.size()) - at - type.size());
    return text;
  }
};

class RawClient {
 public:
  explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (socket_ < 0) throw std::system_error(errno, std::generic_category(), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::generic_category(), "connect");
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False where the server does not take it any more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  /// Nothing more will be sent.
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  /// The server finds the connection broken, not ended.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(socket_);
    socket_ = -1;
  }

  /// Whether an answer begins, or the connection ends, within that time.
  bool readable_within(std::chrono::milliseconds time) {
    pollfd waited{socket_, POLLIN, 0};
    return !bytes_.empty() || ::poll(&waited, 1, static_cast<int>(time.count())) > 0;
  }

  /// The next answer; none when the server has closed. Throws where it breaks the connection, answers by
  /// halves, or does not answer for 20 s. `head_only`: to a HEAD.
  std::optional<RawAnswer> answer(bool head_only = false) {
    std::size_t end;
    while ((end = bytes_.find("\r\n\r\n")) == bytes_.npos)
      if (!more()) {
        if (!bytes_.empty()) throw std::runtime_error("half an answer: " + bytes_);
        return std::nullopt;
      }
    RawAnswer answer;
    answer.head = bytes_.substr(0, end + 2);
    bytes_.erase(0, end + 4);
    if (answer.head.rfind("HTTP/1.1 ", 0) != 0) throw std::runtime_error("no answer of HTTP: " + answer.head);
    answer.status = std::atoi(answer.head.c_str() + 9);
    if (head_only || answer.status == 100) return answer;
    const std::size_t length = std::strtoul(answer.field("Content-Length").c_str(), nullptr, 10);
    while (bytes_.size() < length)
      if (!more()) throw std::runtime_error("half a body");
    answer.body = bytes_.substr(0, length);
    bytes_.erase(0, length);
    return answer;
  }

 private:
  bool more() {
    pollfd waited{socket_, POLLIN, 0};
    if (::poll(&waited, 1, 20'000) <= 0) throw std::runtime_error("no answer for 20 s");
    char buffer[64 << 10];
    const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count < 0) throw std::system_error(errno, std::generic_category(), "recv");
    bytes_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }

  int socket_;
  std::string bytes_;
};

}  // namespace integration
