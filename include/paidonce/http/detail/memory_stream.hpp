#pragma once
// What cpp-httplib reads one request from, and writes its answer to: memory, sent at once.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>

#include <httplib.h>

#include <paidonce/http/detail/connection.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/request_head.hpp>

namespace paidonce::inline v1::http::detail {

/// One thread at a time. The connection outlives it. Nothing is marked `override`: what there is to override
/// differs between versions of cpp-httplib, and one that is missing does not compile.
class MemoryStream : public httplib::Stream {
 public:
  MemoryStream(std::string request, Connection& connection, Duration write_timeout)
      : request_(std::move(request)), connection_(connection), write_timeout_(write_timeout) {}

  /// Sends what is left; false where the client did not take it in time.
  bool flush() {
    if (broken_) return false;
    if (answer_.empty()) return true;
    if (deadline_ == Connection::Clock::time_point{}) deadline_ = Connection::Clock::now() + write_timeout_;
    broken_ = !connection_.send(answer_, deadline_);
    answer_.clear();
    return !broken_;
  }

  /// Whether the answer has told the client that the connection ends, as a handler may, and newer versions of
  /// cpp-httplib do with every error.
  bool closes() const noexcept { return closes_; }

  bool is_readable() const { return at_ < request_.size(); }
  bool is_writable() const { return !broken_; }
  bool wait_readable() const { return is_readable(); }
  bool wait_writable() const { return is_writable(); }
  time_t duration() const { return 0; }  // asked of clients alone

  ssize_t read(char* to, std::size_t size) {
    const std::size_t count = std::min(size, request_.size() - at_);
    std::memcpy(to, request_.data() + at_, count);
    at_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) {
    if (broken_) return -1;
    if (!begun_) closes_ = says_close({from, size});  // the head is one write
    begun_ = true;
    answer_.append(from, size);
    if (answer_.size() >= sent_at && !flush()) return -1;
    return static_cast<ssize_t>(size);
  }

  void get_remote_ip_and_port(std::string& ip, int& port) const { name(&::getpeername, ip, port); }
  void get_local_ip_and_port(std::string& ip, int& port) const { name(&::getsockname, ip, port); }
  socket_t socket() const { return connection_.socket(); }  // to see whether the client is gone

 private:
  static bool says_close(std::string_view head) {
    head = head.substr(0, head.find("\r\n\r\n"));
    for (auto end = head.find("\r\n"); end != head.npos; end = head.find("\r\n")) {
      head.remove_prefix(end + 2);
      const std::string_view line = head.substr(0, head.find("\r\n"));
      const auto colon = line.find(':');
      if (colon != line.npos && same_name(line.substr(0, colon), "Connection") &&
          lists(line.substr(colon + 1), "close"))
        return true;
    }
    return false;
  }

  static constexpr std::size_t sent_at = 256 << 10;

  template <class Function>
  void name(Function* function, std::string& ip, int& port) const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    char host[NI_MAXHOST] = {}, service[NI_MAXSERV] = {};
    if (function(connection_.socket(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, service,
                      sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
      return;
    ip = host;
    port = std::atoi(service);
  }

  std::string request_, answer_;
  Connection& connection_;
  Duration write_timeout_;
  Connection::Clock::time_point deadline_{};
  std::size_t at_ = 0;
  bool broken_ = false, begun_ = false, closes_ = false;
};

}  // namespace paidonce::inline v1::http::detail
