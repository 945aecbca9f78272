#pragma once
// Connections to one server: opened when they are needed, bounded in number, looked after while they lie
// idle.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/connecting.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/retry/reconnect_gate.hpp>

namespace paidonce::inline v1::detail {

/// A place for a connection that opens when it is needed. Belongs to one thread at a time.
struct RedisSlot {
  std::optional<RedisConnection> connection = {};
  std::chrono::steady_clock::time_point used = {};
  std::uint64_t trust = 0;  // the connector's, when it was opened
};

/// Opens connections to one server. Thread-safe.
class RedisConnector {
 public:
  /// What is asked of a new connection before anybody uses it; what it throws, the caller gets.
  using Check = std::function<void(RedisConnection&)>;

  RedisConnector(RedisEndpoint endpoint, const RedisAddress& address, const RedisOptions& options,
                 Check check = {})
      : endpoint_(std::move(endpoint)),
        address_(address),
        options_(options),
        check_(std::move(check)),
        gate_(options.reconnect, options.connect_timeout) {}

  /// The slot's connection, a living one. An outage is waited for, as long as the gate lets callers wait.
  /// Throws `store_unavailable`, `invalid_options` and what the check does.
  RedisConnection& ready(RedisSlot& slot) {
    for (;;) {
      try {
        return ready_or_out(slot);
      } catch (const RedisOutage&) {
        if (!has_patience()) throw;
      }
    }
  }

  /// Likewise, but tells an outage at once: where another server may have taken over.
  RedisConnection& ready_or_out(RedisSlot& slot) {
    return slot.connection && alive(slot) ? *slot.connection : open_now(slot);
  }

  bool has_patience() const { return gate_.has_patience(); }

  /// All connections are opened and checked anew before their next use.
  void distrust() noexcept { trust_.fetch_add(1, std::memory_order_relaxed); }

  /// Opens anew; an outage is told at once.
  RedisConnection& open_now(RedisSlot& slot) {
    slot.connection.reset();
    slot.trust = trust_.load(std::memory_order_relaxed);
    try {
      gate_.enter();
    } catch (const Error& out_of_reach) {
      throw RedisOutage(redis_text_of(out_of_reach));
    }
    try {
      RedisConnection opened = connect(endpoint_, address_, options_);
      if (check_) check_(opened);
      slot.connection.emplace(std::move(opened));
    } catch (const Error& failure) {
      gate_.failed(redis_text_of(failure));
      throw;
    } catch (...) {
      gate_.failed();
      throw;
    }
    gate_.succeeded();
    slot.used = std::chrono::steady_clock::now();
    opened_.fetch_add(1, std::memory_order_relaxed);
    return *slot.connection;
  }

  const RedisEndpoint& endpoint() const noexcept { return endpoint_; }
  std::uint64_t opened() const noexcept { return opened_.load(std::memory_order_relaxed); }
  std::uint32_t failures() const { return gate_.failures(); }

 private:
  bool alive(RedisSlot& slot) {
    const auto now = std::chrono::steady_clock::now();
    const bool long_idle = now - slot.used >= options_.idle_check;
    slot.used = now;
    if (slot.trust != trust_.load(std::memory_order_relaxed) || !slot.connection->quiet()) return false;
    if (!long_idle) return true;
    try {
      return !slot.connection->run({"PING"}, redis_deadline(Duration(1000))).is_error();
    } catch (const Error&) {
      return false;
    }
  }

  const RedisEndpoint endpoint_;
  const RedisAddress& address_;
  const RedisOptions& options_;
  const Check check_;
  ReconnectGate gate_;
  std::atomic<std::uint64_t> opened_{0}, trust_{0};
};

/// A bounded number of connections that callers share, one at a time. Thread-safe; outlives its leases.
class RedisPool {
 public:
  RedisPool(RedisConnector& connector, const RedisOptions& options)
      : connector_(connector), acquire_timeout_(options.acquire_timeout), idle_(options.connections) {}

  /// The use of one connection, until it is destroyed.
  class Lease {
   public:
    explicit Lease(RedisPool& pool) : pool_(pool), slot_(pool.take()) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.give_back(std::move(slot_)); }

    /// Throws as RedisConnector::ready.
    RedisConnection& ready() { return pool_.connector_.ready(slot_); }
    RedisConnection& ready_or_out() { return pool_.connector_.ready_or_out(slot_); }

   private:
    RedisPool& pool_;
    RedisSlot slot_;
  };

 private:
  /// The one used last, which is the most likely to be alive; throws `store_busy`.
  RedisSlot take() {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_for(lock, acquire_timeout_, [&] { return !idle_.empty(); }))
      throw Error(
          errc::store_busy,
          "all RedisOptions::connections are in use, for longer than acquire_timeout: allow for more");
    RedisSlot slot = std::move(idle_.back());
    idle_.pop_back();
    return slot;
  }

  void give_back(RedisSlot&& slot) noexcept {
    if (slot.connection && !slot.connection->usable()) slot.connection.reset();
    slot.used = std::chrono::steady_clock::now();
    {
      const std::lock_guard lock(mutex_);
      if (slot.connection)
        idle_.push_back(std::move(slot));  // has room: there were as many from the start
      else
        idle_.insert(idle_.begin(), std::move(slot));
    }
    returned_.notify_one();
  }

  RedisConnector& connector_;
  const Duration acquire_timeout_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<RedisSlot> idle_;  // empty slots first
};

}  // namespace paidonce::inline v1::detail
