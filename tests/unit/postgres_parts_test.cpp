// What of a PostgresStore needs no server: parameters, connection strings, verdicts on errors and settings,
// the division of batches and pages.

#include <paidonce/retry/reconnect_gate.hpp>
#include <paidonce/stores/postgres/batch.hpp>
#include <paidonce/stores/postgres/connecting.hpp>
#include <paidonce/stores/postgres/hosts.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/scanning.hpp>
#include <paidonce/stores/postgres/server_checks.hpp>

#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace paidonce::detail;
using namespace std::string_view_literals;

namespace {

template <class Body>
errc thrown_by(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return static_cast<errc>(error.code().value());
  }
  return {};
}

}  // namespace

TEST_CASE("integers go out in network order and come back", "[postgres][parameters]") {
  char bytes[8];
  put_network(bytes, std::int64_t{0x0102030405060708});
  CHECK(std::string_view(bytes, 8) == "\1\2\3\4\5\6\7\10");
  put_network(bytes, std::int16_t{-2});
  CHECK(std::string_view(bytes, 2) == "\xff\xfe");
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()}) {
    put_network(bytes, value);
    CHECK(network_to<std::int64_t>(bytes) == value);
  }
}

TEST_CASE("an array has one dimension, and none when it is empty", "[postgres][parameters]") {
  PostgresArray array;
  array.begin(PostgresType::int2, 2);
  array.add(std::int16_t{1});
  array.add(std::int16_t{258});
  CHECK(array.bytes() == "\0\0\0\1\0\0\0\0\0\0\0\25\0\0\0\2\0\0\0\1\0\0\0\2\0\1\0\0\0\2\1\2"sv);
  array.begin(PostgresType::bytes, 1);
  array.add_bytes("a\0b"sv);
  CHECK(array.bytes() == "\0\0\0\1\0\0\0\0\0\0\0\21\0\0\0\1\0\0\0\1\0\0\0\3a\0b"sv);
  array.begin(PostgresType::int8, 0);
  CHECK(array.bytes() == "\0\0\0\0\0\0\0\0\0\0\0\24"sv);
}

TEST_CASE("empty bytes are no NULL", "[postgres][parameters]") {
  PostgresParameters parameters;
  parameters.bytes(std::string_view());
  parameters.integer(std::int64_t{7});
  REQUIRE(parameters.count() == 2);
  CHECK(parameters.values()[0] != nullptr);
  CHECK(parameters.lengths()[0] == 0);
  CHECK(std::string_view(parameters.values()[1], 8) == "\0\0\0\0\0\0\0\7"sv);
}

TEST_CASE("each host of a connection string gets its own port", "[postgres][hosts]") {
  using Hosts = std::vector<PostgresHost>;
  CHECK(hosts_of("") == Hosts{{}});
  CHECK(hosts_of("host=a dbname=shop") == Hosts{{"a", "", ""}});
  CHECK(hosts_of("host=a,b port=1,2") == Hosts{{"a", "", "1"}, {"b", "", "2"}});
  CHECK(hosts_of("postgresql://a,b:2/shop") == Hosts{{"a", "", ""}, {"b", "", "2"}});
  CHECK(hosts_of("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=7") ==
        Hosts{{"a", "10.0.0.1", "7"}, {"b", "10.0.0.2", "7"}});
  CHECK(thrown_by([] { hosts_of("host=a,b,c port=1,2"); }) == errc::invalid_options);
  CHECK(thrown_by([] { hosts_of("host=a,b hostaddr=10.0.0.1"); }) == errc::invalid_options);
}

TEST_CASE("a connection string that cannot be read is not told", "[postgres][hosts]") {
  try {
    hosts_of("password=hush host");
    FAIL("it was read");
  } catch (const Error& error) {
    CHECK(error.code() == errc::invalid_options);
    CHECK(std::string(error.what()).find("hush") == std::string::npos);
  }
}

TEST_CASE("what undid a statement says what becomes of it", "[postgres][failure]") {
  for (const char* state : {"40001", "40P01"}) CHECK(verdict_of(state) == PostgresVerdict::repeat);
  CHECK(verdict_of("55P03") == PostgresVerdict::locked);
  for (const char* state : {"57P01", "57P02", "57P03", "08006", "25006", "26000"})
    CHECK(verdict_of(state) == PostgresVerdict::leave);
  for (const char* state : {"23514", "P0001", "42501", "53100", "57014"})
    CHECK(verdict_of(state) == PostgresVerdict::refuse);
}

TEST_CASE("an error of the server has a code, its SQLSTATE, and no text of the server",
          "[postgres][failure]") {
  const auto code = [](const char* state) {
    const Error error = postgres_error(state);
    CHECK(std::string(error.what()).find(state) != std::string::npos);
    return static_cast<errc>(error.code().value());
  };
  CHECK(code("40001") == errc::store_busy);
  CHECK(code("55P03") == errc::store_busy);
  CHECK(code("53100") == errc::store_full);
  CHECK(code("42501") == errc::invalid_options);
  CHECK(code("42P01") == errc::invalid_options);
  CHECK(code("25006") == errc::store_unavailable);
  CHECK(code("57P01") == errc::store_unavailable);
  CHECK(code("P0001") == errc::store_unavailable);
}

TEST_CASE("a failure to connect is told in fixed words", "[postgres][failure]") {
  const auto text = [](const char* message) { return std::string(connect_error(message).what()); };
  const std::string refused = text(
      "connection to server at \"db.internal\", port 5432 failed: FATAL:  28P01: "
      "password authentication failed for user \"payments\"");
  CHECK(refused.find("refused user or password") != std::string::npos);
  CHECK(refused.find("internal") == std::string::npos);
  CHECK(refused.find("payments\"") == std::string::npos);
  CHECK(text("FATAL:  53300: zu viele").find("max_connections") != std::string::npos);
  CHECK(text("Connection refused").find("could not be reached") != std::string::npos);
  CHECK(text("SSL error: certificate verify failed").find("TLS") != std::string::npos);
  CHECK(text("received invalid response to SSL negotiation: H").find("no PostgreSQL") != std::string::npos);
  // Gone in the middle of the handshake, as when it restarts: worth waiting for.
  CHECK(connect_failure("SSL SYSCALL error: EOF detected").outage);
  CHECK(connect_failure("server closed the connection unexpectedly").outage);
  CHECK_FALSE(connect_failure("SSL error: certificate verify failed").outage);
}

TEST_CASE("a server that forgets is refused, unless that is accepted", "[postgres][checks]") {
  const PostgresServerFacts good{150'000, "on", "on", "on", "off", "f"};
  const auto check = [](PostgresServerFacts facts, UnsafeConfig unsafe) {
    return thrown_by([&] { check_server(facts, unsafe); });
  };
  CHECK(check(good, UnsafeConfig::refuse) == errc{});
  for (const auto setting : {&PostgresServerFacts::fsync, &PostgresServerFacts::full_page_writes,
                             &PostgresServerFacts::synchronous_commit}) {
    PostgresServerFacts facts = good;
    facts.*setting = "off";
    CHECK(check(facts, UnsafeConfig::refuse) == errc::unsafe_config);
    CHECK(check(facts, UnsafeConfig::accept) == errc{});
  }
  for (const char* level : {"local", "remote_write", "remote_apply"}) {
    PostgresServerFacts facts = good;
    facts.synchronous_commit = level;
    CHECK(check(facts, UnsafeConfig::refuse) == errc{});
  }
  PostgresServerFacts standby = good, read_only = good, old = good;
  standby.recovery = "t";
  read_only.read_only = "on";
  old.version = 120'015;
  CHECK(check(standby, UnsafeConfig::accept) == errc::store_unavailable);
  CHECK(check(read_only, UnsafeConfig::accept) == errc::store_unavailable);
  CHECK(check(old, UnsafeConfig::accept) == errc::unsupported_format);
}

TEST_CASE("options that cannot work are refused", "[postgres][options]") {
  const auto check = [](auto change) {
    PostgresStoreOptions options;
    change(options);
    return thrown_by([&] { checked(options); });
  };
  CHECK(check([](auto&) {}) == errc{});
  for (const char* schema : {"", "Shop", "a-b", "1a", "pg_x", "a\"; DROP TABLE b; --"})
    CHECK(check([&](auto& o) { o.schema = schema; }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.schema = std::string(64, 'a'); }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.lanes = 0; }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.max_batch = 0; }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.connections = 0; }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.connect_timeout = Duration(0); }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.statement_timeout = Duration(-1); }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.lock_timeout = o.statement_timeout; }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.max_record_bytes = 0; }) == errc::invalid_options);
  CHECK(check([](auto& o) { o.reconnect.first = Duration(0); }) == errc::invalid_options);
}

TEST_CASE("a record that is too long is refused before it is sent", "[postgres][options]") {
  PostgresStoreOptions options;
  options.max_record_bytes = 100;
  Record record;
  record.response.assign(60, 'r');
  record.checkpoint.assign(40, 'c');
  CHECK(thrown_by([&] { check_size(options, record); }) == errc{});
  record.checkpoint += 'c';
  CHECK(thrown_by([&] { check_size(options, record); }) == errc::store_full);
}

TEST_CASE("a batch is divided by its bytes, and one of any size goes alone", "[postgres][batch]") {
  Record small, large;
  large.response.assign(700'000, 'r');
  std::deque<PostgresOperation> operations;
  const auto length = [&](std::vector<const Record*> records) {
    operations.clear();
    std::vector<PostgresOperation*> batch;
    for (const Record* record : records)
      batch.push_back(
          &operations.emplace_back(PostgresOperation::Kind::insert, IdempotencyKey("s", "k"), record));
    return pipeline_length(batch);
  };
  CHECK(length({&small, &small, &small}) == 3);
  CHECK(length({&large}) == 1);
  CHECK(length({&small, &large, &small, &large, &small}) == 3);
  large.response.assign(5'000'000, 'r');
  CHECK(length({&large, &small}) == 1);
  CHECK(length({&small, &large}) == 1);
}

TEST_CASE("pages are of about a megabyte", "[postgres][scan]") {
  CHECK(next_page_size(0, 0) == 64);
  CHECK(next_page_size(64, 64 * 300) == 1000);
  CHECK(next_page_size(64, 64 * 10'000) == 104);
  CHECK(next_page_size(4, 4 << 20) == 4);
}

TEST_CASE("only what is unfinished has the small index", "[postgres][scan]") {
  CHECK(only_unfinished({.states = {State::in_doubt}}));
  CHECK(only_unfinished({.states = {State::in_progress, State::in_doubt}}));
  CHECK_FALSE(only_unfinished({.states = {State::in_progress, State::succeeded}}));
  CHECK_FALSE(only_unfinished({}));
}

TEST_CASE("while the server is out of reach, callers fail at once and one tries now and then",
          "[postgres][reconnect]") {
  ReconnectGate gate({Duration(60'000), Duration(60'000), Jitter::none}, Duration(1));
  gate.enter();
  gate.failed();
  const auto begun = std::chrono::steady_clock::now();
  CHECK(thrown_by([&] { gate.enter(); }) == errc::store_unavailable);
  CHECK(thrown_by([&] { gate.enter(); }) == errc::store_unavailable);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(30));
  CHECK(gate.failures() == 1);
  gate.succeeded();
  gate.enter();
  CHECK(gate.failures() == 0);
}

TEST_CASE("at the beginning of an outage, callers wait for its end", "[postgres][reconnect]") {
  ReconnectGate gate({Duration(1), Duration(1), Jitter::none}, Duration(60'000));
  gate.enter();
  gate.failed();
  gate.enter();  // after the pause
  gate.failed();
  CHECK(gate.failures() == 2);
  gate.enter();
  gate.succeeded();
  CHECK(gate.failures() == 0);
}
