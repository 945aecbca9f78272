#pragma once
// What the status of a handler's response says about the payment. Pure.

#include <cstdint>

namespace paidonce::inline v1::http {

/// What becomes of a payment whose handler answered with a status.
enum class StatusMeaning : std::uint8_t {
  succeeded,     ///< final: stored, and replayed
  declined,      ///< final: stored, and replayed
  not_executed,  ///< nothing happened: sent, not stored; the same key may try again
  in_doubt,      ///< nobody knows: never run again blindly
};

/// The policy unless another is given:
///
/// | status                              | meaning        | because                                              |
/// | ----------------------------------- | -------------- | ---------------------------------------------------- |
/// | 2xx, 3xx                            | `succeeded`    | 202 "processing" too: it was taken on                |
/// | 402                                 | `declined`     | a card that is declined stays declined for this key  |
/// | 408, 409, 423, 425, 499             | `in_doubt`     | passed on from a provider, an attempt may be running |
/// | other 4xx                           | `not_executed` | the request was turned away before anything happened |
/// | 5xx, and what is no final status    | `in_doubt`     | it broke, before or after the charge                 |
///
/// A handler that knows better returns `PaymentResult<Response>`, or another policy is set.
constexpr StatusMeaning meaning_of(int status) noexcept {
  if (status >= 200 && status < 400) return StatusMeaning::succeeded;
  switch (status) {
    case 402: return StatusMeaning::declined;
    case 408:
    case 409:
    case 423:
    case 425:
    case 499: return StatusMeaning::in_doubt;
    default: break;
  }
  return status >= 400 && status < 500 ? StatusMeaning::not_executed : StatusMeaning::in_doubt;
}

}  // namespace paidonce::inline v1::http
