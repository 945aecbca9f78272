#pragma once
// What becomes of a message: a pure function of what happened, and the table of it.

#include <cstdint>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/queue/payment_worker/options.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// How the handling of a message ended, or stands.
enum class Happened : std::uint8_t {
  handed_out,   ///< the source gave it, and nothing was run yet
  stopped,      ///< the same, and the worker is to end
  undecodable,  ///< reading it threw
  completed,    ///< from here on as the guard's outcome
  in_progress,
  key_reused,
  in_doubt,
  not_executed,
  refused,
  store_down,     ///< the guard, store or lock threw what may pass
  shut_down,      ///< the guard takes no calls any more
  wrong_options,  ///< no call to the guard can have these options
  unreadable,     ///< the stored answer is not one that this program can decode
  store_broken,   ///< anything else that was thrown: nothing of this message's doing
};

constexpr Happened happened(Status status) noexcept {
  switch (status) {
    case Status::completed: return Happened::completed;
    case Status::in_progress: return Happened::in_progress;
    case Status::key_reused: return Happened::key_reused;
    case Status::in_doubt: return Happened::in_doubt;
    case Status::not_executed: return Happened::not_executed;
    case Status::refused: return Happened::refused;
  }
  return Happened::in_doubt;
}

/// Of what a call to the guard threw whose options are good: a store that says `invalid_options` then means
/// its own, such as a password that was changed.
inline Happened happened(const Error& error) noexcept {
  if (error.code() == errc::shutting_down) return Happened::shut_down;
  if (retryable(error)) return Happened::store_down;
  if (error.code() == errc::codec_failure || error.code() == errc::unsupported_format)
    return Happened::unreadable;
  return Happened::store_broken;
}

enum class Settle : std::uint8_t { run, ack, retry, give_back, dead_letter };
enum class Counts : std::uint8_t { no, yes };
/// What the thread does next: takes another message, pauses first as long as the message does, or ends.
enum class Then : std::uint8_t { goes_on, pauses, ends };

struct Decision {
  Settle settle = Settle::run;
  Duration pause{0};             ///< of a retry
  Counts counts = Counts::yes;   ///< whether this delivery does, against `most_deliveries`
  std::string_view reason = {};  ///< of a dead letter: its class, nothing of the message
  Then then = Then::goes_on;
};

/// What is known where it is decided.
struct Handling {
  std::uint32_t deliveries = 1;  ///< of the message, this one included
  Duration retry_after{0};       ///< of the outcome
  std::uint32_t outages = 1;  ///< failures of the store in a row that this thread has met, this one included
};

/// | happened               | the message                        | counts | the thread |
/// | ---------------------- | ---------------------------------- | ------ | ---------- |
/// | handed out             | is run, or a dead letter where it  |        |            |
/// |                        | was handed out too often           |        |            |
/// | stopped, shut down     | given back                         | no     | ends       |
/// | completed              | ack                                |        |            |
/// | in progress            | retry after the lease that is left | no     |            |
/// | not executed           | retry, backoff                     | yes    |            |
/// | in doubt               | retry, `doubt_pause`               | no     |            |
/// | undecodable, refused,  | dead letter                        |        |            |
/// | key reused, options    |                                    |        |            |
/// | answer is unreadable   | retry, backoff: another release of | yes    |            |
/// |                        | the worker may know it             |        |            |
/// | store down             | retry, `outage`                    | no     | pauses     |
/// | anything else          | retry, longest `outage`            | no     | pauses     |
template <class Random>
Decision decide(Happened what, const Handling& now, const PaymentWorkerOptions& options, Random& random) {
  const auto after_tries = [&](std::uint32_t tries) {
    return pause_after(options.backoff, tries, Duration(0), random);
  };
  const auto dead = [](std::string_view reason) {
    return Decision{Settle::dead_letter, Duration(0), Counts::yes, reason, Then::goes_on};
  };
  switch (what) {
    case Happened::handed_out:
      return now.deliveries > options.most_deliveries ? dead("too_many_deliveries") : Decision{};
    case Happened::stopped:
    case Happened::shut_down: return {Settle::give_back, Duration(0), Counts::no, {}, Then::ends};
    case Happened::completed: return {Settle::ack};
    case Happened::undecodable: return dead("undecodable");
    case Happened::key_reused: return dead("key_reused");
    case Happened::refused: return dead("refused");
    case Happened::wrong_options: return dead("invalid_options");
    case Happened::in_progress:
      return {Settle::retry,
              saturating_add(Timestamp(now.retry_after), after_tries(1)).time_since_epoch(),
              Counts::no,
              {},
              Then::goes_on};
    case Happened::not_executed:
    case Happened::unreadable:
      return {Settle::retry, after_tries(now.deliveries), Counts::yes, {}, Then::goes_on};
    case Happened::in_doubt: return {Settle::retry, options.doubt_pause, Counts::no, {}, Then::goes_on};
    case Happened::store_down:
      return {Settle::retry,
              pause_after(options.outage, now.outages, Duration(0), random),
              Counts::no,
              {},
              Then::pauses};
    case Happened::store_broken: break;
  }
  return {Settle::retry, options.outage.longest, Counts::no, {}, Then::pauses};
}

}  // namespace paidonce::inline v1::detail
