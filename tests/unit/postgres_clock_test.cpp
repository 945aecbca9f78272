// The server's time, kept on this host.

#include <paidonce/clocks/postgres_clock.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "support/catch.hpp"
#include "support/postgres_server.hpp"
#include "support/tcp_proxy.hpp"

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

}  // namespace

TEST_CASE("a look at the server's clock is right within half its round trip", "[postgres][clock]") {
  const detail::ClockSample sample{1'000, 5'000, 1'700'000'000'000'000};
  CHECK(sample.offset() == 1'700'000'000'000'000'000 - 3'000);
  CHECK(sample.error() == 2'000);
  CHECK(detail::drift_of(5'000'000'000) == 1'000'000);  // a millisecond in five seconds
  CHECK(detail::drift_of(-1) == 0);
}

TEST_CASE("the clock tells the server's time within its bound", "[postgres][clock]") {
  PostgresClock clock(shared_postgres().conninfo());
  const Timestamp before = system_now();
  const Timestamp told = clock.now();
  const Timestamp after = system_now();
  const Duration bound = clock.error_bound() + Duration(1);  // both are cut to milliseconds
  CHECK(told >= before - bound);
  CHECK(told <= after + bound);
  CHECK(clock.stats().measurements == 1);
  CHECK(clock.stats().failed_in_a_row == 0);
}

TEST_CASE("the clock measures again by itself, and goes on without its server", "[postgres][clock]") {
  TcpProxy network(shared_postgres().port());
  PostgresClockOptions options;
  options.interval = Duration(5);
  options.connect_timeout = Duration(200);
  options.statement_timeout = Duration(200);
  PostgresClock first(network.conninfo(shared_postgres().conninfo()), options);
  PostgresClock clock(std::move(first));
  REQUIRE(comes_true([&] { return clock.stats().measurements >= 3; }));

  network.refuse();
  network.cut_all();
  REQUIRE(comes_true([&] { return clock.stats().failed_in_a_row >= 2; }));
  const auto measured = clock.stats().measurements;
  const Timestamp told = clock.now();
  CHECK(told >= system_now() - Duration(2'000));
  CHECK(told <= system_now() + Duration(2'000));
  CHECK_THROWS_AS(clock.refresh(), Error);
  CHECK(clock.stats().measurements == measured);

  network.accept();
  CHECK(comes_true([&] { return clock.stats().measurements > measured; }));
  CHECK(comes_true([&] { return clock.stats().failed_in_a_row == 0; }));
}

TEST_CASE("a clock whose server never told the time is none", "[postgres][clock]") {
  TcpProxy network(shared_postgres().port());
  network.swallow();
  PostgresClockOptions options;
  options.connect_timeout = Duration(100);
  try {
    PostgresClock clock(network.conninfo(shared_postgres().conninfo()), options);
    FAIL("nobody told it");
  } catch (const Error& error) {
    CHECK(error.code() == errc::store_unavailable);
  }
  options.interval = Duration(0);
  CHECK_THROWS_AS(PostgresClock(shared_postgres().conninfo(), options), Error);
}
