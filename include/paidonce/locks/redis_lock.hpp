#pragma once
// A mutex for each key, for all hosts that share a Redis server or cluster.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/guard/heartbeats.hpp>
#include <paidonce/lock.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/locks/redis/held_lock.hpp>
#include <paidonce/locks/redis/lock_server.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/system_random.hpp>
#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1 {

struct RedisLockOptions {
  RedisOptions connection = {};
  /// Names begin with it in braces, as those of a RedisStore; it has none itself.
  std::string prefix = "paidonce";
  /// How long others wait for a host that has died, at most; and how long a server may be out of reach before
  /// what is held counts as lost. Renewed when a third of it is over. From 200 ms; short ones are lost to
  /// pauses of a busy machine.
  Duration ttl{30'000};
  /// Pauses between looks at a lock that another process holds.
  Backoff poll{Duration(2), Duration(50), Jitter::equal};
};

/// Lets duplicates on all hosts queue. For waiting alone: what keeps a payment right is its record, and a
/// KeyedMutex is enough for that. A lock in Redis can be held by two at once: a process that was stopped goes
/// on after its time is over, and a failover forgets locks that had not been replicated. `Hold::lost()` says
/// so as far as this host can know. See Kleppmann, "How to do distributed locking" (2016), and Redis' own
/// page, https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/
///
/// Taking a free key costs one round trip, and the first of all one more; releasing it another. Threads of
/// one RedisLock queue, first come, first served, and one of them competes with other processes, which are
/// served in no order: it looks again after pauses of `poll`. A thread of the handle's own renews what is
/// held; what a dead process held is free after `ttl`.
///
/// Thread-safe; a movable handle. Holds must not outlive it. In a forked child `acquire` throws
/// `store_forked`, and neither holds nor handle release anything.
class RedisLock {
  struct State;

 public:
  class Hold {
   public:
    /// Whether others may have the key by now: it was found taken or gone, or could not be renewed in time,
    /// on a clock that goes on while the machine sleeps. Never false again. No I/O; on any thread.
    bool lost() const noexcept { return held_ && held_->lost(); }

   private:
    friend class RedisLock;
    /// Waits for the server, but not for long: `acquire_timeout` and `connect_timeout`, and half a second for
    /// the answer. A child keeps what is its parent's.
    struct Release {
      const State* state;
      void operator()(detail::HeldLock* held) const noexcept {
        if (!state->process.is_this_one()) return;
        held->release();
        delete held;
      }
    };
    Hold(const State& state, std::unique_ptr<detail::HeldLock> held) noexcept
        : held_(held.release(), Release{&state}) {}
    std::unique_ptr<detail::HeldLock, Release> held_;
  };

  /// Connects to nothing yet. Throws `invalid_options`.
  explicit RedisLock(std::string_view uri, RedisLockOptions options = {})
      : state_(new State(uri, std::move(options))) {}

  /// As Lock has it; beyond `wait`, it takes what the server needs to answer. Throws Error:
  /// `lock_unavailable` where that does not answer, refuses, or is full; `invalid_options` where it does not
  /// let this user in, or run what renewing and releasing need; `store_forked`. Or `std::bad_alloc`, or
  /// std::system_error where the random source fails.
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    State& state = *state_;
    if (!state.process.is_this_one()) refuse_child();
    const auto deadline = deadline_after(wait);
    state.start_renewals();
    auto turn = state.queue.acquire(key, wait);
    if (!turn) return std::nullopt;
    auto held = std::make_unique<detail::HeldLock>(state.server, state.renewals, state.options.ttl,
                                                   state.name_of(key), std::move(*turn));
    try {
      Duration pause{0};
      SystemRandom random;
      for (std::uint32_t looks = 1; !held->take(); ++looks) {
        pause = pause_after(state.options.poll, looks, pause, random);
        if (wait.count() <= 0 || !state.pause(pause, deadline)) return std::nullopt;
      }
    } catch (const Error& failure) {
      rethrow(failure);
    }
    return Hold(state, std::move(held));
  }

  /// Ends all waits, those to come too; keys that are free can still be taken. For good: it serves a
  /// shutdown.
  void interrupt() noexcept {
    if (!state_->process.is_this_one()) return;
    state_->stop.request();
    state_->queue.interrupt();
  }

 private:
  using Steady = std::chrono::steady_clock;

  static Steady::time_point deadline_after(Duration wait) {
    constexpr Duration longest = std::chrono::hours(24 * 365);
    if (wait.count() <= 0) return {};
    return Steady::now() + (wait < longest ? wait : longest);
  }

  [[noreturn, gnu::cold]] static void refuse_child() {
    throw Error(errc::store_forked,
                "this lock was opened before the process forked; open a RedisLock in the child");
  }

  /// What the server did not do for a store, it did not do for a lock.
  [[noreturn, gnu::cold]] static void rethrow(const Error& failure) {
    if (!retryable(failure)) throw;
    throw Error(errc::lock_unavailable, "no lock from Redis: " + detail::redis_text_of(failure));
  }

  struct State {
    const RedisLockOptions options;
    const detail::OwnProcess process = {};
    detail::LockServer server;
    KeyedMutex queue = {};
    Stop stop = {};
    detail::Heartbeats renewals = {};  // ends first

    State(std::string_view uri, RedisLockOptions given)
        : options(checked(std::move(given))), server(uri, options.connection, options.ttl) {}

    static RedisLockOptions checked(RedisLockOptions options) {
      if (options.ttl < Duration(200) || options.ttl > Duration(INT32_MAX))
        throw Error(errc::invalid_options, "RedisLockOptions::ttl must be from 200 ms to 24 days");
      if (options.prefix.find_first_of("{}") != std::string::npos)
        throw Error(errc::invalid_options, "RedisLockOptions::prefix must not have braces in it");
      detail::checked(options.poll);
      return options;
    }

    /// Where the record of that key is, if the store has the same prefix: both are there, or neither.
    std::string name_of(const IdempotencyKey& key) const {
      std::string name = "{" + options.prefix + ":" + std::to_string(detail::redis_tag(key.bytes())) + "}:l:";
      return name.append(key.bytes());
    }

    void start_renewals() {
      try {
        renewals.start();
      } catch (const std::system_error&) {
        throw Error(errc::lock_unavailable,
                    "the lock cannot start a thread of its own: raise the limit of threads (ulimit -u, or "
                    "the container's)");
      }
    }

    /// False: time is up, or the waits were ended.
    bool pause(Duration length, Steady::time_point deadline) {
      const auto left = std::chrono::ceil<Duration>(deadline - Steady::now());
      if (left.count() <= 0) return false;
      return stop.wait_for(length < left ? length : left, detail::Never{});
    }
  };

  /// A child has none of the threads that may be in the middle of something.
  struct Close {
    void operator()(State* state) const noexcept {
      if (state->process.is_this_one()) delete state;
    }
  };

  std::unique_ptr<State, Close> state_;
};

static_assert(InterruptibleLock<RedisLock>);

}  // namespace paidonce::inline v1
