#pragma once
// How payments end that were pending when they were answered: when somebody says so, or by the clock.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "charge_form.hpp"
#include "ledger.hpp"
#include "webhooks.hpp"

namespace gateway {

/// Safe to use from any number of threads.
class Settlements {
 public:
  /// With `after`, every pending charge ends so long after it was made, as its account says, or so long after
  /// the start of this process, if it was made by another.
  Settlements(Ledger& ledger, Webhooks& webhooks, std::optional<std::chrono::milliseconds> after);
  ~Settlements();
  Settlements(const Settlements&) = delete;
  Settlements& operator=(const Settlements&) = delete;

  /// Ends a pending payment, in the ledger, and has its events told. A payment that has ended does not end
  /// again: its events are told all the same, whatever they say, as if the gateway contradicted itself.
  /// nullopt: there is no such payment, or it has no charge.
  std::optional<Line> settle(const SettleRequest& request);

  /// A charge was made that is pending.
  void made(const nlohmann::json& charge);

 private:
  using Clock = std::chrono::steady_clock;
  struct Due {
    Clock::time_point at;
    SettleRequest request;
  };
  void run();
  std::optional<Line> settle_alone(const SettleRequest& request);

  Ledger& ledger_;
  Webhooks& webhooks_;
  std::optional<std::chrono::milliseconds> after_;
  std::mutex settling_;  ///< one at a time: the second finds what the first has made of it
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Due> due_;  ///< in the order of their times: each waits equally long
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gateway
