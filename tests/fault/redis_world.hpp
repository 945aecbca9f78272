#pragma once
// A guard over a Redis server that is out of reach, dies, hangs or forgets when a test says so.

#include <optional>
#include <string>
#include <utility>

#include <paidonce/locks/no_lock.hpp>
#include <paidonce/stores/redis.hpp>

#include "fault/payments.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_proxy.hpp"

namespace fault {

/// Short enough for a test that waits for each of them, long enough for a machine that has other things to
/// do.
inline RedisStoreOptions short_redis_timeouts() {
  RedisStoreOptions options;
  options.prefix = RedisServer::fresh_prefix("w");
  options.connection.connect_timeout = Duration(2000);
  options.connection.reply_timeout = Duration(400);
  options.connection.acquire_timeout = Duration(300);
  options.connection.reconnect = {Duration(5), Duration(50), Jitter::equal};
  options.wait_timeout = Duration(200);
  options.check_interval = Duration(1);
  return options;
}

/// A server (for nobody else, where a test stops it), a store by way of a network that fails, and one that
/// has a line of its own.
class RedisWorld : public Payments {
 public:
  using Guard = IdempotencyGuard<RedisStore&, NoLock, ManualClock>;

  explicit RedisWorld(RedisServer& the_server = shared_redis(),
                      RedisStoreOptions the_options = short_redis_timeouts())
      : server(the_server),
        options(std::move(the_options)),
        proxy(server.port(), Speaks::resp),
        store(through_proxy(), options),
        guard(store, NoLock(), clock) {}

  template <class Before, class After>
  Told pay(const std::string& order, const Before& before, const After& after) {
    return pay_by(guard, order, before, after, [&](const std::string& each) { return record(each); });
  }
  Told pay(const std::string& order) {
    return pay(
        order, [] {}, [] {});
  }
  /// Who asks again may be told of an error, where a server has forgotten what it acknowledged.
  Told pay_by_guard(Guard& by, const std::string& order) {
    return tell([&] {
      return by.execute(key_of(order), fingerprint(order), [&]() -> PaymentResult<std::string> {
        return succeeded(till.charge(key_of(order)));
      });
    });
  }

  /// Not by way of the proxy. A store of its own, so that none remembers what a server must have.
  std::optional<Record> record(const std::string& order) {
    return asked([&] {
      RedisStoreOptions trusting = options;
      trusting.unsafe = UnsafeConfig::accept;
      return RedisStore(server.uri(), trusting).find(key_of(order));
    });
  }

  void settle(const std::string& order) {
    proxy.reset();
    settle_by(order, [&](const std::string& each) { return pay(each); });
  }

  std::string through_proxy() const { return "redis://127.0.0.1:" + std::to_string(proxy.port()); }
  std::string records() const { return '{' + options.prefix + ':'; }

  RedisServer& server;
  const RedisStoreOptions options;
  TcpProxy proxy;
  RedisStore store;
  Guard guard;
};

inline std::string thrown(errc code) { return "thrown: " + make_error_code(code).message(); }

}  // namespace fault
