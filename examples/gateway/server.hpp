#pragma once
// The gateway as an HTTP server.

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include <httplib.h>
#include <sys/socket.h>

#include "behaviour.hpp"
#include "charge_form.hpp"
#include "idempotency.hpp"
#include "ledger.hpp"
#include "settlements.hpp"
#include "webhooks.hpp"

namespace gateway {

enum class Dedupe { off, on };

/// The library lets five connections wait to be accepted, and a busy shop opens more at a time: the kernel
/// would drop them as if the network had.
class HttpServer : public httplib::Server {
 public:
  void let_many_wait() { ::listen(svr_sock_, SOMAXCONN); }
};

/// `POST` and `GET /v1/charges`, `GET /v1/charges/:id`; the same of `/v1/payment_intents`, and
/// `POST /v1/payment_intents/:id/confirm`.
///
/// Not of Stripe, but levers for tests and people: `POST /test/settle` (charge_form.hpp, settlements.hpp),
/// and `GET /test/webhooks?wait_ms=N`, how many events are still to be told, after they were waited for.
class Server {
 public:
  Server(Ledger& ledger, Settlements& settlements, Webhooks& webhooks, Dedupe dedupe, const Rates& rates);

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
  /// A request as the idempotency answers know it.
  struct Asked {
    std::string key, parameters;
  };

  /// Runs `work`, which takes `Asked` and returns `Done`, unless it was answered before; and answers.
  template <class Work>
  void once(const httplib::Request& request, httplib::Response& response, Work work);
  void create_charge(const httplib::Request& request, httplib::Response& response);
  void create_intent(const httplib::Request& request, httplib::Response& response);
  void confirm_intent(const httplib::Request& request, httplib::Response& response);
  Done confirm(const std::string& id, const std::string& method, const Asked& asked);
  /// `intent` is null where it is only a charge.
  Done charge(const ChargeRequest& order, const nlohmann::json& intent, const Asked& asked);
  /// What comes of a pending charge after its line was written.
  void began(const nlohmann::json& charge, Later later);
  void list(Ledger::Kind kind, const httplib::Request& request, httplib::Response& response) const;
  void retrieve(Ledger::Kind kind, const httplib::Request& request, httplib::Response& response) const;
  void settle(const httplib::Request& request, httplib::Response& response);
  std::uint32_t next_attempt(const std::string& order);

  Ledger& ledger_;
  Settlements& settlements_;
  Webhooks& webhooks_;
  Dedupe dedupe_;
  Rates rates_;
  IdempotencyAnswers answers_;
  std::mutex mutex_;
  std::map<std::string, std::uint32_t> attempts_;  ///< requests seen for each order
  std::set<std::string> confirming_;               ///< intents: one charge at a time
  std::uint64_t forgotten_ = 0;
  HttpServer http_;
};

}  // namespace gateway
