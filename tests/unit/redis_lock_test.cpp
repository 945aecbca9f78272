// RedisLock on a real server, in one process. Processes that die or stop:
// tests/conformance/redis_locks_test.cpp.

#include <paidonce/locks/redis_lock.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <paidonce/paidonce.hpp>

#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_proxy.hpp"

#if defined(__SANITIZE_THREAD__)
#define PAIDONCE_UNDER_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PAIDONCE_UNDER_TSAN
#endif
#endif

using namespace paidonce;

namespace {

const IdempotencyKey key("shop", "order-1");
constexpr Duration at_once{0};
constexpr Duration long_enough = std::chrono::minutes(5);

template <class Condition>
bool comes_true(Condition condition) {
  for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
       std::chrono::steady_clock::now() < until; std::this_thread::yield())
    if (condition()) return true;
  return false;
}

RedisLockOptions options_for(const std::string& prefix, Duration ttl = Duration(30'000)) {
  RedisLockOptions options;
  options.prefix = prefix;
  options.ttl = ttl;
  options.connection.connect_timeout = Duration(200);
  return options;
}

/// Of the key above; a format.
std::string name_of(const std::string& prefix) { return "{" + prefix + ":95}:l:\4shoporder-1"; }

/// How often a server was given a command.
int calls(const RedisServer& server, const std::string& command) {
  const std::string stats = server.command({"INFO", "commandstats"}).text;
  const std::string start = "cmdstat_" + command + ":calls=";
  const auto at = stats.find(start);
  return at == stats.npos ? 0 : std::stoi(stats.substr(at + start.size()));
}

void signal_all(RedisServer& server, int number) {
  for (const pid_t process : server.processes()) ::kill(process, number);
}

bool in_time_lost(const RedisLock::Hold& hold) {
  return comes_true([&] { return hold.lost(); });
}

}  // namespace

TEST_CASE("a lock is a name with a token and a time, taken in one round trip and given back in another",
          "[redis][lock]") {
  RedisServer server;
  const std::string prefix = "locks";
  RedisLock lock(server.uri(), options_for(prefix));
  std::string token;
  {
    auto hold = lock.acquire(key, at_once);
    REQUIRE(hold.has_value());
    CHECK_FALSE(hold->lost());
    token = server.command({"GET", name_of(prefix)}).text;
    CHECK(token.size() == 32);
    const auto left = server.command({"PTTL", name_of(prefix)}).integer;
    CHECK(left > 0);
    CHECK(left <= 30'000);
    // Threads of one handle queue among themselves: nobody asks the server meanwhile.
    CHECK_FALSE(lock.acquire(key, at_once).has_value());
    CHECK(calls(server, "set") == 1);
    CHECK(calls(server, "eval") == 1);  // whether it may be kept: asked for the first one
  }
  CHECK(server.command({"EXISTS", name_of(prefix)}).integer == 0);
  CHECK(calls(server, "set") == 1);
  CHECK(calls(server, "eval") == 2);
  auto again = lock.acquire(key, at_once);
  REQUIRE(again.has_value());
  CHECK(server.command({"GET", name_of(prefix)}).text != token);
  CHECK(calls(server, "eval") == 2);
}

TEST_CASE("a user who may take locks, but neither renew nor release them, is told so, and gets none",
          "[redis][lock][acl]") {
  RedisServer server;
  server.command({"ACL", "SETUSER", "app", "on", ">hidden", "~{t:*", "-@all", "+auth", "+ping",
                  "+cluster|slots", "+eval", "+set", "+get", "+del", "+pexpire"});
  RedisLockOptions options = options_for("t", Duration(300));
  options.connection.user = "app";
  options.connection.password = "hidden";
  RedisLock lock(server.uri(), options);
  const auto refused = [&] {
    try {
      (void)lock.acquire(key, at_once);
    } catch (const Error& error) {
      CHECK_THAT(error.what(), support::contains("EVAL, SET, GET, PEXPIRE and DEL"));
      return error.code() == errc::invalid_options;
    }
    return false;
  };
  const std::string command = GENERATE("get", "pexpire", "del", "eval");
  CAPTURE(command);
  SECTION("from the start") {
    server.command({"ACL", "SETUSER", "app", "-" + command});
    CHECK(refused());
    CHECK(refused());
    CHECK(server.command({"EXISTS", name_of("t")}).integer == 0);
    server.command({"ACL", "SETUSER", "app", "+" + command});
    CHECK(lock.acquire(key, at_once).has_value());
  }
  SECTION("later") {
    auto hold = lock.acquire(key, at_once);
    REQUIRE(hold.has_value());
    server.command({"ACL", "SETUSER", "app", "-" + command});
    if (command != "del") CHECK(in_time_lost(*hold));
    hold.reset();
    CHECK(refused());
  }
}

TEST_CASE("a lock that is gone is lost at the next renewal, for good, and does not come back",
          "[redis][lock]") {
  auto& server = shared_redis();
  const std::string prefix = RedisServer::fresh_prefix();
  constexpr Duration ttl{2000};
  RedisLock lock(server.uri(), options_for(prefix, ttl));
  auto hold = lock.acquire(key, at_once);
  REQUIRE(hold.has_value());
  const auto taken = detail::boot_now();
  SECTION("deleted") {
    server.command({"DEL", name_of(prefix)});
    CHECK(in_time_lost(*hold));
    CHECK(detail::boot_now() < detail::boot_after(taken, ttl * 9 / 10));  // long before its time is over
    CHECK(server.command({"EXISTS", name_of(prefix)}).integer == 0);
  }
  SECTION("taken by somebody else, whose it stays") {
    server.command({"SET", name_of(prefix), "another", "PX", "100000"});
    CHECK(in_time_lost(*hold));
    CHECK(detail::boot_now() < detail::boot_after(taken, ttl * 9 / 10));  // long before its time is over
    hold.reset();
    CHECK(server.command({"GET", name_of(prefix)}).text == "another");
    CHECK(server.command({"PTTL", name_of(prefix)}).integer > 50'000);
    server.command({"DEL", name_of(prefix)});
  }
}

TEST_CASE("a hold that is renewed outlives its time by far", "[redis][lock]") {
  RedisServer server;
  RedisLock lock(server.uri(), options_for("t", Duration(600))), other(server.uri(), options_for("t"));
  auto hold = lock.acquire(key, at_once);
  auto second = lock.acquire(IdempotencyKey("shop", "order-2"), at_once);
  REQUIRE((hold && second));
  REQUIRE(comes_true([&] { return calls(server, "pexpire") >= 8; }));  // a third of the time each
  CHECK_FALSE(hold->lost());
  CHECK_FALSE(second->lost());
  CHECK_FALSE(other.acquire(key, at_once).has_value());
  hold.reset();
  CHECK(other.acquire(key, at_once).has_value());
}

TEST_CASE("a server that hangs loses the lock when its time is over, and delays nobody for long",
          "[redis][lock]") {
  RedisServer server;
  constexpr Duration ttl{900};
  RedisLock lock(server.uri(), options_for("t", ttl));
  REQUIRE(lock.acquire(IdempotencyKey("connect", "first"), at_once).has_value());
  // The answer to SET takes a while; the time counts from before.
  server.command({"CLIENT", "PAUSE", "150", "WRITE"});
  const auto asked = detail::boot_now();
  auto hold = lock.acquire(key, at_once);
  REQUIRE(hold.has_value());
  CHECK(detail::boot_now() - asked > 100'000'000);
  CHECK_FALSE(hold->lost());
  signal_all(server, SIGSTOP);
  const auto surely_over = detail::boot_after(asked, ttl + Duration(75));
  bool lost = false;
  detail::BootTime before = 0;
  while (!lost && before < surely_over) {
    before = detail::boot_now();
    lost = hold->lost();
  }
  CHECK(lost);

  const auto releasing = std::chrono::steady_clock::now();
  hold.reset();
  CHECK(std::chrono::steady_clock::now() - releasing < std::chrono::seconds(3));
  CHECK_THROWS_MATCHES(lock.acquire(key, at_once), Error, support::has_code<Error>(errc::lock_unavailable));
  signal_all(server, SIGCONT);
  CHECK(calls(server, "set") == 3);  // who has waited in vain does not ask again
}

TEST_CASE("a release waits half a second for its answer at most", "[redis][lock]") {
  RedisServer server;
  RedisLock lock(server.uri(), options_for("t"));
  auto hold = lock.acquire(key, at_once);
  REQUIRE(hold.has_value());
  server.command({"CLIENT", "PAUSE", "5000", "WRITE"});
  const auto releasing = std::chrono::steady_clock::now();
  hold.reset();
  CHECK(std::chrono::steady_clock::now() - releasing < std::chrono::milliseconds(3'000));
}

TEST_CASE("the time of a lock counts from before it was asked for, less what clocks may differ by",
          "[redis][lock]") {
  CHECK(detail::lock_end(5, Duration(30'000)) == 5 + 30'000'000'000 - 1'000'000 - 6'000'000);
}

TEST_CASE("a renewal whose answer comes too late revives nothing", "[redis][lock]") {
  RedisServer server({{"hz", "500"}});  // how often it looks whether a pause is over
  RedisLock lock(server.uri(), options_for("t", Duration(900)));
  std::optional<RedisLock::Hold> hold;
  int renewed = 0;
  // Renewals are sent after 300 ms, and, as that one is not answered within 300 ms, after 675: one that is
  // answered after 900 is late, and given up after 975. On a machine that is busy it may have been.
  for (int tries = 0; renewed == 0; ++tries) {
    REQUIRE(tries < 20);
    hold.reset();
    server.command({"DEL", name_of("t")});
    const auto asked = std::chrono::steady_clock::now();
    hold = lock.acquire(key, long_enough);
    REQUIRE(hold.has_value());
    server.command({"PERSIST", name_of("t")});  // as if the server's clock went slower than ours
    const int before = calls(server, "pexpire");
    const auto passed = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - asked);
    if (passed > Duration(250)) continue;
    server.command({"CLIENT", "PAUSE", std::to_string((Duration(930) - passed).count()), "WRITE"});
    server.command({"SET", "is it over", "yes"});  // waits for the end of the pause
    renewed = calls(server, "pexpire") - before;
  }
  const int so_far = calls(server, "pexpire");
  auto next = lock.acquire(IdempotencyKey("shop", "order-2"), at_once);
  REQUIRE(next.has_value());
  REQUIRE(comes_true([&] { return calls(server, "pexpire") > so_far; }));  // it is done with the first
  CHECK(hold->lost());
}

TEST_CASE("a lock whose answer was lost is known by its token", "[redis][lock]") {
  auto& server = shared_redis();
  TcpProxy network(server.port(), Speaks::resp);
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLock lock("redis://127.0.0.1:" + std::to_string(network.port()), options_for(prefix));
  RedisLock other(server.uri(), options_for(prefix));
  REQUIRE(lock.acquire(IdempotencyKey("connect", "first"), at_once).has_value());
  SECTION("executed") { network.arm(Cut::before_reply, "SET"); }
  SECTION("executed, or not yet") { network.arm(Cut::after_request, "SET"); }
  SECTION("not executed") { network.arm(Cut::before_request, "SET"); }
  auto hold = lock.acquire(key, at_once);
  REQUIRE(hold.has_value());
  CHECK(network.hits() == 1);
  CHECK_FALSE(other.acquire(key, at_once).has_value());
  hold.reset();
  CHECK(other.acquire(key, long_enough).has_value());
}

TEST_CASE("a lock that comes late is nobody's, and ends by itself", "[redis][lock]") {
  auto& server = shared_redis();
  TcpProxy network(server.port(), Speaks::resp);
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLockOptions options = options_for(prefix, Duration(300));
  RedisLock lock("redis://127.0.0.1:" + std::to_string(network.port()), options);
  network.arm(Cut::request_held, "SET");
  CHECK_THROWS_MATCHES(lock.acquire(key, at_once), Error, support::has_code<Error>(errc::lock_unavailable));
  network.release();
  REQUIRE(comes_true([&] { return server.command({"EXISTS", name_of(prefix)}).integer == 1; }));
  RedisLock other(server.uri(), options_for(prefix));
  CHECK(other.acquire(key, long_enough).has_value());
}

TEST_CASE("a renewal whose answer was lost is made again", "[redis][lock]") {
  auto& server = shared_redis();
  TcpProxy network(server.port(), Speaks::resp);
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLock lock("redis://127.0.0.1:" + std::to_string(network.port()), options_for(prefix, Duration(600)));
  network.arm(Cut::before_reply, "PEXPIRE");
  auto hold = lock.acquire(key, at_once);
  REQUIRE(hold.has_value());
  REQUIRE(network.await_hit());
  const std::size_t requests = network.requests();
  REQUIRE(comes_true([&] { return network.requests() > requests; }));
  CHECK_FALSE(hold->lost());
}

TEST_CASE("what is lost is not renewed any more", "[redis][lock]") {
  RedisServer server;
  TcpProxy network(server.port(), Speaks::resp);
  RedisLock lock("redis://127.0.0.1:" + std::to_string(network.port()), options_for("t", Duration(300)));
  auto hold = lock.acquire(key, at_once);
  REQUIRE(hold.has_value());
  server.command({"CLIENT", "PAUSE", "5000", "WRITE"});
  CHECK(in_time_lost(*hold));
  const std::size_t requests = network.requests();
  for (int i = 0; i < 4; ++i)  // each waits 100 ms in vain
    CHECK_THROWS_AS(lock.acquire(IdempotencyKey("shop", "order-2"), at_once), Error);
  CHECK(network.requests() <= requests + 4 + 1);  // one may have been under way
}

TEST_CASE("a server that is gone or full is no answer", "[redis][lock]") {
  RedisServer server;
  RedisLock lock(server.uri(), options_for("t"));
  const auto refusal = [&] {
    try {
      (void)lock.acquire(key, long_enough);
    } catch (const Error& error) {
      CHECK_THAT(error.what(), !support::contains("order-1"));
      CHECK_THAT(error.what(), !support::contains(std::to_string(server.port())));
      return static_cast<errc>(error.code().value());
    }
    return errc{};
  };
  SECTION("full") {
    server.command({"CONFIG", "SET", "maxmemory", "1"});
    CHECK(refusal() == errc::lock_unavailable);
  }
  SECTION("gone, while it was held") {
    auto hold = lock.acquire(IdempotencyKey("shop", "order-2"), at_once);
    REQUIRE(hold.has_value());
    server.kill();
    CHECK_FALSE(hold->lost());  // there is time yet to reach it
    CHECK(refusal() == errc::lock_unavailable);
  }
}

TEST_CASE("who waits for another process's lock is let go by interrupt, and served by a release",
          "[redis][lock]") {
  auto& server = shared_redis();
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLock lock(server.uri(), options_for(prefix)), other(server.uri(), options_for(prefix));
  auto held = other.acquire(key, at_once);
  REQUIRE(held.has_value());
  auto waiting = std::async(std::launch::async, [&] { return lock.acquire(key, long_enough).has_value(); });
  SECTION("release") {
    CHECK(waiting.wait_for(Duration(20)) == std::future_status::timeout);
    held.reset();
    CHECK(waiting.get());
  }
  SECTION("interrupt") {
    lock.interrupt();
    CHECK_FALSE(waiting.get());
    held.reset();
    CHECK(lock.acquire(key, long_enough).has_value());
  }
}

TEST_CASE("options of a Redis lock that cannot work are refused", "[redis][lock]") {
  const auto refused = [](RedisLockOptions options) {
    CHECK_THROWS_MATCHES(RedisLock("redis://127.0.0.1", options), Error,
                         support::has_code<Error>(errc::invalid_options));
  };
  refused(options_for("t", Duration(199)));
  refused(options_for("a{b}"));
  RedisLockOptions options;
  options.poll.first = Duration(0);
  refused(options);
  CHECK_THROWS_AS(RedisLock("http://127.0.0.1"), Error);
}

TEST_CASE("an attempt whose lock is gone is told so, and its payment is recorded", "[redis][lock][attempt]") {
  auto& server = shared_redis();
  const std::string prefix = RedisServer::fresh_prefix();
  MemoryStore store;
  IdempotencyGuard guard(store, RedisLock(server.uri(), options_for(prefix, Duration(600))));
  const auto paid = guard.execute(key, fingerprint("a"), [&](Attempt& attempt) {
    CHECK_FALSE(attempt.lease_lost());
    server.command({"DEL", name_of(prefix)});
    CHECK(comes_true([&] { return attempt.lease_lost(); }));
    return succeeded(std::string("paid"));
  });
  CHECK(paid.response() == "paid");
}

TEST_CASE("a thread that is cancelled while it releases does so first", "[redis][lock]") {
  auto& server = shared_redis();
  const std::string prefix = RedisServer::fresh_prefix();
  RedisLock lock(server.uri(), options_for(prefix));
  bool released = false;
  std::thread([&] {
    auto hold = lock.acquire(key, at_once);
    ::pthread_cancel(::pthread_self());
    hold.reset();
    released = true;
    ::pthread_testcancel();
  }).join();
  CHECK(released);
  CHECK(server.command({"EXISTS", name_of(prefix)}).integer == 0);
}

#ifndef PAIDONCE_UNDER_TSAN  // which has no fork of several threads
TEST_CASE("a forked child has no part in a Redis lock", "[redis][lock]") {
  RedisServer server;
  std::optional<RedisLock> lock(std::in_place, server.uri(), options_for("t", Duration(600)));
  auto hold = lock->acquire(key, at_once);
  REQUIRE(hold.has_value());
  server.command({"CLIENT", "PAUSE", "350", "WRITE"});
  REQUIRE(comes_true([&] { return server.info("blocked_clients") == "1"; }));  // a renewal is under way
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::alarm(5);
    int wrong = 1;
    try {
      (void)lock->acquire(IdempotencyKey("shop", "order-2"), at_once);
    } catch (const Error& error) {
      wrong = error.code() != errc::store_forked                                                     ? 2
              : std::string(error.what()).find("open a RedisLock in the child") == std::string::npos ? 3
                                                                                                     : 0;
    }
    lock->interrupt();
    hold.reset();
    lock.reset();
    ::_exit(wrong);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(server.command({"EXISTS", name_of("t")}).integer == 1);
  CHECK_FALSE(hold->lost());
  hold.reset();
  CHECK(comes_true([&] { return server.command({"EXISTS", name_of("t")}).integer == 0; }));
}
#endif
