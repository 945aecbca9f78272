#pragma once
// A lock that is held in Redis, or being asked for: renewed in the background, and lost once that did not
// happen in time.

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/clocks/server/sample.hpp>
#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/guard/heartbeats.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/locks/redis/lock_server.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Until when the server keeps a lock at least, counted from before it was asked: clocks drift apart, and the
/// server counts in milliseconds.
constexpr BootTime lock_end(BootTime asked, Duration ttl) noexcept {
  return boot_after(asked, ttl - Duration(1)) - drift_of(boot_after(0, ttl));
}

/// `take` belongs to one thread; once that has said true, any number of them may ask `lost`, until one of
/// them releases it.
class HeldLock final : private Heartbeats::Beat {
 public:
  HeldLock(LockServer& server, Heartbeats& renewals, Duration ttl, std::string name, KeyedMutex::Hold turn)
      : server_(server), renewals_(renewals), ttl_(ttl), name_(std::move(name)), turn_(std::move(turn)) {}

  /// True: it is ours, and renewed from now on. False: somebody else's. Throws what LockServer does; then it
  /// may be taken, in nobody's name, until its time is over.
  bool take() {
    const RedisDeadline deadline = server_.deadline();
    for (bool again = false;; again = true) {
      const BootTime asked = boot_now();
      try {
        // Of a command without an answer nothing is known, not even whether it is still on its way. Whoever
        // comes later asks in the same name, and so meets nobody but itself.
        if (!server_.take(name_, token_, deadline) && !(unsure_ && server_.renew(name_, token_, deadline)))
          return false;
        until_.store(lock_end(asked, ttl_), std::memory_order_relaxed);
        renewals_.add(*this, boot_after(asked, ttl_ / 3));
        return true;
      } catch (const Error& failure) {
        unsure_ = true;
        if (again || failure.code() != errc::store_unavailable || server_.is_late(deadline)) throw;
      }
    }
  }

  /// For good. Reads memory and a clock.
  bool lost() const noexcept {
    BootTime until = until_.load(std::memory_order_relaxed);
    while (until != over) {
      if (boot_now() < until) return false;
      if (until_.compare_exchange_weak(until, over, std::memory_order_relaxed)) return true;
    }
    return true;
  }

  /// After `take` said true. No renewal is under way afterwards. Where the server does not answer, the time
  /// of the lock ends it.
  void release() noexcept {
    const NotCancellable to_the_end;
    renewals_.remove(*this);
    try {
      server_.release(name_, token_, server_.deadline_of_release());
    } catch (...) {
    }
  }

 private:
  static constexpr BootTime over = 0;

  BootTime beat() noexcept override {
    const BootTime asked = boot_now();
    try {
      if (server_.renew(name_, token_, server_.deadline()) && prolong(asked))
        return boot_after(asked, ttl_ / 3);
      until_.store(over, std::memory_order_relaxed);
      return Heartbeats::never;
    } catch (...) {
      return lost() ? Heartbeats::never : boot_after(boot_now(), ttl_ / 12);
    }
  }

  /// False: too late, whatever the server says; others may have been told so.
  bool prolong(BootTime asked) noexcept {
    BootTime until = until_.load(std::memory_order_relaxed);
    return boot_now() < until &&
           until_.compare_exchange_strong(until, lock_end(asked, ttl_), std::memory_order_relaxed);
  }

  LockServer& server_;
  Heartbeats& renewals_;
  const Duration ttl_;
  const std::string name_;
  const LockToken token_ = {};
  bool unsure_ = false;  // whether a command to take it may have been executed
  mutable std::atomic<BootTime> until_{over};
  KeyedMutex::Hold turn_;  // given on after the release, so that whoever is next finds the name free
};

}  // namespace paidonce::inline v1::detail
