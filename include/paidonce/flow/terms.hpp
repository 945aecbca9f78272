#pragma once
// The words between the flow of a payment and whoever drives it: what it asks, what it is told, how it ends.

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/outcome.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/record.hpp>
#include <paidonce/result.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::flow {

/// What the machine asks for next, and the member that takes the answer.
enum class Ask : std::uint8_t {
  find,       ///< read the record → `found`, or `failed`
  lock,       ///< take the key's lock, waiting as long as the call may → `locked`
  insert,     ///< store `record()` where there is none → `inserted`, or `failed`
  replace,    ///< store `record()` over version `expected()` → `replaced`, or `failed`
  admit,      ///< ask the caller's `refuse_if` → `admitted`
  wait,       ///< let the running attempt go on for `pause()`, within the caller's time → `waited`
  pay,        ///< run the callable for the attempt in `record()` → `paid`
  reconcile,  ///< ask the provider about `record()` → `reconciled`
  done,       ///< `error()` is to be thrown or, where that is null, `ending()` is the answer
};

/// What a call is for: to pay; to settle a doubt by asking; to settle it by a person's word, who declares a
/// holder that seems to be at work dead.
enum class Purpose : std::uint8_t { pay, reconcile, resolve };
enum class FirstLook : std::uint8_t { under_lock, before_lock };
enum class Admission : std::uint8_t { free, asked };
enum class Obtained : std::uint8_t { no, yes };
enum class TimeLeft : std::uint8_t { no, yes };

/// What a call brings along. What it points to outlives the machine.
struct Terms {
  Purpose purpose = Purpose::pay;
  const Fingerprint* fingerprint = nullptr;  ///< looked at only to pay
  Duration lease{0}, retention{0}, wait{0};
  protocol::DoubtRule doubt_rule = {};
  FirstLook first_look = FirstLook::under_lock;
  Admission admission = Admission::free;
  std::uint64_t attempt_id = 0;    ///< fresh and random
  std::uint64_t only_attempt = 0;  ///< to resolve: the attempt that the person looked at; 0 for any
  std::string_view amount = {}, description = {};
  std::string_view annotation = {};  ///< who settles this, and why; goes into the record's note
};

/// What the callable, the provider or a person said. The response is encoded already.
struct Said {
  Report report = Report::in_doubt;
  std::string response = {}, response_format = {};
  std::string reason = {};
  std::exception_ptr cause = {};
  /// Set where there was a response, also one that could not be encoded and is in doubt for that.
  std::optional<State> state_of_response = {};
};

/// Where the response of an ending is: nowhere, in the callable's own report, or encoded in the record.
enum class ResponseIn : std::uint8_t { nowhere, report, record };

struct Ending {
  Status status = Status::in_doubt;
  State final_state = State::in_doubt;  ///< of the response
  ResponseIn response_in = ResponseIn::nowhere;
  bool recorded = false;  ///< this call wrote how the payment ended
  bool moved_on = false;  ///< the record was somebody else's when this attempt ended
  Duration retry_after{0};
  std::string reason = {};
  std::exception_ptr cause = {};
};

/// What an exception says of itself.
[[gnu::cold]] inline std::string text_of(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
  }
  return "the store failed";
}

/// Whether a store said that it has no room.
[[gnu::cold]] inline bool is_full(const std::exception_ptr& failure) noexcept {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code() == errc::store_full;
  } catch (...) {
  }
  return false;
}

/// A copy, or as much as memory allows: nothing. For what must not fail after a payment.
inline std::string copy_of(std::string_view text) noexcept {
  try {
    return std::string(text);
  } catch (...) {
    return {};
  }
}

}  // namespace paidonce::inline v1::flow
