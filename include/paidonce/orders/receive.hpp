#pragma once
// The receiver's side of an outbox: a message that comes again has its effect once. A relay delivers at least
// once; the guard makes of it at most one run of `handle`, and the first answer for every repeat.

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/fingerprint.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/key.hpp>
#include <paidonce/orders/outbox.hpp>
#include <paidonce/outcome.hpp>

namespace paidonce::inline v1 {

/// The key under which a message is handled: its id, in the scope of the sender's name. A name is that of one
/// outbox for ever: one that was set up anew, and begins at id 1 again, gets another. Throws
/// `Error{invalid_key}` for a name above 255 bytes.
inline IdempotencyKey message_key(std::string_view sender, const OutboxMessage& message) {
  return IdempotencyKey(sender, std::to_string(message.id));
}

/// What a message says. Another message under the same id, as after a restore from a backup, is `key_reused`,
/// and not taken for a repeat.
inline Fingerprint message_fingerprint(const OutboxMessage& message) {
  return fingerprint(message.id, message.key, message.topic, message.payload);
}

/// Handles a message once. `handle` takes `Attempt&` or nothing and returns what a payment's callable
/// returns; if its effect is outside, as an e-mail's is, it hands `Attempt::provider_key()` on. What it
/// throws leaves the message in doubt, and its key waiting for a person, unless `reconcile` can tell: where
/// the effect is rows, `receive_in_transaction` has no such doubt.
///
/// The guard's `retention` must be longer than repeats can come: the relay's lease, and what a sender was
/// down for.
template <class Guard, class Handle>
[[nodiscard]] auto receive(Guard& guard, std::string_view sender, const OutboxMessage& message,
                           Handle&& handle) {
  return guard.execute(message_key(sender, message), message_fingerprint(message),
                       std::forward<Handle>(handle));
}
/// The same with `PaymentResult<R> reconcile(const Record&)`, asked about a message that is in doubt.
template <class Guard, class Handle, class Reconcile>
[[nodiscard]] auto receive(Guard& guard, std::string_view sender, const OutboxMessage& message,
                           Handle&& handle, Reconcile&& reconcile) {
  return guard.execute(message_key(sender, message), message_fingerprint(message),
                       std::forward<Handle>(handle), std::forward<Reconcile>(reconcile));
}

/// Handles a message whose effect is rows of the guard's own database: they and the record of the message
/// commit together, so the effect is there exactly once. `handle` is `R(Attempt&, Transaction&)`; what it
/// throws rolls everything back, and the message is sent again.
template <class Guard, class Handle>
[[nodiscard]] auto receive_in_transaction(Guard& guard, std::string_view sender, const OutboxMessage& message,
                                          Handle&& handle) {
  return guard.execute_in_transaction(message_key(sender, message), message_fingerprint(message),
                                      std::forward<Handle>(handle));
}

/// Why a message counts as not delivered.
struct NotReceived : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Tells a relay: returns where the message was handled, now or before, a decline included, and throws
/// `NotReceived` otherwise, so that it is sent again.
template <class R>
void require_received(const Outcome<R>& outcome) {
  if (outcome.status() == Status::completed) return;
  std::string why = "not received: ";
  why.append(to_string(outcome.status()));
  if (!outcome.reason().empty()) why.append(": ").append(outcome.reason());
  throw NotReceived(why);
}

}  // namespace paidonce::inline v1
