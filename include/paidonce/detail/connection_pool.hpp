#pragma once
// A bounded number of connections to one server, which callers share, one at a time.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// `Slot` is a place for a `connection` that opens when it is needed, and when it was last `used`;
/// `Connector` opens it. Thread-safe; outlives its leases.
template <class Connector, class Slot>
class ConnectionPool {
 public:
  /// `busy`: what to do where all are in use for longer than `acquire_timeout`.
  ConnectionPool(Connector& connector, std::size_t most, Duration acquire_timeout, const char* busy)
      : connector_(connector), acquire_timeout_(acquire_timeout), busy_(busy), idle_(most) {}

  /// The use of one connection, until it is destroyed.
  class Lease {
   public:
    /// Throws `store_busy`.
    explicit Lease(ConnectionPool& pool) : pool_(pool), slot_(pool.take()) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { pool_.give_back(std::move(slot_)); }

    /// These are the connector's, and throw as they do.
    auto& ready() { return pool_.connector_.ready(slot_); }
    auto& ready_or_out() { return pool_.connector_.ready_or_out(slot_); }
    auto& open() { return pool_.connector_.open(slot_); }

   private:
    ConnectionPool& pool_;
    Slot slot_;
  };

 private:
  /// The one used last, which is the most likely to be alive.
  Slot take() {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_for(lock, acquire_timeout_, [&] { return !idle_.empty(); }))
      throw Error(errc::store_busy, busy_);
    Slot slot = std::move(idle_.back());
    idle_.pop_back();
    return slot;
  }

  void give_back(Slot&& slot) noexcept {
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

  Connector& connector_;
  const Duration acquire_timeout_;
  const char* const busy_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Slot> idle_;  // empty slots first
};

}  // namespace paidonce::inline v1::detail
