#pragma once
// What the gateway answered to which `Idempotency-Key`. Kept for as long as the process lives; answers about
// charges are known again from the ledger.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "stripe_objects.hpp"

namespace gateway {

/// Safe to use from any number of threads.
class IdempotencyAnswers {
 public:
  enum class Found { nothing, same_request, running, other_request };

  /// Takes the key for a request that nobody has sent before. With `same_request` comes the answer to repeat.
  std::pair<Found, std::optional<Reply>> begin(const std::string& key, const std::string& parameters) {
    const std::lock_guard lock(mutex_);
    const auto [known, fresh] = answers_.try_emplace(key, Known{parameters, std::nullopt});
    if (fresh) return {Found::nothing, std::nullopt};
    if (known->second.parameters != parameters) return {Found::other_request, std::nullopt};
    if (!known->second.reply) return {Found::running, std::nullopt};
    return {Found::same_request, known->second.reply};
  }

  void finish(const std::string& key, const std::string& parameters, Reply reply) {
    const std::lock_guard lock(mutex_);
    answers_.insert_or_assign(key, Known{parameters, std::move(reply)});
  }

  /// The request left no trace; the next one with this key runs.
  void forget(const std::string& key) {
    const std::lock_guard lock(mutex_);
    answers_.erase(key);
  }

 private:
  struct Known {
    std::string parameters;
    std::optional<Reply> reply;  ///< none while the first request runs
  };
  std::mutex mutex_;
  std::map<std::string, Known> answers_;
};

}  // namespace gateway
