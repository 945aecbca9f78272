#pragma once
// Where payment requests come from: a queue that hands a message out until it is told that it is done.

#include <concepts>
#include <optional>
#include <string_view>

#include <paidonce/queue/message.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

/// | expression                            | meaning                                                          |
/// | ------------------------------------- | ---------------------------------------------------------------- |
/// | `source.receive(pause, stop)`         | a message; waits up to `pause` for one. Null: there was none, or |
/// |                                       | `stop` was requested, which it notices at once                   |
/// | `source.ack(message)`                 | done: the broker forgets it                                      |
/// | `source.retry_later(message, pause)`  | it comes again after `pause`, and before later messages of its   |
/// |                                       | key. Zero: it is given back at once                              |
/// | `source.dead_letter(message, reason)` | put where people look, with the reason, and only then removed    |
///
/// A message is out from `receive` to the one of the last three that settles it; each gets the message as
/// `receive` gave it. Whoever is out holds back the later messages of its key, unless that is empty, and so
/// does one that waits for its retry. What a consumer had out when it died, or when the broker took it for
/// dead, comes again, perhaps at another consumer and perhaps while the first still works on it.
///
/// A retry counts the deliveries on from `message.deliveries`: who lowers that by one has this delivery not
/// count. Sources keep to it where the message stays with them; a broker that counts by itself counts on.
///
/// All are called from any number of threads at a time. They throw `Error{store_unavailable}` where the
/// broker is out of reach; the message then comes again, also where the settling had reached the broker.
/// `receive` throws where it could not reach the broker to the end of `pause`: null without a stop says that
/// the broker has nothing. That settling did not throw says nothing of the broker: it may be told later.
/// Settling a message that is not this consumer's any more (it was taken for dead, its connection broke) does
/// nothing: the message comes again.
template <class S>
concept MessageSource = requires(S& source, const Message& message, Duration pause, std::string_view reason,
                                 Stop& stop) {
  { source.receive(pause, stop) } -> std::same_as<std::optional<Message>>;
  source.ack(message);
  source.retry_later(message, pause);
  source.dead_letter(message, reason);
};

}  // namespace paidonce::inline v1
