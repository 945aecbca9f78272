#pragma once
// Delivers what waits in an outbox: at least once, each key's messages in their order.
//
// What holds, whatever crashes, pauses or is cut, and however many relays there are:
// - A message that was committed is sent again and again until a send of it returned, or a person set it
//   aside. None is dropped, and none overtakes an earlier one of its key.
// - When a message reaches the receiver for the first time, every earlier one of its key has reached it, or
//   was set aside. What comes after that may be repeats, earlier ones too: a relay that died before it could
//   note what it sent, or that was paused for longer than its lease. So the receiver deduplicates:
//   receive.hpp.
// - Leases bound how often that happens, never the order. A relay that has lost its claim changes nothing.
// Between keys there is no order.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/orders/outbox.hpp>
#include <paidonce/recovery/alert.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

struct RelayOptions {
  std::size_t keys = 16;              ///< that a batch takes
  std::size_t messages_per_key = 16;  ///< that a batch takes of each: so much is in memory at once
  /// How long the keys of a batch are this relay's. After a crash they wait for so long.
  Duration lease = std::chrono::seconds(30);
  /// No message is begun later than this after the batch was claimed. Shorter than the lease by what the
  /// slowest send takes, so that a message is not sent by two relays at once.
  Duration deadline = std::chrono::seconds(15);
  /// Between failures of a message; its key waits with it. Not `Jitter::decorrelated`: the pause before the
  /// last one is not known to another relay.
  Backoff backoff = {std::chrono::seconds(1), std::chrono::minutes(5), Jitter::equal};
  /// How often a relay looks that has found nothing to do.
  Duration poll = Duration(500);
  /// Told, as `outbox_message_stuck`, of a message that has failed `alert_after` times in a row, and of its
  /// delivery or its being set aside after that. On the relay's thread; perhaps twice.
  AlertSink alert = {};
  std::uint32_t alert_after = 5;
  std::optional<std::uint32_t> seed = {};  ///< of the jitter; not set: a random one
};

/// What a relay has done.
struct RelayReport {
  std::size_t keys = 0;       ///< that were claimed
  std::size_t delivered = 0;  ///< messages whose send returned
  std::size_t failed = 0;     ///< sends that threw
  std::size_t lost = 0;       ///< claims that were lost before they could be settled: a repeat will follow

  RelayReport& operator+=(const RelayReport& other) noexcept {
    keys += other.keys;
    delivered += other.delivered;
    failed += other.failed;
    lost += other.lost;
    return *this;
  }
};

namespace detail {

/// Throws `Error{invalid_options}`.
inline const RelayOptions& checked(const RelayOptions& options) {
  const auto require = [](bool holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  };
  checked(options.backoff);
  require(
      options.backoff.jitter != Jitter::decorrelated,
      "RelayOptions::backoff cannot be decorrelated: several relays share the pauses; take Jitter::equal");
  require(options.keys > 0 && options.messages_per_key > 0,
          "RelayOptions::keys and messages_per_key must be at least 1");
  require(options.deadline.count() > 0 && options.deadline < options.lease,
          "RelayOptions::deadline must be longer than zero and shorter than the lease");
  require(options.poll.count() > 0, "RelayOptions::poll must be longer than zero");
  require(options.alert_after > 0, "RelayOptions::alert_after must be at least 1");
  return options;
}

/// How the alert for a key's messages stands.
enum class StuckAlert : std::uint8_t { stays, raised, cleared };

/// A message has failed `in_row` times. An alert is raised for it once.
constexpr StuckAlert after_failure(std::int64_t alerted, std::int64_t message, std::uint32_t in_row,
                                   std::uint32_t alert_after) noexcept {
  return in_row >= alert_after && alerted != message ? StuckAlert::raised : StuckAlert::stays;
}

/// The messages that wait begin with `first`, or there are none (zero).
constexpr StuckAlert now_first(std::int64_t alerted, std::int64_t first) noexcept {
  return alerted != 0 && alerted != first ? StuckAlert::cleared : StuckAlert::stays;
}

}  // namespace detail

/// Sends what waits. `send` is `void(const OutboxMessage&)`, or `void(const OutboxMessage&, Duration left)`
/// where `left` is how long the claim lasts: it should be done by then. Returning means that the receiver has
/// the message; whatever it throws means that it may not have, and the message is sent again after a pause.
///
/// For one thread at a time, `wake` aside. Any number of relays, on any number of hosts, share an outbox. The
/// outbox is referred to and outlives the relay; timer and clock are moved in, and the clock only dates
/// alerts.
template <class O, class Send, Timer T = SteadyTimer, Clock C = SystemClock>
requires Outbox<O> &&(std::is_invocable_v<Send&, const OutboxMessage&> ||
                      std::is_invocable_v<Send&, const OutboxMessage&, Duration>)class Relay {
 public:
  /// Throws `Error{invalid_options}`.
  explicit Relay(O& outbox, Send send, RelayOptions options = {}, T timer = T(), C clock = C())
      : outbox_(outbox),
        send_(std::move(send)),
        options_(detail::checked(options)),
        timer_(std::move(timer)),
        clock_(std::move(clock)),
        random_(options_.seed ? *options_.seed : static_cast<std::uint32_t>(detail::random_u64())) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// One batch: claims, sends, settles. Once `stop` is requested no message is begun; what was delivered
  /// until then is settled. Passes on what the outbox throws; claims then run out by themselves.
  RelayReport deliver_once(Stop& stop) {
    RelayReport report;
    if (stop.requested()) return report;
    const Duration began =
        timer_.elapsed();  // before the claim: so the lease is not over earlier than thought
    const ClaimId claim = fresh_claim();
    const std::vector<ClaimedKey> keys =
        outbox_.claim(claim, {options_.keys, options_.messages_per_key, options_.lease});
    report.keys = keys.size();
    if (keys.empty()) return report;
    std::vector<SettledKey> settled;
    settled.reserve(keys.size());
    for (const ClaimedKey& key : keys) settled.push_back(deliver(key, began, stop, report));
    const std::size_t held = outbox_.settle(claim, settled);
    report.lost = settled.size() - held;
    return report;
  }

  /// Batches until nothing is due: the work of a `Job` of a BackgroundWorker.
  RelayReport drain(Stop& stop) {
    RelayReport all;
    for (;;) {
      const RelayReport batch = deliver_once(stop);
      all += batch;
      if (batch.keys == 0 || stop.requested()) return all;
    }
  }

  /// Until `stop` is requested. While the outbox fails for a reason that may pass (`retryable`), it is tried
  /// again with the pauses of `backoff`; any other error is passed on.
  void run(Stop& stop) {
    for (std::uint32_t failures = 0; !stop.requested();) {
      Duration wait = options_.poll;
      try {
        drain(stop);
        failures = 0;
      } catch (const Error& error) {
        if (!retryable(error)) throw;
        wait = pause_after(options_.backoff, ++failures, Duration(0), random_);
      }
      timer_.wait(wait, stop, [&] { return woken_.load(); });
      woken_.store(false);
    }
  }

  /// Ends the pause of `run`: a message was committed here just now. `stop` is the one that it was given. Any
  /// thread may call it, and nobody has to.
  void wake(Stop& stop) noexcept {
    woken_.store(true);
    stop.wake();
  }

 private:
  static ClaimId fresh_claim() { return static_cast<ClaimId>(detail::random_u64() >> 1 | 1); }

  SettledKey deliver(const ClaimedKey& key, Duration began, Stop& stop, RelayReport& report) {
    SettledKey settled{key.key};
    settled.alerted = key.alerted;
    settled.look_again = options_.poll;
    if (detail::now_first(key.alerted, key.messages.empty() ? 0 : key.messages.front().id) ==
        detail::StuckAlert::cleared)
      tell(settled, Alert::Edge::cleared, "was set aside");
    std::uint32_t failures = key.failures;
    for (const OutboxMessage& message : key.messages) {
      const Duration passed = timer_.elapsed() - began;
      if (stop.requested() || passed > options_.deadline) break;
      if (std::optional<std::string> failure = send(message, options_.lease - passed)) {
        ++report.failed;
        ++failures;
        if (detail::after_failure(settled.alerted, message.id, failures, options_.alert_after) ==
            detail::StuckAlert::raised) {
          settled.alerted = message.id;
          tell(settled, Alert::Edge::raised,
               "has failed " + std::to_string(failures) + " times in a row; it and those after it wait");
        }
        settled.pause = pause_after(options_.backoff, failures, Duration(0), random_);
        settled.failure = SettledKey::Failure{failures, std::move(*failure)};
        break;
      }
      ++report.delivered;
      settled.delivered.push_back(message.id);
      if (settled.alerted == message.id) tell(settled, Alert::Edge::cleared, "was delivered");
      failures = 0;
    }
    return settled;
  }

  /// What it said where it failed.
  std::optional<std::string> send(const OutboxMessage& message, Duration left) {
    try {
      if constexpr (std::is_invocable_v<Send&, const OutboxMessage&, Duration>)
        send_(message, left);
      else
        send_(message);
      return std::nullopt;
    } catch (const detail::ForcedUnwind&) {
      throw;
    } catch (const std::exception& failure) {
      return std::string(failure.what()).substr(0, detail::longest_outbox_failure);
    } catch (...) {
      return "what was thrown is no std::exception";
    }
  }

  void tell(SettledKey& settled, Alert::Edge edge, const std::string& what) {
    Alert alert{"outbox_message_stuck"};
    alert.edge = edge;
    alert.text = "outbox message " + std::to_string(settled.alerted) + " " + what;
    alert.at = clock_.now();
    detail::deliver(options_.alert, alert);
    if (edge == Alert::Edge::cleared) settled.alerted = 0;
  }

  O& outbox_;
  Send send_;
  const RelayOptions options_;
  T timer_;
  C clock_;
  std::minstd_rand random_;
  std::atomic<bool> woken_{false};
};

}  // namespace paidonce::inline v1
