#pragma once
// Messages that are written in a payment's transaction, to be delivered afterwards: what a relay asks of the
// place where they wait.
//
// | expression                       | promise                                                            |
// | -------------------------------- | ------------------------------------------------------------------ |
// | `put(transaction, key, topic,    | the message waits once the transaction has committed, and never    |
// |   payload)`                      | was if it has not. Its id is above those of all messages of this   |
// |                                  | key that were committed before, and no later one commits below it: |
// |                                  | another transaction that puts to this key waits until this one has |
// |                                  | ended. Ids are never given twice                                   |
// | `claim(claim, limits)`           | atomic: keys that have a message due and nobody who sends it are   |
// |                                  | this claim's for `limits.lease`, each with its oldest messages in  |
// |                                  | the order of their ids. A key is never in two claims that last     |
// | `settle(claim, keys)`            | atomic: for each key that is still this claim's, forgets or marks  |
// |                                  | what was delivered, notes a failure, and ends the claim; how many  |
// |                                  | there were. Nothing is done for a key that is not, although it     |
// |                                  | was: a late word does no harm                                      |
// | `set_aside(id, actor, why)`      | the message is not delivered any more, and is kept with who said   |
// |                                  | so; `false`: none such waits. Ends the claim on its key            |
// | `stuck(failures, most)`          | messages that failed so many times in a row, the most of them      |
// | `backlog()`                      | how many wait, and for how long; reads all of them                 |
// | `erase_delivered(most)`          | so many delivered messages that were kept long enough are gone     |
// | any of them throws               | its fate is unknown. A claim of unknown fate runs out by itself    |
//
// All of them may be called from any number of threads, processes and hosts, as far as the store goes.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// A message that waits to be delivered. All three texts are opaque bytes.
struct OutboxMessage {
  std::int64_t id = 0;       ///< positive, given by the outbox; of one key, a later message has a larger one
  std::string key = {};      ///< 1..255 bytes: messages of one key are delivered in order
  std::string topic = {};    ///< 0..255 bytes: what it is, or where it goes
  std::string payload = {};  ///< at most 1 MiB

  friend bool operator==(const OutboxMessage&, const OutboxMessage&) = default;
};

/// Who sends: random, fresh at every claim, never zero.
using ClaimId = std::int64_t;

/// How much a claim takes.
struct ClaimLimits {
  std::size_t keys = 16;
  std::size_t messages_per_key = 16;
  Duration lease = std::chrono::seconds(30);
};

/// A key that is claimed, and the oldest of what waits there.
struct ClaimedKey {
  std::string key = {};
  std::uint32_t failures = 0;  ///< in a row, of the oldest message
  /// The message for which an alert stands; zero: none does.
  std::int64_t alerted = 0;
  std::vector<OutboxMessage> messages = {};  ///< may be empty, where what waited was set aside
};

/// What became of a claimed key.
struct SettledKey {
  struct Failure {
    std::uint32_t in_row = 1;  ///< this one included
    std::string text = {};     ///< for people who look into the table; its first 500 bytes are kept
  };
  std::string key = {};
  std::vector<std::int64_t> delivered = {};  ///< ids
  std::optional<Failure> failure = {};       ///< of the message after those
  std::int64_t alerted = 0;                  ///< as in `ClaimedKey`, from now on
  /// When the key may be claimed again, if there is anything left.
  Duration pause{0};
  /// The same where nothing is left, and yet somebody may be writing.
  Duration look_again{500};
};

/// A message that has failed again and again.
struct StuckMessage {
  std::int64_t id = 0;
  std::string topic = {};
  std::uint32_t failures = 0;
  std::string failure = {};  ///< what the last one said: the words of whatever sends
};

/// What waits, of all keys: for a gauge and an alert, since a relay that does not run tells nobody.
struct OutboxBacklog {
  std::size_t messages = 0;
  Duration oldest{0};  ///< how long the oldest of them has waited
};

/// What a relay works with. See the table above.
template <class O>
concept Outbox = requires(O& outbox, ClaimId claim, const ClaimLimits& limits,
                          std::span<const SettledKey> settled, std::int64_t id, std::string_view text,
                          std::uint32_t failures, std::size_t most) {
  { outbox.claim(claim, limits) } -> std::same_as<std::vector<ClaimedKey>>;
  { outbox.settle(claim, settled) } -> std::same_as<std::size_t>;
  { outbox.set_aside(id, text, text) } -> std::same_as<bool>;
  { outbox.stuck(failures, most) } -> std::same_as<std::vector<StuckMessage>>;
  { outbox.backlog() } -> std::same_as<OutboxBacklog>;
  { outbox.erase_delivered(most) } -> std::same_as<std::size_t>;
};

/// An outbox into which a transaction of this kind can put.
template <class O, class Transaction>
concept OutboxFor = Outbox<O> && requires(O& outbox, Transaction& transaction, std::string_view text) {
  { outbox.put(transaction, text, text, text) } -> std::same_as<std::int64_t>;
};

namespace detail {

inline constexpr std::size_t longest_outbox_failure = 500;

/// Throws `Error{invalid_key}` or `Error{invalid_options}`: so the transaction is rolled back.
inline void check_message(std::string_view key, std::string_view topic, std::string_view payload) {
  if (key.empty() || key.size() > 255)
    throw Error(errc::invalid_key, "the key of an outbox message has 1 to 255 bytes");
  if (topic.size() > 255)
    throw Error(errc::invalid_options, "the topic of an outbox message has at most 255 bytes");
  if (payload.size() > std::size_t{1} << 20)
    throw Error(errc::invalid_options,
                "the payload of an outbox message has at most 1 MiB: put a reference to it");
}

/// Throws `Error{invalid_options}`.
inline void check_set_aside(std::string_view actor, std::string_view why) {
  if (actor.empty() || why.empty())
    throw Error(errc::invalid_options, "a message is set aside by somebody, for a reason: name both");
}
/// How long delivered messages are kept: zero, they are gone when they are delivered. Throws likewise.
inline Duration checked_keeping(Duration keep_delivered) {
  if (keep_delivered.count() < 0)
    throw Error(errc::invalid_options, "keep_delivered must not be negative; zero keeps nothing");
  return keep_delivered;
}

}  // namespace detail

}  // namespace paidonce::inline v1
