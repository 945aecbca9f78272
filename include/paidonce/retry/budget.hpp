#pragma once
// How many retries all callers together may add to the load. While most calls succeed at once, those that
// fail are tried again; when everything fails, trying again is what keeps the other side down, and nearly all
// of it is left out.
//
// The idea is Finagle's RetryBudget (com.twitter.finagle.service.RetryBudget) and gRPC's retry throttling
// (proposal A6): a bucket of tokens, filled by requests, emptied by retries. As in Finagle every first try
// pays in, however it ends; as in gRPC the bucket starts full, and no clock is involved.

#include <atomic>
#include <cstdint>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

struct RetryBudgetOptions {
  /// Retries for every hundred first tries, in the long run.
  std::uint32_t percent = 10;
  /// How many retries can be saved up, and are there at the start: what a burst of failures may use.
  std::uint32_t reserve = 20;
};

/// Shared by reference among all who call the same provider or store; outlives their calls. Any number of
/// threads may use it; nothing blocks.
///
/// To n first tries at most `reserve + n * percent / 100` retries are added, in whatever order they come.
class RetryBudget {
 public:
  /// Throws `Error{invalid_options}` for more than 1000 percent, and for a bucket that holds no retry.
  explicit RetryBudget(RetryBudgetOptions options = {})
      : deposit_(options.percent), most_(std::int64_t{options.reserve} * token), balance_(most_) {
    if (options.percent > 1000)
      throw Error(errc::invalid_options,
                  "a retry budget of more than 1000 percent holds nothing back; 10 to 20 are usual");
    if (options.reserve == 0)
      throw Error(
          errc::invalid_options,
          "a retry budget needs room for one retry at least: how many may follow each other at once?");
  }
  RetryBudget(const RetryBudget&) = delete;
  RetryBudget& operator=(const RetryBudget&) = delete;

  /// For a first try.
  void deposit() noexcept {
    std::int64_t before = balance_.load(std::memory_order_relaxed);
    std::int64_t after;
    do {
      if (before >= most_) return;  // as a rule: one load, and nothing is written that threads share
      after = before + deposit_ < most_ ? before + deposit_ : most_;
    } while (!balance_.compare_exchange_weak(before, after, std::memory_order_relaxed));
  }

  /// For a retry. False: it is not to be made.
  [[nodiscard]] bool withdraw() noexcept {
    std::int64_t before = balance_.load(std::memory_order_relaxed);
    do {
      if (before < token) return false;
    } while (!balance_.compare_exchange_weak(before, before - token, std::memory_order_relaxed));
    return true;
  }

  /// Retries that could be made now.
  std::uint64_t balance() const noexcept {
    return static_cast<std::uint64_t>(balance_.load(std::memory_order_relaxed) / token);
  }

 private:
  static constexpr std::int64_t token = 100;  // hundredths, so that a percent is a whole number

  const std::int64_t deposit_, most_;
  std::atomic<std::int64_t> balance_;
};

}  // namespace paidonce::inline v1
