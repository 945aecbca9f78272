#pragma once
// A bounded number of connections for what needs one to itself: transactions, scans, sweeps.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/connector.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe; outlives its leases.
class PostgresPool {
 public:
  PostgresPool(PostgresConnector& connector, std::size_t most, Duration acquire_timeout)
      : connector_(connector), acquire_timeout_(acquire_timeout), idle_(most) {}

  /// The use of one connection, until it is destroyed.
  class Lease {
   public:
    explicit Lease(PostgresPool& pool) : pool_(pool), slot_(pool.take()) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.give_back(std::move(slot_)); }

    /// Throws as PostgresConnector::ready.
    PostgresConnection& ready() { return pool_.connector_.ready(slot_); }
    /// Likewise, but for a schema that is not there.
    PostgresConnection& open() { return pool_.connector_.open(slot_); }

   private:
    PostgresPool& pool_;
    PostgresSlot slot_;
  };

 private:
  /// The one used last, which is the most likely to be alive; throws `store_busy`.
  PostgresSlot take() {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_for(lock, acquire_timeout_, [&] { return !idle_.empty(); }))
      throw Error(
          errc::store_busy,
          "all PostgresStoreOptions::connections are in use, for longer than acquire_timeout: shorten "
          "the transactions, or allow for more connections");
    PostgresSlot slot = std::move(idle_.back());
    idle_.pop_back();
    return slot;
  }

  void give_back(PostgresSlot&& slot) noexcept {
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

  PostgresConnector& connector_;
  const Duration acquire_timeout_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<PostgresSlot> idle_;  // empty slots first
};

}  // namespace paidonce::inline v1::detail
