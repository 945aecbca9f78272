#pragma once
// What a guard, and a single call, can be told.

#include <functional>
#include <optional>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// The rules of a guard. All guards over one store should agree on them.
struct GuardOptions {
  /// How long an attempt may run before others may call it abandoned. Longer than the slowest honest payment.
  Duration lease = std::chrono::seconds(30);
  /// How long a completed result is replayed. Afterwards the key is free, and a duplicate is a new payment.
  Duration retention = std::chrono::hours(24);
  /// How long a duplicate waits for the running attempt before it is told `in_progress`.
  Duration wait = Duration(0);
  /// Extend the lease while the callable runs, at a third of it.
  bool heartbeat = true;
  /// A promise: the provider charges once per `Attempt::provider_key()`, for `provider_remembers` after the
  /// payment was first begun. Only within it may an attempt in doubt be run again without asking the
  /// provider.
  bool provider_deduplicates = false;
  Duration provider_remembers = std::chrono::hours(24);
};

/// What one call has of its own. What is not set is as in the guard's options.
struct CallOptions {
  std::optional<Duration> lease = {}, retention = {}, wait = {};
  /// Asked under the lock when the payment is about to begin, and only then; a reason refuses it. Nothing is
  /// written.
  std::function<std::optional<std::string>()> refuse_if = {};
  /// "4.50 EUR" and what it is for: kept in the record for surveys and people. Never card data.
  std::string amount = {}, description = {};
};

namespace detail {

/// Durations that can work together.
struct Timing {
  Duration lease, retention, wait;

  static Timing of(const GuardOptions& guard, const CallOptions& call) {
    Timing timing{call.lease.value_or(guard.lease), call.retention.value_or(guard.retention),
                  call.wait.value_or(guard.wait)};
    timing.check();
    return timing;
  }

  /// Throws `Error{invalid_options}`. A result must outlive every duplicate that could still be waiting for
  /// it.
  void check() const {
    require(lease.count() > 0, "lease must be longer than zero: how long may a payment run?");
    require(retention.count() > 0, "retention must be longer than zero: how long are results replayed?");
    require(wait.count() >= 0, "wait must not be negative: zero does not wait");
    require(retention > lease && retention - lease > wait,
            "retention must be longer than lease and wait together");
  }

  static void require(bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  }
};

inline const GuardOptions& checked(const GuardOptions& options) {
  Timing{options.lease, options.retention, options.wait}.check();
  Timing::require(options.provider_remembers.count() > 0,
                  "provider_remembers must be longer than zero: ask your provider how long it keeps keys");
  return options;
}

}  // namespace detail

}  // namespace paidonce::inline v1
