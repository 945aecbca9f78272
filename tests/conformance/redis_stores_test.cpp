// RedisStore: over one server, and over a cluster.

#include <string>

#include <paidonce/stores/redis.hpp>

#include "cached_fixture.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

using namespace paidonce;

namespace {

/// Each store has a prefix of its own.
struct Redis {
  std::string uri;
  RedisStoreOptions options = {};

  RedisStore make() {
    options.prefix = RedisServer::fresh_prefix("store");
    return RedisStore(uri, options);
  }
  RedisStore second_handle() { return RedisStore(uri, options); }
};

/// A server that crashes whenever a store is opened again, or cannot be reached.
struct RedisOfItsOwn : Redis {
  RedisServer server;

  RedisOfItsOwn() {
    uri = server.uri();
    options.fsync = Fsync::always;
    options.connection.connect_timeout = Duration(1000);
    options.connection.reconnect = {Duration(1), Duration(20), Jitter::equal};
  }

  RedisStore make() {
    if (!server.running()) server.start();
    return Redis::make();
  }
  RedisStore reopen() {
    server.kill();
    server.start();
    return RedisStore(uri, options);
  }
  void break_backend(RedisStore&) { server.kill(); }
  void mend_backend(RedisStore&) { server.start(); }
};

}  // namespace

TEST_CASE("RedisStore is a store", "[conformance][store][redis]") {
  RedisOfItsOwn fixture;
  check_store_conformance(fixture);
}

TEST_CASE("RedisStore is a store over a cluster", "[conformance][store][redis]") {
  Redis fixture{shared_redis_cluster().uri()};
  check_store_conformance(fixture);
}

TEST_CASE("RedisStore with a memory in front is a store", "[conformance][store][redis][cached]") {
  check_store_conformance(conformance::CachedFixture<Redis>{{shared_redis().uri()}});
}
