#pragma once
// Who may try to connect, and when, so that a server that is down is not hammered and callers are not held
// up: at the beginning of an outage they wait for it to end, for a while; then they fail at once, and one of
// them tries now and then.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/system_random.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe.
class ReconnectGate {
 public:
  ReconnectGate(Backoff pauses, Duration patience) : pauses_(pauses), patience_(patience) {}

  /// Returns when the caller may try; it then says how that went. Throws `store_unavailable` once the server
  /// has been out of reach for longer than the patience.
  void enter() {
    std::unique_lock lock(mutex_);
    while (failures_ != 0) {
      const auto now = Steady::now();
      if (!trying_ && now >= next_try_) {
        trying_ = true;
        return;
      }
      const auto patient_until = down_since_ + patience_;
      if (now >= patient_until) {
        if (trying_ || next_try_ - now > soon) throw out_of_reach(now);
        changed_.wait_until(lock, next_try_);
        continue;
      }
      changed_.wait_until(lock, trying_ || patient_until < next_try_ ? patient_until : next_try_);
    }
  }

  /// Whether one who has just failed may wait for the next try: the outage has only begun.
  bool has_patience() const {
    const std::lock_guard lock(mutex_);
    return failures_ == 0 || Steady::now() < down_since_ + patience_;
  }

  void succeeded() {
    {
      const std::lock_guard lock(mutex_);
      failures_ = 0;
      trying_ = false;
      pause_ = Duration(0);
    }
    changed_.notify_all();
  }

  /// `why` is told to those who are not let through.
  void failed(std::string why = {}) {
    {
      const std::lock_guard lock(mutex_);
      const auto now = Steady::now();
      if (failures_ == 0) down_since_ = now;
      if (failures_ == 0 || trying_) {  // those who tried at the same time as the first are no further proof
        ++failures_;
        SystemRandom random;
        pause_ = pause_after(pauses_, failures_, pause_, random);
        next_try_ = now + pause_;
        why_ = std::move(why);
      }
      trying_ = false;
    }
    changed_.notify_all();
  }

  /// Tries that failed since the last one that did not.
  std::uint32_t failures() const {
    const std::lock_guard lock(mutex_);
    return failures_;
  }

 private:
  using Steady = std::chrono::steady_clock;
  static constexpr Duration soon{100};  // not worth an error

  Error out_of_reach(Steady::time_point now) const {
    const auto left = std::chrono::ceil<Duration>(next_try_ - now).count();
    return Error(errc::store_unavailable, "no connection after " + std::to_string(failures_) +
                                              " tries; the next one is made in " +
                                              std::to_string(left > 0 ? left : 0) + " ms" +
                                              (why_.empty() ? "" : "; the last one: " + why_));
  }

  const Backoff pauses_;
  const Duration patience_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint32_t failures_ = 0;
  std::string why_ = {};  // the last of them
  bool trying_ = false;   // while there are failures: one at a time
  Duration pause_{0};
  Steady::time_point next_try_{}, down_since_{};
};

}  // namespace paidonce::inline v1::detail
