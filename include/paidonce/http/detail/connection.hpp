#pragma once
// A client's connection: bytes with deadlines. One thread at a time.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <paidonce/time.hpp>

namespace paidonce::inline v1::http::detail {

enum class Received : std::uint8_t { bytes, nothing, end, broken };

class Connection {
 public:
  using Clock = std::chrono::steady_clock;

  /// Takes the socket, and closes it.
  explicit Connection(int socket) noexcept : socket_(socket) {}
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int socket() const noexcept { return socket_; }

  /// What came and was not taken.
  std::string_view unread() const noexcept { return std::string_view(bytes_).substr(begin_); }
  void drop(std::size_t count) {
    begin_ += count;
    if (begin_ < bytes_.size()) return;
    if (bytes_.capacity() > keeps) bytes_ = {};
    bytes_.clear();
    begin_ = 0;
  }
  std::string take(std::size_t count) {
    std::string taken(unread().substr(0, count));
    drop(count);
    return taken;
  }

  /// Waits for bytes, or the end; false at the deadline, and as soon as `worth_it` says no, which is asked
  /// every 50 ms.
  template <class WorthIt>
  bool wait(Clock::time_point deadline, WorthIt worth_it) {
    if (ready(POLLIN, Clock::now())) return true;
    while (worth_it()) {
      const auto now = Clock::now();
      if (now >= deadline) return false;
      if (ready(POLLIN, std::min(deadline, now + std::chrono::milliseconds(50)))) return true;
    }
    return false;
  }

  /// Adds what comes next to what is unread.
  Received receive(Clock::time_point deadline) {
    for (;;) {
      if (begin_ > 0 && begin_ >= bytes_.size() / 2) {
        bytes_.erase(0, begin_);
        begin_ = 0;
      }
      char buffer[16 << 10];
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count > 0) {
        bytes_.append(buffer, static_cast<std::size_t>(count));
        return Received::bytes;
      }
      if (count == 0) return Received::end;
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return Received::broken;
      if (!ready(POLLIN, deadline)) return Received::nothing;
    }
  }

  bool send(std::string_view text, Clock::time_point deadline) {
    while (!text.empty()) {
      const ssize_t count = ::send(socket_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count >= 0)
        text.remove_prefix(static_cast<std::size_t>(count));
      else if (errno == EAGAIN || errno == EWOULDBLOCK ? !ready(POLLOUT, deadline) : errno != EINTR)
        return false;
    }
    return true;
  }

  /// The last answer was sent. Closing while something unread is there would take the answer away from the
  /// client (RFC 9112, section 9.6), so what still comes is read for a second at most.
  void finish() {
    ::shutdown(socket_, SHUT_WR);
    const auto deadline = Clock::now() + std::chrono::seconds(1);
    std::size_t left = 4 << 20;
    char buffer[16 << 10];
    while (Clock::now() < deadline && ready(POLLIN, deadline)) {
      const ssize_t count = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) return;
      if (count > 0 && (left -= std::min(left, static_cast<std::size_t>(count))) == 0) return;
    }
  }

 private:
  static constexpr std::size_t keeps = 64 << 10;

  bool ready(short what, Clock::time_point deadline) const {
    for (;;) {
      const auto left = std::chrono::ceil<Duration>(deadline - Clock::now());
      pollfd waited{socket_, what, 0};
      const int count =
          ::poll(&waited, 1, static_cast<int>(std::clamp<Duration::rep>(left.count(), 0, 1 << 30)));
      if (count > 0) return true;
      if (count == 0 && Clock::now() >= deadline) return false;
      if (count < 0 && errno != EINTR) return false;
    }
  }

  int socket_;
  std::string bytes_;
  std::size_t begin_ = 0;
};

/// Looks for the end of a head as it grows, each byte once.
class HeadEnd {
 public:
  /// Whether it is there: `end` is behind the empty line.
  bool found(std::string_view text, std::size_t& end) {
    for (; at_ < text.size() && !malformed_; ++at_) {
      if (text[at_] != '\n') continue;
      if (at_ == 0 || text[at_ - 1] != '\r') {
        malformed_ = true;
      } else if (at_ == line_ + 1 && at_ > 1) {
        end = at_ + 1;
        return true;
      }
      line_ = at_ + 1;
    }
    return false;
  }
  /// A line ended without CR.
  bool malformed() const noexcept { return malformed_; }

 private:
  std::size_t at_ = 0, line_ = 0;
  bool malformed_ = false;
};

/// The words of a status line; nobody reads them.
inline std::string_view phrase(int status) noexcept {
  switch (status) {
    case 400: return "Bad Request";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 505: return "HTTP Version Not Supported";
    default: return "";
  }
}

}  // namespace paidonce::inline v1::http::detail
