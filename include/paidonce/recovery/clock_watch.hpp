#pragma once
// Whether the wall clock can be believed: what erases by the calendar asks first. A wall clock is set by
// hand, by NTP, by whoever restores a virtual machine; a timer only goes forward. Their difference is looked
// at, nothing is read and nothing is waited for here.

#include <cstdint>

#include <paidonce/errors.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// Compares a wall clock with a timer. One for each pair of them; for one thread at a time.
///
/// They agree while a length of time is the same on both, but for a `tolerance` and a steady drift. So, of
/// any two readings taken while they agreed all along:
///
///     | wall2 - wall1 - (elapsed2 - elapsed1) | <= 2 * tolerance + drift * (elapsed2 - elapsed1)
///
/// however the wall clock was moved in between: small jumps add up until they are more than that. A machine's
/// sleep is no disagreement, since `SteadyTimer` counts it.
class ClockWatch {
 public:
  /// Default drift, in millionths: the most that the kernel lets NTP slew a clock (adjtimex(2), Linux).
  static constexpr std::uint32_t most_slewing = 500;

  /// `tolerance` takes in a leap second, and the time that passes between reading the one and the other.
  /// `settle` is how long they must have agreed after a jump; it is time for NTP, or for a person, to set
  /// right what is wrong. Throws `Error{invalid_options}`.
  explicit ClockWatch(Duration tolerance = std::chrono::seconds(5), Duration settle = std::chrono::hours(1),
                      std::uint32_t drift_in_millionths = most_slewing)
      : tolerance_(tolerance), settle_(settle), drift_(drift_in_millionths) {
    if (tolerance.count() <= 0)
      throw Error(errc::invalid_options, "the tolerance of a clock watch must be longer than zero");
    if (settle.count() <= 0)
      throw Error(errc::invalid_options, "the settle time of a clock watch must be longer than zero");
    if (drift_in_millionths > 100'000)
      throw Error(
          errc::invalid_options,
          "the drift of a clock watch must be at most 100000 millionths: a clock that is worse is none");
  }

  /// Both as read just now. False from a jump of the wall clock by more than the tolerance on, in either
  /// direction, until they have agreed for the settle time; a jump back to where it was is a jump. True at
  /// the first time: there is nothing to compare with.
  bool agree(Timestamp wall, Duration elapsed) noexcept {
    const Timestamp offset = saturating_add(wall, negated(elapsed));
    if (!begun_) {
      begun_ = true;
      offset_ = offset;
    } else {
      follow(offset, elapsed);
      if (apart(offset, offset_) > static_cast<std::uint64_t>(tolerance_.count())) {
        settling_ = true;
        jumped_at_ = elapsed;
        offset_ = offset;
      }
    }
    elapsed_ = elapsed;
    if (settling_ && since(jumped_at_, elapsed) >= static_cast<std::uint64_t>(settle_.count()))
      settling_ = false;
    return !settling_;
  }

 private:
  static constexpr Duration negated(Duration length) noexcept {
    return length == Duration::min() ? Duration::max() : -length;
  }
  static constexpr std::uint64_t apart(Timestamp a, Timestamp b) noexcept {
    const auto count = [](Timestamp time) {
      return static_cast<std::uint64_t>(time.time_since_epoch().count());
    };
    return a < b ? count(b) - count(a) : count(a) - count(b);
  }

  static constexpr std::uint64_t since(Duration before, Duration now) noexcept {
    return now > before ? apart(Timestamp(now), Timestamp(before)) : 0;
  }

  /// Moves the offset that is compared with towards the one that was seen, as far as a drift may have moved
  /// it meanwhile. What is not needed is not saved up, or days without any drift would allow for a jump.
  void follow(Timestamp seen, Duration elapsed) noexcept {
    constexpr std::uint64_t longest = 1'000'000'000'000;  // 31 years: its drift still fits, in nanoseconds
    const std::uint64_t passed = since(elapsed_, elapsed);
    const std::int64_t allowed = part_ + static_cast<std::int64_t>(passed < longest ? passed : longest) *
                                             drift_;  // a millionth of a millisecond is a nanosecond
    part_ = allowed % 1'000'000;
    const Duration most(allowed / 1'000'000);
    if (apart(seen, offset_) <= static_cast<std::uint64_t>(most.count()))
      offset_ = seen;
    else
      offset_ += seen > offset_ ? most : -most;
  }

  Duration tolerance_, settle_;
  std::int64_t drift_;
  bool begun_ = false, settling_ = false;
  Timestamp offset_{};     ///< of the wall clock to the timer, as it should be
  Duration elapsed_{};     ///< when they were compared last
  Duration jumped_at_{};   ///< while settling
  std::int64_t part_ = 0;  ///< of a millisecond of drift, in nanoseconds, that was allowed and is not used
};

}  // namespace paidonce::inline v1
