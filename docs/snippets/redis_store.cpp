// The snippets about the store in Redis.

#include <paidonce/guard.hpp>
#include <paidonce/stores/redis.hpp>

#include <iostream>
#include <optional>
#include <string>

#include "support/catch.hpp"
#include "support/redis_server.hpp"

using namespace paidonce;

namespace {

// [open]
std::optional<RedisStore> open_payments(const std::string& uri) {
  RedisStoreOptions options;
  options.prefix = "payments";
  options.fsync = Fsync::always;  // refuse a server that does less
  options.connection.reply_timeout = Duration(2000);
  try {
    return RedisStore{uri, options};
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';  // what happened, and what to do about it
    return std::nullopt;                // take no payments: without the store each is a first one
  }
}
// [/open]

// Stands in for a TLS library, which hiredis 0.14 has none of.
redisContext* handshake(redisContext* context) { return context; }

}  // namespace

TEST_CASE("a store in Redis opens", "[docs][redis]") {
  RedisServer server;
  CHECK(open_payments(server.uri()));
  CHECK_FALSE(open_payments("redis://127.0.0.1:1"));
}

TEST_CASE("connections to Redis are made by the application", "[docs][redis]") {
  RedisServer server;
  // [connect]
  RedisStoreOptions options;
  options.connection.connect = [](const RedisEndpoint& endpoint, Duration timeout) {
    timeval limit{};
    limit.tv_sec = static_cast<decltype(limit.tv_sec)>(timeout.count() / 1000);
    limit.tv_usec = static_cast<decltype(limit.tv_usec)>(timeout.count() % 1000 * 1000);
    redisContext* const context = redisConnectWithTimeout(endpoint.host.c_str(), endpoint.port, limit);
    return handshake(context);  // yours; hiredis_ssl's redisInitiateSSLWithContext, for instance
  };
  // [/connect]
  RedisStore store{"rediss" + server.uri().substr(5), options};
  CHECK_FALSE(store.find(IdempotencyKey{"shop", "order-1001"}));
}

TEST_CASE("nobody has to sweep Redis, and may", "[docs][redis]") {
  RedisServer server;
  RedisStore store{server.uri()};
  // [watch]
  if (const RedisStoreStats stats = store.stats(); stats.lost_writes > 0)
    std::cerr << "Redis has forgotten payments: " << stats.lost_writes << '\n';
  // [/watch]
  CHECK(store.stats().lost_writes == 0);
}
