// RedisLock against the promises of a lock, and between processes that die or stop.

#include <paidonce/locks/redis_lock.hpp>

#include <signal.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lock_process.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

using namespace paidonce;
using conformance::Program;

namespace {

const IdempotencyKey key("shop", "order-1");
constexpr Duration at_once{0};

RedisLockOptions options_for(const std::string& prefix, Duration ttl = Duration(30'000)) {
  RedisLockOptions options;
  options.prefix = prefix;
  options.ttl = ttl;
  options.connection.connect_timeout = Duration(200);
  return options;
}

/// Each lock has names of its own. Two handles of one process are as far apart as two processes.
struct Redis {
  std::shared_ptr<RedisServer> server = std::make_shared<RedisServer>();
  std::string prefix = {};
  RedisLock make() {
    if (!server->running()) server->start();
    prefix = RedisServer::fresh_prefix();
    return RedisLock(server->uri(), options_for(prefix));
  }
  RedisLock second_handle() { return RedisLock(server->uri(), options_for(prefix)); }
  void break_backend(RedisLock&) { server->kill(); }
};

/// Another process.
struct Process {
  Process(const std::string& prefix, Duration ttl, const RedisServer& server = shared_redis())
      : program({REDIS_LOCK_CLIENT, server.uri(), prefix, std::to_string(ttl.count())}) {}
  std::string ask(const std::string& command) {
    program.write(command);
    return program.read().value_or("nothing");
  }
  Program program;
};

}  // namespace

TEST_CASE("RedisLock is a lock", "[conformance][redis][lock]") { check_lock_conformance<Redis>(); }

TEST_CASE("what a process held in Redis is free once its time is over, after it was killed",
          "[redis][lock]") {
  constexpr Duration ttl{600};
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLock lock(shared_redis().uri(), options_for(prefix, ttl));
  Process process(prefix, ttl);
  REQUIRE(process.ask("acquire 0 order-1") == "held");
  const auto killed = std::chrono::steady_clock::now();
  process.program.kill();
  CHECK_FALSE(lock.acquire(key, at_once).has_value());
  auto hold = lock.acquire(key, std::chrono::minutes(5));
  REQUIRE(hold.has_value());
  CHECK(std::chrono::steady_clock::now() - killed < ttl + std::chrono::seconds(5));
}

TEST_CASE(
    "a process that was stopped for too long knows that its lock is lost, and leaves the next one's alone",
    "[redis][lock]") {
  constexpr Duration ttl{400};
  const std::string prefix = RedisServer::fresh_prefix();
  Process process(prefix, ttl);
  REQUIRE(process.ask("acquire 0 order-1") == "held");
  CHECK(process.ask("lost") == "no");
  ::kill(process.program.id(), SIGSTOP);
  RedisLock lock(shared_redis().uri(), options_for(prefix));
  auto hold = lock.acquire(key, std::chrono::minutes(5));
  REQUIRE(hold.has_value());
  ::kill(process.program.id(), SIGCONT);
  CHECK(process.ask("lost") == "yes");
  CHECK(process.ask("release") == "ok");
  RedisLock third(shared_redis().uri(), options_for(prefix));
  CHECK_FALSE(third.acquire(key, at_once).has_value());
  CHECK_FALSE(hold->lost());
  CHECK(process.program.end() == 0);
}

TEST_CASE("a process that stops in order gives back what it held in Redis", "[redis][lock]") {
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLock lock(shared_redis().uri(), options_for(prefix));
  Process process(prefix, Duration(30'000));
  REQUIRE(process.ask("acquire 0 order-1") == "held");
  CHECK_FALSE(lock.acquire(key, at_once).has_value());
  CHECK(lock.acquire(IdempotencyKey("shop", "order-2"), at_once).has_value());
  CHECK(process.program.end() == 0);
  CHECK(lock.acquire(key, at_once).has_value());
}

TEST_CASE("a duplicate on another host waits for the payment that runs, and gets its answer",
          "[redis][lock][guard]") {
  RedisServer server;
  Process first("paid", Duration(30'000), server), second("paid", Duration(30'000), server);
  REQUIRE(first.ask("pay 0 order-1") == "pays");
  second.program.write("pay 600000 order-1");
  // It looks at the lock again and again: it waits.
  const auto looks = [&] {
    const std::string stats = server.command({"INFO", "commandstats"}).text;
    return std::stoi(stats.substr(stats.find("cmdstat_set:calls=") + 18));
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (looks() < 10 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK(looks() >= 10);
  CHECK(first.ask("receipt 17") == "paid receipt 17");
  CHECK(second.program.read() == "replayed receipt 17");
  CHECK(first.program.end() == 0);
  CHECK(second.program.end() == 0);
}

TEST_CASE("RedisLock is a lock over a cluster", "[conformance][redis][lock]") {
  struct Cluster {
    std::string prefix = {};
    RedisLock make() {
      prefix = RedisServer::fresh_prefix();
      return RedisLock(shared_redis_cluster().uri(), options_for(prefix));
    }
    RedisLock second_handle() { return RedisLock(shared_redis_cluster().uri(), options_for(prefix)); }
  };
  check_lock_conformance<Cluster>();
}
