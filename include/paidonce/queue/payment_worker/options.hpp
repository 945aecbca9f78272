#pragma once
// What a PaymentWorker can be told, and what it tells.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct PaymentWorkerOptions {
  std::size_t threads = 4;  ///< payments at the same time
  /// A message that was handed out more often is set aside before anything of it is run: it may be what ends
  /// the process each time. What does not count: `in_progress`, in doubt, and failures of store or broker.
  std::uint32_t most_deliveries = 20;
  /// Between the tries of a message. Not `Jitter::decorrelated`: the pause before the last one is not known
  /// to another worker.
  Backoff backoff = {std::chrono::seconds(1), std::chrono::minutes(5), Jitter::equal};
  /// How long a message waits whose payment is in doubt: recovery or a person decides meanwhile.
  Duration doubt_pause = std::chrono::minutes(1);
  /// How long a thread of the worker pauses while the store or the broker fails. Not decorrelated, either.
  Backoff outage = {Duration(100), std::chrono::seconds(10), Jitter::equal};
  /// How long one look for a message waits.
  Duration poll = std::chrono::seconds(1);
  /// Told `queue_out_of_reach`, `queue_store_failing` and `queue_dead_letter`: docs/operations/runbook.md. By
  /// one thread at a time.
  AlertSink alert = {};
  /// Failures in a row that one thread meets before the alert is raised. What does not pass by itself is told
  /// at once.
  std::uint32_t alert_after = 3;
  /// After so long without another dead letter `queue_dead_letter` is cleared.
  Duration dead_letters_stand = std::chrono::minutes(10);
  /// Told that a payment is in doubt and why: once while it stays so, as far as this worker remembers (the
  /// last 4096 or so). On a thread of the worker; what it throws is dropped. Where recovery runs beside the
  /// payments there is nothing to be done here.
  std::function<void(const IdempotencyKey& key, std::string_view reason)> on_doubt = {};
  std::optional<std::uint32_t> seed = {};  ///< of the jitter; not set: a random one
};

/// What a worker has done, each count since it was made.
struct PaymentWorkerStats {
  std::uint64_t received = 0;       ///< messages that the source handed out
  std::uint64_t completed = 0;      ///< of these: paid or declined, replays among them
  std::uint64_t declined = 0;       ///< of the completed
  std::uint64_t replayed = 0;       ///< of the completed: an earlier call had the answer
  std::uint64_t in_doubt = 0;       ///< looked at again later
  std::uint64_t retried = 0;        ///< looked at again later for any other reason
  std::uint64_t dead_letters = 0;   ///< set aside
  std::uint64_t given_back = 0;     ///< not begun, since the worker was stopped
  std::uint64_t unsettled = 0;      ///< settled here, but the broker could not be told: they come again
  std::uint64_t broker_errors = 0;  ///< calls to the source that threw
  std::uint64_t store_errors = 0;   ///< calls to the guard that threw what is not the message's fault
};

namespace detail {

/// Throws `Error{invalid_options}`.
inline const PaymentWorkerOptions& checked(const PaymentWorkerOptions& options) {
  const auto require = [](bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  };
  for (const Backoff* const backoff : {&options.backoff, &options.outage}) {
    checked(*backoff);
    require(backoff->jitter != Jitter::decorrelated,
            "the backoffs of PaymentWorkerOptions cannot be decorrelated: take Jitter::equal");
  }
  require(options.threads > 0, "PaymentWorkerOptions::threads must be at least 1");
  require(options.most_deliveries > 0, "PaymentWorkerOptions::most_deliveries must be at least 1");
  require(options.alert_after > 0, "PaymentWorkerOptions::alert_after must be at least 1");
  require(options.doubt_pause.count() > 0 && options.poll.count() > 0,
          "PaymentWorkerOptions::doubt_pause and poll must be longer than zero");
  require(options.dead_letters_stand.count() > 0,
          "PaymentWorkerOptions::dead_letters_stand must be longer than zero");
  return options;
}

}  // namespace detail

}  // namespace paidonce::inline v1
