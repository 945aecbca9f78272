// The server's time, kept on this host.

#include <paidonce/clocks/redis_clock.hpp>

#include <signal.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "support/catch.hpp"
#include "support/redis_server.hpp"

using namespace paidonce;

namespace {

template <class Condition>
bool comes_true(Condition condition) {
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
       std::chrono::steady_clock::now() < until; std::this_thread::yield())
    if (condition()) return true;
  return false;
}

/// Server and clock are on one machine: what the system clock says is the server's time.
Timestamp system_now() { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

std::string both(const RedisServer& first, const RedisServer& second) {
  return first.uri() + ",127.0.0.1:" + std::to_string(second.port());
}

}  // namespace

TEST_CASE("the clock tells the time of the Redis server within its bound", "[redis][clock]") {
  RedisClock clock(shared_redis().uri());
  const Timestamp before = system_now();
  const Timestamp told = clock.now();
  const Timestamp after = system_now();
  const Duration bound = clock.error_bound() + Duration(1);  // both are cut to milliseconds
  CHECK(told >= before - bound);
  CHECK(told <= after + bound);
  CHECK(clock.stats().measurements == 1);
  CHECK(clock.stats().failed_in_a_row == 0);
}

TEST_CASE("the clock measures again by itself, asks the next node, and goes on without any",
          "[redis][clock]") {
  RedisServer server, other;
  RedisClockOptions options;
  options.interval = Duration(5);
  options.answer_timeout = Duration(200);
  options.connection.connect_timeout = Duration(200);
  RedisClock first(both(server, other), options);
  RedisClock clock(std::move(first));
  REQUIRE(comes_true([&] { return clock.stats().measurements >= 3; }));

  server.kill();
  auto measured = clock.stats().measurements;
  CHECK(comes_true([&] { return clock.stats().measurements > measured + 2; }));  // the other's

  other.kill();
  REQUIRE(comes_true([&] { return clock.stats().failed_in_a_row >= 2; }));
  measured = clock.stats().measurements;
  const Timestamp told = clock.now();
  CHECK(told >= system_now() - Duration(2'000));
  CHECK(told <= system_now() + Duration(2'000));
  CHECK_THROWS_AS(clock.refresh(), Error);
  CHECK(clock.stats().measurements == measured);

  server.start();
  CHECK(comes_true([&] { return clock.stats().measurements > measured; }));
  CHECK(comes_true([&] { return clock.stats().failed_in_a_row == 0; }));
}

TEST_CASE("a clock passes over a node that lets nobody in, and over none that is the only one",
          "[redis][clock]") {
  RedisServer closed, open;
  closed.command({"CONFIG", "SET", "requirepass", "secret"});
  CHECK(RedisClock(both(closed, open)).stats().measurements == 1);
  CHECK_THROWS_AS(RedisClock(closed.uri()), Error);
}

TEST_CASE("a clock whose Redis server does not answer is none", "[redis][clock]") {
  RedisServer server;
  for (const pid_t process : server.processes()) ::kill(process, SIGSTOP);
  RedisClockOptions options;
  options.answer_timeout = Duration(100);
  try {
    RedisClock clock(server.uri(), options);
    FAIL("nobody told it");
  } catch (const Error& error) {
    CHECK(error.code() == errc::store_unavailable);
  }
  for (const pid_t process : server.processes()) ::kill(process, SIGCONT);
  options.interval = Duration(0);
  CHECK_THROWS_AS(RedisClock(server.uri(), options), Error);
}
