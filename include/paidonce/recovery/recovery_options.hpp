#pragma once
// What a recoverer can be told.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/recovery/recovery_report.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct RecoveryOptions {
  /// Payments that are asked about at a time.
  std::size_t concurrency = 4;
  /// Records that are read from the store at a time.
  std::size_t batch = 1000;
  /// A provider that has not answered for so long keeps its key, but not its place among `concurrency`.
  Duration answer_within = std::chrono::seconds(30);
  /// Most calls that hang in this way at a time; further ones keep their places, too.
  std::size_t most_hanging = 16;
  /// A round takes no longer. What is being asked about then goes on, and is told in the next report.
  Duration deadline = std::chrono::minutes(5);
  /// Pauses between two times that the same payment is asked about.
  Backoff backoff = {std::chrono::minutes(1), std::chrono::hours(1), Jitter::equal};
  /// After so many answers that settle nothing a payment is left to a person, who is told by an alert.
  std::uint32_t rounds = 10;
  /// Which payments to look after; null for all. For stores whose scopes have several result types.
  std::function<bool(const IdempotencyKey&, const Record&)> only = {};
  /// Whether the holder of an attempt is known to be dead, beside what the store can prove: say `true` only
  /// with proof, which is of all earlier attempts at the payment, too (`Record::attempts`). It frees nothing
  /// by itself; the function that asks the provider is told.
  std::function<bool(const IdempotencyKey&, const Record&)> holder_dead = {};
  /// Told now and then during a round, on its thread.
  std::function<void(const RecoveryReport&)> progress = {};
  /// Told `left_in_doubt` (a payment was left to a person; cleared when it is settled) and
  /// `provider_does_not_answer` (not one call of a round was answered; cleared by the next answer).
  AlertSink alert = {};
};

namespace detail {

/// Throws `Error{invalid_options}`.
inline const RecoveryOptions& checked(const RecoveryOptions& options) {
  const auto require = [](bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  };
  require(options.concurrency > 0,
          "concurrency must not be zero: how many payments are asked about at a time?");
  require(options.batch > 0, "batch must not be zero: how many records are read at a time?");
  require(options.answer_within.count() > 0,
          "answer_within must be longer than zero: after what time does a call to the provider hang?");
  require(options.deadline.count() > 0, "deadline must be longer than zero: how long may a round take?");
  require(options.rounds > 0, "rounds must not be zero: how often is a payment asked about?");
  checked(options.backoff);
  return options;
}

}  // namespace detail

}  // namespace paidonce::inline v1
