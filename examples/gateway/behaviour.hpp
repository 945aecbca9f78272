#pragma once
// What the gateway does with a request: told by the source token, or rolled with a seed.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gateway {

/// What happens to the customer's money.
/// `pend`: taken on, and the money comes later, or does not.
enum class Effect { charge, decline, pend, forget, rate_limit, server_error, nothing };

/// How a payment that ends later ends where nobody says otherwise, and whether its end is told before its
/// answer.
enum class Later { succeeds, fails, succeeds_before_the_answer };

/// What happens to the answer: sent, lost with its connection, or never written because the process dies.
enum class Answer { send, drop, die };

struct Behaviour {
  Effect effect = Effect::charge;
  Answer answer = Answer::send;
  std::chrono::milliseconds delay{0};  ///< before the effect: a client that gave up can be charged later
  Later later = Later::succeeds;       ///< of `Effect::pend`
};

/// Probabilities from 0 to 1, rolled for requests whose token scripts nothing.
struct Rates {
  std::uint64_t seed = 1;
  double rate_limit = 0;
  double server_error = 0;
  double drop_before = 0;  ///< connection closed, nothing charged
  double delay = 0;
  double decline = 0;
  double drop = 0;   ///< charged or declined, then closed without an answer
  double crash = 0;  ///< charged or declined, then the process dies
  std::chrono::milliseconds delay_for{300};
};

/// The behaviour for the given attempt (0 = first) at an order; nullopt for a source that nobody knows.
///
/// Sources: `tok_visa` and its like, `tok_chargeDeclined`, `tok_500` (nothing charged), `tok_429`,
/// `tok_delay`, `tok_dropReply` (charges), `tok_dropRequest` (does not), `tok_crash` (charges, then dies),
/// `tok_forget` (answers that it charged, but the list will not know). A chain `tok_429|tok_visa` takes one
/// token an attempt, the last one for ever; what stands behind it is ignored where it is no token, so that
/// chains can be told apart.
///
/// Of payments that end later: `tok_processing`, `tok_processingFails` (how it ends, if it is left to the
/// clock), `tok_processingDropReply`, `tok_webhookFirst` (it has succeeded, and its webhook was acknowledged,
/// before the request is answered "pending").
///
/// Payment methods are the same under other names: `pm_card_visa` is `tok_visa`, and so on;
/// `pm_bank_transfer` is `tok_processing`, `pm_bank_transferFails` is `tok_processingFails`.
///
/// It depends on its arguments alone, never on time or on the order of threads.
std::optional<Behaviour> decide(const Rates& rates, std::string_view order, std::uint32_t attempt,
                                std::string_view source);

}  // namespace gateway
