#pragma once
// Connections to one server: opened when they are needed, bounded in number, looked after while they lie
// idle.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include <paidonce/detail/connection_pool.hpp>
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

/// Connections to one server that single commands share.
struct RedisPool : ConnectionPool<RedisConnector, RedisSlot> {
  RedisPool(RedisConnector& connector, const RedisOptions& options)
      : ConnectionPool(
            connector, options.connections, options.acquire_timeout,
            "all RedisOptions::connections are in use, for longer than acquire_timeout: allow for more") {}
};

}  // namespace paidonce::inline v1::detail
