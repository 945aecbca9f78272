#pragma once
// What cpp-httplib reads one request from, and writes its answer to: memory, sent at once.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include <netdb.h>
#include <sys/socket.h>

#include <httplib.h>

#include <paidonce/http/detail/connection.hpp>

namespace paidonce::inline v1::http::detail {

/// One thread at a time. The connection outlives it.
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

  bool is_readable() const override { return at_ < request_.size(); }
  bool is_writable() const override { return !broken_; }

  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = std::min(size, request_.size() - at_);
    std::memcpy(to, request_.data() + at_, count);
    at_ += count;
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) override {
    if (broken_) return -1;
    answer_.append(from, size);
    if (answer_.size() >= sent_at && !flush()) return -1;
    return static_cast<ssize_t>(size);
  }

  void get_remote_ip_and_port(std::string& ip, int& port) const override { name(&::getpeername, ip, port); }
  void get_local_ip_and_port(std::string& ip, int& port) const override { name(&::getsockname, ip, port); }
  socket_t socket() const override { return 0; }  // its number is looked at by select alone

 private:
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
  bool broken_ = false;
};

}  // namespace paidonce::inline v1::http::detail
