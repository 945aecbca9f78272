#pragma once
// The gateway as an HTTP server.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include <httplib.h>
#include <sys/socket.h>

#include "behaviour.hpp"
#include "charge_form.hpp"
#include "idempotency.hpp"
#include "ledger.hpp"

namespace gateway {

enum class Dedupe { off, on };

/// The library lets five connections wait to be accepted, and a busy shop opens more at a time: the kernel
/// would drop them as if the network had.
class HttpServer : public httplib::Server {
 public:
  void let_many_wait() { ::listen(svr_sock_, SOMAXCONN); }
};

/// `POST /v1/charges`, `GET /v1/charges`, `GET /v1/charges/:id`.
class Server {
 public:
  Server(Ledger& ledger, Dedupe dedupe, const Rates& rates);

  /// Binds a port of the loopback interface, a free one for 0, and returns it; 0 when it is taken.
  int bind(int port);
  void serve() { http_.listen_after_bind(); }
  void stop() { http_.stop(); }

 private:
  /// What became of a request, and whether the answer is to be remembered under its key.
  struct Done {
    Reply reply;
    Answer answer = Answer::send;
    enum class Keep { yes, no } keep = Keep::yes;
  };

  void create(const httplib::Request& request, httplib::Response& response);
  Done charge(const ChargeRequest& order, const std::string& key, const std::string& parameters);
  void list(const httplib::Request& request, httplib::Response& response) const;
  void retrieve(const httplib::Request& request, httplib::Response& response) const;
  std::uint32_t next_attempt(const std::string& order);

  Ledger& ledger_;
  Dedupe dedupe_;
  Rates rates_;
  IdempotencyAnswers answers_;
  std::mutex mutex_;
  std::map<std::string, std::uint32_t> attempts_;  ///< requests seen for each order
  std::uint64_t forgotten_ = 0;
  HttpServer http_;
};

}  // namespace gateway
