#pragma once
// The same call again while that may help, with pauses between, and never for longer than was agreed. What is
// called again is the caller's closure as it is: the same key each time. A new key for a payment that may
// have happened is how customers are charged twice.

#include <cstdint>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/outcome_of.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/budget.hpp>
#include <paidonce/retry/system_random.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// Whether a payment in doubt is sent again. The guard never runs it blindly, so it does no harm; it helps
/// where the guard can settle the doubt: the call has a reconcile function, or the provider deduplicates.
enum class WhenInDoubt : std::uint8_t { give_up, send_again };

/// When the next try is made, and when none is.
struct RetryPolicy {
  Backoff backoff = {};
  /// Tries at most, the first included.
  std::uint32_t attempts = 10;
  /// From the first try on, on the timer: a pause that would end later is not begun. A try that runs is not
  /// cut short.
  Duration deadline = std::chrono::minutes(1);
  WhenInDoubt in_doubt = WhenInDoubt::give_up;
  /// Shared with all who call the same provider; null: no budget. Outlives the call, as `stop` does.
  RetryBudget* budget = nullptr;
  /// Ends the pause that it finds, and no try begins after it. Null: nothing does.
  Stop* stop = nullptr;
};

/// Why there was no further try.
enum class RetryEnd : std::uint8_t {
  settled,          ///< completed: paid or declined
  not_retryable,    ///< key_reused, refused, in doubt, or an exception that is no retryable `Error`
  out_of_attempts,  ///< the last one that was allowed did not settle it
  past_deadline,    ///< the next try would be made after the deadline
  out_of_budget,    ///< too much else is being tried again: come back much later
  stopped,          ///< perhaps before the first try
};

/// Name of an ending, for people and programs.
constexpr std::string_view to_string(RetryEnd end) noexcept {
  switch (end) {
    case RetryEnd::settled: return "settled";
    case RetryEnd::not_retryable: return "not_retryable";
    case RetryEnd::out_of_attempts: return "out_of_attempts";
    case RetryEnd::past_deadline: return "past_deadline";
    case RetryEnd::out_of_budget: return "out_of_budget";
    case RetryEnd::stopped: return "stopped";
  }
  return "unknown";
}

/// What all tries came to.
template <class R>
struct Retried {
  RetryEnd end = RetryEnd::stopped;
  std::uint32_t tries = 0;
  Duration waited{0};  ///< in the pauses, on the timer
  /// The answer to the last try that was answered. A later one may have thrown `error`; what is known is
  /// kept.
  std::optional<Outcome<R>> outcome = {};
  /// What the last try threw; null: it was answered, or there was none.
  std::exception_ptr error = {};

  /// What the last try came to: its outcome, or its exception, thrown again, but where an earlier try left
  /// the payment in doubt or in progress: then that, since an exception says that nothing was started.
  /// `Error{shutting_down}` where there was none.
  Outcome<R> value() && {
    if (error && !may_have_happened()) std::rethrow_exception(error);
    if (!outcome)
      throw Error(errc::shutting_down, "stopped before the first try; the same call may run later");
    return std::move(*outcome);
  }

 private:
  bool may_have_happened() const noexcept {
    return outcome && (outcome->status() == Status::in_doubt || outcome->status() == Status::in_progress);
  }
};

namespace detail {

/// Throws `Error{invalid_options}`.
inline const RetryPolicy& checked(const RetryPolicy& policy) {
  checked(policy.backoff);
  if (policy.attempts == 0)
    throw Error(errc::invalid_options, "attempts must be 1 at least: the first try is one of them");
  if (policy.deadline.count() <= 0)
    throw Error(errc::invalid_options,
                "deadline must be longer than zero: for how long does trying make sense?");
  return policy;
}

enum class TryAgain : std::uint8_t { settled, useless, worthwhile };

constexpr TryAgain try_again(Status status, WhenInDoubt in_doubt) noexcept {
  switch (status) {
    case Status::completed: return TryAgain::settled;
    case Status::in_progress:
    case Status::not_executed: return TryAgain::worthwhile;
    case Status::in_doubt:
      return in_doubt == WhenInDoubt::send_again ? TryAgain::worthwhile : TryAgain::useless;
    case Status::key_reused:
    case Status::refused: break;
  }
  return TryAgain::useless;
}

/// A pause before the next try, or why there is none.
struct NextTry {
  std::optional<RetryEnd> end = {};
  Duration pause{0};
};

/// After `tries` tries in `passed`, the last of which asked for at least `retry_after`. `drawn` is the last
/// draw, and becomes this one. The draw is added to what was asked for: many are told the same.
template <class Random>
NextTry next_try(const RetryPolicy& policy, std::uint32_t tries, Duration passed, Duration retry_after,
                 Duration& drawn, Random& random) {
  if (tries >= policy.attempts) return {RetryEnd::out_of_attempts};
  drawn = pause_after(policy.backoff, tries, drawn, random);
  const Duration left = policy.deadline - passed;
  if (drawn > left || retry_after > left - drawn) return {RetryEnd::past_deadline};
  if (policy.budget != nullptr && !policy.budget->withdraw()) return {RetryEnd::out_of_budget};
  return {std::nullopt, retry_after + drawn};
}

}  // namespace detail

/// Calls `call` until it settles the payment, trying does not help, or `policy` says that it is enough. Tried
/// again is after `in_progress` and `not_executed`, never earlier than their `retry_after()`, and after
/// `Error`s that are `retryable`. `call` takes nothing and returns the `Outcome` of a guard; it has to send
/// the same key each time.
///
/// Blocks in pauses on `timer`, which are drawn from `random`, a uniform random bit generator. What `call`
/// throws is in the result. Throws `Error{invalid_options}`, before the first try.
template <class T, class Random, class Call>
requires Timer<std::remove_reference_t<T>>
[[nodiscard]] auto retry(const RetryPolicy& policy, T&& timer, Random&& random, Call&& call)
    -> Retried<typename detail::OutcomeOf<Call>::R> {
  detail::checked(policy);
  Retried<typename detail::OutcomeOf<Call>::R> result;
  Stop nothing;
  Stop& stop = policy.stop != nullptr ? *policy.stop : nothing;
  const Duration start = timer.elapsed();
  if (policy.budget != nullptr) policy.budget->deposit();
  for (Duration drawn{0}; !stop.requested();) {
    ++result.tries;
    auto again = detail::TryAgain::useless;
    Duration retry_after{0};
    try {
      result.outcome.emplace(call());
      result.error = nullptr;
      again = detail::try_again(result.outcome->status(), policy.in_doubt);
      retry_after = result.outcome->retry_after();
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (const Error& failure) {
      if (retryable(failure)) again = detail::TryAgain::worthwhile;
      result.error = std::current_exception();
    } catch (...) {
      result.error = std::current_exception();
    }
    if (again != detail::TryAgain::worthwhile) {
      result.end = again == detail::TryAgain::settled ? RetryEnd::settled : RetryEnd::not_retryable;
      return result;
    }
    const Duration before = timer.elapsed();
    const detail::NextTry next =
        detail::next_try(policy, result.tries, before - start, retry_after, drawn, random);
    if (next.end) {
      result.end = *next.end;
      return result;
    }
    pause(timer, next.pause, stop);
    result.waited += timer.elapsed() - before;
  }
  result.end = RetryEnd::stopped;
  return result;
}

/// With these pauses, and else as a policy is by itself.
template <class T, class Random, class Call>
requires Timer<std::remove_reference_t<T>>
[[nodiscard]] auto retry(const Backoff& backoff, T&& timer, Random&& random, Call&& call) {
  return retry(RetryPolicy{.backoff = backoff}, timer, random, std::forward<Call>(call));
}

/// On the machine's timer, with pauses drawn from the system's random source.
template <class Call>
[[nodiscard]] auto retry(const RetryPolicy& policy, Call&& call) {
  return retry(policy, SteadyTimer(), SystemRandom(), std::forward<Call>(call));
}

}  // namespace paidonce::inline v1
