#pragma once
// The guard over a store: new payments, and such as were made before.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include <paidonce/guard.hpp>
#include <paidonce/locks/redis_lock.hpp>
#include <paidonce/stores/cached.hpp>
#include <paidonce/stores/memory.hpp>
#include <paidonce/stores/redis.hpp>

#include "benchmarks/file/payment.hpp"
#include "benchmarks/redis/bare.hpp"
#include "benchmarks/redis/server.hpp"

namespace redis_benchmark {

/// How operations are combined; none of it where the store's own defaults are meant.
struct Combining {
  std::size_t lanes = 0, most = 0;

  /// A script call for each operation, and a connection for each thread, as far as a store has them.
  static Combining none(const Width& width) { return {std::min<std::size_t>(width.threads, 64), 1}; }
};

inline paidonce::RedisStore open_store(Server& server, const std::string& prefix,
                                       const Combining& combining) {
  paidonce::RedisStoreOptions options;
  options.prefix = prefix;
  if (combining.lanes != 0) options.lanes = combining.lanes;
  if (combining.most != 0) options.max_batch = combining.most;
  return paidonce::RedisStore(server.redis().uri(), std::move(options));
}

inline void expect_success(const paidonce::Outcome<std::string>& outcome) {
  if (!outcome.succeeded() || outcome.response().size() != response_size)
    throw std::runtime_error("a payment did not succeed");
}

/// What a payment is to a guard.
template <class Guard>
void pay_one(Guard& guard, std::uint64_t id) {
  static const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
  expect_success(guard.execute(key_of(id), request, [] { return response(); }));
}

/// New payments; each thread has made one before the time begins, so that connections are open.
template <class Guard>
class GuardPeer final : public Peer {
 public:
  template <class... Parts>
  explicit GuardPeer(Parts&&... parts) : guard_(std::forward<Parts>(parts)...) {}
  void enter(Lane& lane) override { pay_one(guard_, lane.next_id()); }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { pay_one(guard_, id); });
  }

 private:
  Guard guard_;
};

/// Some keys, all of them paid before.
template <class Guard>
class ReplayPeer final : public Peer {
 public:
  template <class... Parts>
  explicit ReplayPeer(std::uint64_t keys, Parts&&... parts)
      : keys_(keys), guard_(std::forward<Parts>(parts)...) {
    for (std::uint64_t id = 0; id < keys; ++id) pay_one(guard_, id);
  }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { pay_one(guard_, id * 7919 % keys_); });
  }

 private:
  const std::uint64_t keys_;
  Guard guard_;
};

using RedisGuard = paidonce::IdempotencyGuard<paidonce::RedisStore>;
using LockedGuard = paidonce::IdempotencyGuard<paidonce::RedisStore, paidonce::RedisLock>;
using MemoryGuard = paidonce::IdempotencyGuard<paidonce::MemoryStore>;
using CachedGuard = paidonce::IdempotencyGuard<paidonce::CachedStore<paidonce::RedisStore>>;

}  // namespace redis_benchmark
