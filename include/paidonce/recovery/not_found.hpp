#pragma once
// What it means that a provider does not know a payment which is in doubt.
//
// By itself, nothing. The request may still be under way, in a connection or in a queue of the provider's;
// and a holder that was merely paused may wake up and send it after everybody has looked. To run the payment
// again then charges twice. So two things must be known before "not found" proves anything: that nobody sends
// a request any more, and that none that was sent can still be carried out.

#include <cstdint>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/recovery/doubt.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// The rule for one provider, chosen once. A value; any number of threads may ask it.
class NotFound {
 public:
  /// What "not found" comes to for one payment.
  enum class Verdict : std::uint8_t {
    proves_nothing,  ///< the rule says so
    needs_dead_holder,
    needs_time,
    not_executed,  ///< the key may be released
  };

  /// For every provider: what it does not know stays in doubt, until it does or a person decides.
  static constexpr NotFound means_in_doubt() noexcept { return NotFound(Duration(0)); }

  /// For a provider that refuses late requests. Choosing this is a promise:
  ///
  /// 1. No request that has left its sender is carried out later than `after` from then, whatever holds it
  ///    up. Requests that carry an expiry which the provider checks keep that. A timeout of one's own client
  ///    does not: it ends the waiting, not the request.
  /// 2. The provider is asked about all of a payment's attempts (`Doubt::provider_key()` is the same for all
  ///    of them), and what it carried out is found from that moment on, pending payments included. Where its
  ///    list lags behind, `after` is longer by that much.
  /// 3. It does not forget a payment while its record may be in doubt.
  ///
  /// Even then a payment is released only with proof that its holder is dead (`Doubt::holder`), since a
  /// paused one sends what it likes when it wakes up, and once the observer has seen the doubt for `after` on
  /// its own steady clock. Wall clocks, and the times in the record, are not looked at. Throws
  /// `Error{invalid_options}` unless `after` is longer than zero.
  static NotFound proves_not_executed_after(Duration after) {
    if (after.count() <= 0)
      throw Error(
          errc::invalid_options,
          "NotFound::proves_not_executed_after must be longer than zero: ask your provider after what "
          "time it refuses a request that was held up, or use NotFound::means_in_doubt()");
    return NotFound(after);
  }

  /// Pure. `doubt` is as it was before the provider was asked: what passed while it answered does not count.
  Verdict verdict(const Doubt& doubt) const noexcept {
    if (after_.count() == 0) return Verdict::proves_nothing;
    if (doubt.holder != protocol::Holder::gone) return Verdict::needs_dead_holder;
    return doubt.seen_for >= after_ ? Verdict::not_executed : Verdict::needs_time;
  }

  /// The verdict for people: what was found out, or what is missing.
  std::string explain(const Doubt& doubt) const {
    switch (verdict(doubt)) {
      case Verdict::proves_nothing: break;
      case Verdict::needs_dead_holder:
        return "not found at the provider; a release needs proof that the holder is dead";
      case Verdict::needs_time:
        return "not found at the provider; a release needs it to be in doubt for " + in_words(after_) +
               ", seen so far: " + in_words(doubt.seen_for);
      case Verdict::not_executed:
        return "not found at the provider; its holder is dead, and it was seen in doubt for " +
               in_words(doubt.seen_for);
    }
    return "not found at the provider, which proves nothing: a request may still be under way";
  }

 private:
  explicit constexpr NotFound(Duration after) noexcept : after_(after) {}

  static std::string in_words(Duration time) { return std::to_string(time.count()) + " ms"; }

  Duration after_;  // zero: never
};

}  // namespace paidonce::inline v1
