#pragma once
// Tells a program of events, as Stripe does (https://stripe.com/docs/webhooks): signed, and again until it is
// acknowledged.

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ledger.hpp"

namespace gateway {

/// `Stripe-Signature` of a body: `t=…,v1=…`, the HMAC-SHA256 of "t.body" in hexadecimal digits.
std::string signature_of(const std::string& body, const std::string& secret, long long time);

struct WebhookTarget {
  std::string url;  ///< "http://127.0.0.1:8000/webhooks/gateway"; empty: nobody is told
  std::string secret;
  std::chrono::milliseconds first_pause{500};  ///< after a failure; twice as long after each, up to a minute
};

/// A thread that posts one event after the other. What is not acknowledged with a 2xx is sent again after a
/// pause, under the same id, also by the next process. Safe to use from any number of threads.
class Webhooks {
 public:
  /// Begins with what the ledger says was not told. Throws `std::invalid_argument` for no such URL.
  Webhooks(Ledger& ledger, WebhookTarget target);
  /// What is under way is waited for.
  ~Webhooks();
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  bool anybody() const { return !target_.url.empty(); }
  /// The events of a line of the ledger.
  void send(const Line& line);
  /// Until there is nothing left to tell, or so long. Returns what is left.
  std::size_t wait_until_told(std::chrono::milliseconds at_most) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Due {
    Untold what;
    unsigned failures = 0;
    Clock::time_point at = {};
  };
  void run();
  bool acknowledged(const Untold& what) const;

  Ledger& ledger_;
  WebhookTarget target_;
  std::string origin_, path_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Due> due_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gateway
