// The snippets about locks in Redis.

#include <paidonce/clocks/redis_clock.hpp>
#include <paidonce/locks/redis_lock.hpp>
#include <paidonce/paidonce.hpp>

#include <string>
#include <string_view>

#include "support/catch.hpp"
#include "support/redis_server.hpp"

using namespace paidonce;

TEST_CASE("the page on RedisLock pays once", "[docs][redis]") {
  const std::string uri = shared_redis().uri();
  MemoryStore store;  // stands for one that several hosts share
  int charged = 0;
  const auto reserve_stock = [] {};
  const auto charge = [&](std::string_view) {
    ++charged;
    return succeeded(std::string("receipt 17"));
  };
  // [guard]
  RedisLockOptions options;
  options.prefix = "payments";  // the store's
  options.ttl = Duration(30'000);
  IdempotencyGuard guard{store, RedisLock{uri, options}, RedisClock{uri}};
  // [/guard]
  const IdempotencyKey key("shop", RedisServer::fresh_prefix());
  const auto print = fingerprint("order 17");
  // [lost]
  const auto outcome = guard.execute(key, print, [&](Attempt& attempt) -> PaymentResult<std::string> {
    reserve_stock();
    if (attempt.lease_lost()) return not_executed("the lock was lost before anything was sent");
    return charge(attempt.provider_key());
  });
  // [/lost]
  CHECK(outcome.response() == "receipt 17");
  CHECK(charged == 1);
}
