#pragma once
// One run of the payment callable, as the callable sees it.

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/flow/write.hpp>
#include <paidonce/key.hpp>
#include <paidonce/observer.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/provider_key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

namespace detail {

/// What an attempt needs of its guard.
class AttemptPort {
 public:
  virtual std::optional<Record> find() = 0;
  virtual bool replace(Version expected, const Record& record) = 0;
  virtual Timestamp now() = 0;
  /// Whether others may go on: the guard's clock has come to `lease_until`, or the lock was lost.
  virtual bool is_over(Timestamp lease_until) = 0;
  virtual void store_failed(events::StoreCall call) noexcept = 0;

 protected:
  ~AttemptPort() = default;
};

}  // namespace detail

/// Valid while the callable runs; safe to use from any number of threads until it returns. What it writes
/// (lease, checkpoint) is serialised with the guard's heartbeat.
class Attempt {
 public:
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  const IdempotencyKey& key() const noexcept { return key_; }
  /// 1 for the first attempt at this payment.
  std::uint32_t number() const noexcept { return number_; }
  /// Version of this attempt's begin record: constant, and higher than that of every attempt before it. For
  /// systems that can refuse whoever comes with a lower one.
  Version fence() const noexcept { return fence_; }

  /// What to give the provider as its idempotency key: the same for every attempt at this payment. Throws
  /// `std::logic_error` in a transaction, which cannot undo what a provider does.
  std::string_view provider_key() const {
    refuse_in_transaction("provider_key()");
    std::call_once(provider_key_once_, [this] { provider_key_ = paidonce::provider_key(key_, created_at_); });
    return provider_key_;
  }

  /// Whether others may have taken this payment over: the record moved on, the lease ran out, on a clock that
  /// goes on while the machine sleeps or on the guard's own, or a LossAwareLock was lost. Ask it right before
  /// each request to the provider, and do not send when it says true.
  bool lease_lost() const noexcept {
    if (lost_.load(std::memory_order_relaxed)) return true;
    if (kind_ == Kind::in_transaction) return false;
    if (detail::boot_now() >= lease_ends_.load(std::memory_order_relaxed)) return true;
    try {
      return port_.is_over(lease_until());
    } catch (...) {
      return true;
    }
  }
  Timestamp lease_until() const noexcept {
    return Timestamp(Duration(lease_until_.load(std::memory_order_relaxed)));
  }

  /// Makes the lease last its full length from now. Throws `Error{lease_lost}` when the record moved on, and
  /// what the store throws when its fate stays unknown; the payment is not over for that.
  void extend_lease() {
    refuse_in_transaction("extend_lease()");
    change(std::unique_lock(mutex_), nullptr);
  }

  /// What this or an earlier attempt at the payment saved last; empty at first.
  std::string checkpoint() const {
    refuse_in_transaction("checkpoint()");
    std::lock_guard lock(mutex_);
    return record_.checkpoint;
  }

  /// Durable when it returns: the next attempt, should this one break off, goes on from here. Throws as
  /// `extend_lease`.
  void save_checkpoint(std::string_view checkpoint) {
    refuse_in_transaction("save_checkpoint()");
    checkpoint_saved_.store(true, std::memory_order_relaxed);
    change(std::unique_lock(mutex_), &checkpoint);
  }

 protected:
  enum class Kind : std::uint8_t { alone, in_transaction };

  /// `record` is the begin record, durable by now; `started` was read before it was written.
  Attempt(Kind kind, const IdempotencyKey& key, Record& record, Duration lease, detail::BootTime started,
          detail::AttemptPort& port) noexcept
      : kind_(kind),
        key_(key),
        record_(record),
        port_(port),
        lease_(lease),
        number_(record.attempts),
        fence_(record.version),
        created_at_(record.created_at),
        lease_until_(record.lease_until.time_since_epoch().count()),
        lease_ends_(detail::boot_after(started, lease)) {}
  ~Attempt() = default;

  /// For the heartbeat: `extend_lease()`, unless the callable is writing just now. False: it is; come back
  /// soon.
  [[gnu::cold]] bool try_to_extend_lease() {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock) return false;
    change(std::move(lock), nullptr);
    return true;
  }
  Duration lease() const noexcept { return lease_; }
  detail::BootTime lease_ends() const noexcept { return lease_ends_.load(std::memory_order_relaxed); }

 public:
  /// For guards: whether this attempt tried to save a checkpoint, so that a throw proves nothing any more.
  bool checkpoint_saved() const noexcept { return checkpoint_saved_.load(std::memory_order_relaxed); }

 private:
  void refuse_in_transaction(const char* what) const {
    if (kind_ == Kind::in_transaction)
      throw std::logic_error(std::string("Attempt::") + what +
                             " in execute_in_transaction: a transaction cannot undo what is done outside it");
  }

  [[noreturn, gnu::cold]] void lose() {
    lost_.store(true, std::memory_order_relaxed);
    throw Error(errc::lease_lost,
                "the record of this attempt moved on: do not send anything more to the provider");
  }

  /// Writes the attempt's record, with a new checkpoint or else with a longer lease, over its last version.
  /// One whose fate stayed unknown is read back first.
  [[gnu::cold]] void change(std::unique_lock<std::mutex> lock, const std::string_view* new_checkpoint) {
    static_cast<void>(lock);  // held to the end
    if (lost_.load(std::memory_order_relaxed)) lose();
    if (uncertain_) adopt(port_.find());
    for (int again = 0; again < 3; ++again) {
      const detail::BootTime started = detail::boot_now();
      Record next = record_;
      if (new_checkpoint)
        protocol::save_checkpoint(next, port_.now(), *new_checkpoint);
      else
        protocol::extend(next, port_.now(), lease_);
      flow::Write write;
      write.start_replace(record_.version);
      follow(write, next);
      if (write.fate() == flow::Write::Fate::stored) {
        record_ = std::move(next);
        lease_until_.store(record_.lease_until.time_since_epoch().count(), std::memory_order_relaxed);
        if (!new_checkpoint)
          lease_ends_.store(detail::boot_after(started, lease_), std::memory_order_relaxed);
        return;
      }
      if (write.fate() == flow::Write::Fate::unknown) {
        uncertain_ = true;
        std::rethrow_exception(write.failure());
      }
      adopt(std::move(write.there()));
    }
    lose();
  }

  /// The store has this attempt's own record, by a write whose reply was lost; anything else means that it
  /// moved on.
  [[gnu::cold]] void adopt(std::optional<Record>&& there) {
    if (!there || there->state != State::in_progress || !protocol::same_attempt(*there, record_)) lose();
    record_ = std::move(*there);
    uncertain_ = false;
  }

  [[gnu::cold]] void follow(flow::Write& write, const Record& next) {
    while (write.fate() == flow::Write::Fate::open) {
      const bool writing = write.need() == flow::Write::Need::replace;
      try {
        if (writing)
          write.replaced(port_.replace(write.expected(), next));
        else
          write.read_back(port_.find(), next);
      } catch (const detail::ForcedUnwind&) {
        throw;
      } catch (...) {
        write.failed(std::current_exception());
        port_.store_failed(writing ? events::StoreCall::replace : events::StoreCall::find);
      }
    }
  }

  const Kind kind_;
  const IdempotencyKey& key_;
  Record& record_;
  detail::AttemptPort& port_;
  const Duration lease_;
  const std::uint32_t number_;
  const Version fence_;
  const Timestamp created_at_;
  mutable std::mutex mutex_ = {};
  bool uncertain_ = false;
  std::atomic<bool> lost_{false};
  std::atomic<bool> checkpoint_saved_{false};
  std::atomic<Duration::rep> lease_until_;
  std::atomic<detail::BootTime> lease_ends_;
  mutable std::once_flag provider_key_once_ = {};
  mutable std::string provider_key_ = {};
};

}  // namespace paidonce::inline v1
