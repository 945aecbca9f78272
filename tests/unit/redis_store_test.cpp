// RedisStore on real servers: what it costs, what it refuses, how long servers keep what it writes, and what
// it does when they forget, are full, or do not answer.

#include <paidonce/clocks/redis_clock.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/locks/redis_lock.hpp>
#include <paidonce/redis/client.hpp>
#include <paidonce/stores/redis.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/tcp_proxy.hpp"

using namespace paidonce;

namespace {

using Steady = std::chrono::steady_clock;

IdempotencyKey key(const std::string& text) { return IdempotencyKey("shop", text); }

Record begun(Version version = 1, std::uint64_t attempt = 1) {
  Record record;
  record.fingerprint = fingerprint(1);
  record.version = version;
  record.attempt_id = attempt;
  record.attempts = 1;
  record.created_at = record.updated_at = Timestamp(Duration(1'700'000'000'000));
  return record;
}

Record paid(Version version, Duration retention = std::chrono::hours(1)) {
  Record record = begun(version);
  record.state = State::succeeded;
  record.response = "receipt";
  record.response_format = "text";
  record.expires_at = record.updated_at + retention;
  return record;
}

template <class Body>
errc thrown_by(Body body) {
  try {
    body();
  } catch (const Error& error) {
    UNSCOPED_INFO(error.what());
    return static_cast<errc>(error.code().value());
  }
  return {};
}

template <class Body>
std::string told_by(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

template <class Condition>
bool comes_true(Condition condition) {
  for (const auto until = Steady::now() + std::chrono::seconds(10); Steady::now() < until;
       std::this_thread::yield())
    if (condition()) return true;
  return false;
}

PaymentResult<std::string> pay(Attempt&) { return succeeded(std::string("receipt")); }

/// A server of its own, whose settings and memory a test may change.
struct Shop {
  RedisServer server;
  RedisStoreOptions options = [] {
    RedisStoreOptions chosen;
    chosen.check_interval = Duration(1);
    chosen.connection.connect_timeout = Duration(2000);
    chosen.connection.reconnect = {Duration(1), Duration(20), Jitter::equal};
    return chosen;
  }();

  RedisStore open() { return RedisStore(server.uri(), options); }
  void set(const std::string& name, const std::string& value) {
    server.command({"CONFIG", "SET", name, value});
  }

  /// "calls" of a command.
  long calls(const std::string& command) const {
    const std::string text = server.command({"INFO", "commandstats"}).text;
    const std::string from = "cmdstat_" + command + ":calls=";
    const std::size_t at = text.find(from);
    return at == text.npos ? 0 : std::atol(text.c_str() + at + from.size());
  }
  std::string name(const std::string& text) const {
    const detail::RedisTags tags(options.prefix);
    const IdempotencyKey of = key(text);
    return tags.of(of.bytes()).records + std::string(of.bytes());
  }
  detail::RedisTag tag(const std::string& text) const {
    return detail::RedisTags(options.prefix).of(key(text).bytes());
  }
  long long time_to_live(const std::string& text) const {
    return server.command({"PTTL", name(text)}).integer;
  }
};

/// Texts that share a tag.
std::vector<std::string> texts_of_one_tag(std::size_t count) {
  std::vector<std::string> texts;
  for (int number = 0; texts.size() < count; ++number) {
    std::string text = "same-" + std::to_string(number);
    if (detail::redis_tag(key(text).bytes()) == 5) texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace

TEST_CASE("a new payment is two round trips to Redis, a replay one", "[redis][cost]") {
  Shop shop;
  shop.options.check_interval = std::chrono::hours(1);
  RedisStore store = shop.open();
  IdempotencyGuard guard{store};
  struct Cost {
    long scripts, round_trips, reads, writes;
  };
  const auto total = [&]() -> Cost {
    return {shop.calls("evalsha"), static_cast<long>(store.stats().batches),
            shop.calls("get") + shop.calls("getrange") + shop.calls("zrangebyscore") + shop.calls("exists"),
            shop.calls("set")};
  };
  const auto cost = [&](auto body) -> Cost {
    const Cost before = total();
    body();
    const Cost after = total();
    return {after.scripts - before.scripts, after.round_trips - before.round_trips,
            after.reads - before.reads, after.writes - before.writes};
  };
  const Cost payment = cost([&] { CHECK(guard.execute(key("hot"), fingerprint(1), pay).succeeded()); });
  CHECK(payment.scripts == 2);
  CHECK(payment.round_trips == 2);
  CHECK(payment.reads >= 2);  // by the scripts
  CHECK(payment.reads <= 4);
  CHECK(payment.writes == 2);
  const Cost replay = cost([&] { CHECK(guard.execute(key("hot"), fingerprint(1), pay).replayed()); });
  CHECK(replay.scripts == 1);
  CHECK(replay.round_trips == 1);
  CHECK(replay.reads == 1);
  CHECK(replay.writes == 0);
}

TEST_CASE("operations of many callers travel together", "[redis][cost]") {
  RedisStoreOptions options;
  options.prefix = RedisServer::fresh_prefix("together");
  options.lanes = 1;
  RedisStore store(shared_redis().uri(), options);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 16; ++caller)
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 50; ++i)
        store.insert(key(std::to_string(caller) + "-" + std::to_string(i)), begun());
    });
  for (std::thread& caller : callers) caller.join();
  const RedisStoreStats stats = store.stats();
  CHECK(stats.operations == 800);
  CHECK(stats.batches < 800);
  std::size_t seen = 0;
  store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++seen, true; });
  CHECK(seen == 800);
}

TEST_CASE("a scan of what is unfinished does not look at what is done", "[redis][scan][cost]") {
  Shop shop;
  shop.options.check_interval = std::chrono::hours(1);
  RedisStore store = shop.open();
  for (int i = 0; i < 300; ++i) store.insert(key("done-" + std::to_string(i)), paid(1));
  store.insert(key("open"), begun());
  const long before = shop.calls("get");
  std::size_t seen = 0;
  store.scan({.states = {State::in_progress, State::in_doubt}},
             [&](const IdempotencyKey&, const Record&) { return ++seen, true; });
  CHECK(seen == 1);
  CHECK(shop.calls("get") - before == 1);
  CHECK(shop.calls("zrange") == 0);
}

TEST_CASE("what is unfinished stays, and what is done goes when its time is over", "[redis][ttl]") {
  Shop shop;
  RedisStore store = shop.open();
  CHECK_FALSE(store.insert(key("a"), begun(1)));
  CHECK(shop.time_to_live("a") == -1);
  CHECK(store.replace(key("a"), 1, paid(2, Duration(500'000))));
  CHECK(shop.time_to_live("a") > 500'000);  // whatever year its times are of
  CHECK(shop.time_to_live("a") <= 560'000);
  CHECK(store.replace(key("a"), 2, begun(3, 2)));
  CHECK(shop.time_to_live("a") == -1);  // begun anew
  Record released = begun(4);
  released.state = State::released;
  CHECK(store.replace(key("a"), 3, released));
  CHECK(shop.time_to_live("a") > 0);
  released.version = 5;
  released.checkpoint = "half";
  CHECK(store.replace(key("a"), 4, released));
  CHECK(shop.time_to_live("a") == -1);
  CHECK(shop.server.command({"ZCARD", shop.tag("a").open}).integer == 1);
  CHECK(shop.server.command({"ZCARD", shop.tag("a").done}).integer == 0);
}

TEST_CASE("entries of records that expired by themselves are taken out by those who write and scan",
          "[redis][ttl]") {
  Shop shop;
  shop.options.expiry_grace = Duration(1);
  RedisStore store = shop.open();
  const std::vector<std::string> texts = texts_of_one_tag(20);
  constexpr std::size_t gone = 18;
  const auto entries = [&] { return shop.server.command({"ZCARD", shop.tag(texts[0]).done}).integer; };
  Record over = paid(1, Duration(0));
  over.attempt_id = 1;
  for (std::size_t i = 0; i < gone; ++i) store.insert(key(texts[i]), over);
  REQUIRE(comes_true([&] {
    for (std::size_t i = 0; i < gone; ++i)
      if (store.find(key(texts[i]))) return false;
    return true;
  }));
  CHECK(entries() == gone);
  Record later = begun();
  later.updated_at += std::chrono::hours(1);
  later.attempt_id = 8;  // one of eight looks
  store.insert(key(texts[gone]), later);
  CHECK(entries() == 2);
  later.attempt_id = 9;
  store.insert(key(texts[gone + 1]), later);
  CHECK(entries() == 2);
  std::size_t seen = 0;
  store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++seen, true; });
  CHECK(seen == 2);
  CHECK(entries() == 0);
  CHECK(store.stats().lost_writes == 0);
}

TEST_CASE("a sweep believes a record, not the index", "[redis][sweep]") {
  Shop shop;
  RedisStore store = shop.open();
  store.insert(key("open"), begun());
  store.insert(key("later"), paid(1));
  Record doubtful = begun();
  doubtful.state = State::in_doubt;
  store.insert(key("doubtful"), doubtful);
  for (const char* const text : {"open", "later", "doubtful"}) {
    const IdempotencyKey of = key(text);
    shop.server.command({"ZADD", shop.tag(text).done, "0", std::string(of.bytes())});
  }
  CHECK(store.erase_expired(paid(1).expires_at - Duration(1), 10) == 0);
  CHECK(store.find(key("later")) == paid(1));
  CHECK(store.erase_expired(paid(1).expires_at, 10) == 1);
  CHECK_FALSE(store.find(key("later")));
  CHECK(store.find(key("open")) == begun());
  CHECK(store.find(key("doubtful")) == doubtful);
}

TEST_CASE("a server that is not trusted any more is asked anew before its next use", "[redis][connections]") {
  const RedisOptions options;
  const detail::RedisAddress address = detail::redis_address(shared_redis().uri(), options);
  int checks = 0;
  detail::RedisConnector connector(address.endpoints.front(), address, options,
                                   [&](detail::RedisConnection&) { ++checks; });
  detail::RedisSlot slot;
  connector.ready(slot);
  const int descriptor = connector.ready(slot).native()->fd;
  CHECK((::fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);  // what is started has no part in it
  CHECK(checks == 1);
  connector.distrust();
  connector.ready(slot);
  connector.ready(slot);
  CHECK(checks == 2);
}

TEST_CASE("an unfinished record that somebody took away is told of", "[redis][scan]") {
  Shop shop;
  RedisStore store = shop.open();
  const auto visit = [](const IdempotencyKey&, const Record&) { return true; };
  store.scan({}, visit);  // has a connection from now on
  store.insert(key("evicted"), begun());
  shop.server.command({"DEL", shop.name("evicted")});
  store.scan({}, visit);
  CHECK(store.stats().lost_writes == 1);
}

TEST_CASE("servers whose settings forget are refused", "[redis][unsafe]") {
  Shop shop;
  const auto opened = [&] { return thrown_by([&] { shop.open(); }); };
  CHECK(opened() == errc{});
  shop.set("maxmemory-policy", "allkeys-lru");
  CHECK(opened() == errc::unsafe_config);
  shop.set("maxmemory-policy", "noeviction");
  shop.options.fsync = Fsync::always;
  CHECK(opened() == errc{});
  shop.set("appendfsync", "everysec");
  CHECK(opened() == errc::unsafe_config);
  shop.options.fsync = Fsync::every_second;
  CHECK(opened() == errc{});
  shop.set("no-appendfsync-on-rewrite", "yes");
  CHECK(opened() == errc::unsafe_config);
  shop.set("no-appendfsync-on-rewrite", "no");
  shop.set("appendfsync", "no");
  CHECK(opened() == errc::unsafe_config);
  shop.set("appendonly", "no");
  CHECK(opened() == errc::unsafe_config);
  shop.options.fsync = Fsync::unchecked;
  CHECK(opened() == errc{});
  shop.set("maxmemory-policy", "volatile-ttl");
  CHECK(opened() == errc::unsafe_config);
  shop.options.unsafe = UnsafeConfig::accept;
  CHECK(opened() == errc{});
}

TEST_CASE("a user who may not run CONFIG has a store all the same, unless every write is to be synced",
          "[redis][unsafe]") {
  Shop shop;
  shop.server.command({"ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-config"});
  shop.options.connection.user = "app";
  shop.options.connection.password = "secret";
  CHECK(thrown_by([&] { shop.open(); }) == errc{});
  shop.options.fsync = Fsync::always;
  CHECK(thrown_by([&] { shop.open(); }) == errc::unsafe_config);
  shop.server.command({"ACL", "SETUSER", "app", "-info"});
  shop.options.fsync = Fsync::unchecked;
  CHECK(thrown_by([&] { shop.open(); }) == errc::unsafe_config);
  shop.server.command({"ACL", "SETUSER", "app", "+info", "-script"});
  CHECK(thrown_by([&] { shop.open(); }) == errc::invalid_options);
  shop.options.connection.password = "wrong";
  CHECK(thrown_by([&] { shop.open(); }) == errc::invalid_options);
  shop.set("requirepass", "secret");
  shop.options.connection.user = shop.options.connection.password = "";
  CHECK(thrown_by([&] { shop.open(); }) == errc::invalid_options);
}

TEST_CASE("the user of the page may do what a store does, and no more", "[redis][acl]") {
  std::ifstream page(PAIDONCE_DOCS "/stores/redis.md");
  std::string line;
  while (std::getline(page, line) && !line.starts_with("user payments ")) {
  }
  REQUIRE(page);
  Shop shop;
  shop.server.stop();
  shop.server.start({{"user", line.substr(5)}});
  shop.options.fsync = Fsync::always;
  shop.options.wait_replicas = 1;
  shop.options.wait_timeout = Duration(5'000);
  shop.options.connection.reply_timeout = Duration(10'000);
  RedisServer replica;
  replica.replica_of(shop.server);
  shop.options.connection.user = "payments";
  shop.options.connection.password = "secret";
  shop.options.prefix = "payments";
  shop.options.expiry_grace = Duration(1);
  shop.options.connection.idle_check = Duration(1);
  RedisStore store = shop.open();
  const auto none = [](const IdempotencyKey&, const Record&) { return true; };
  CHECK_FALSE(store.insert(key("a"), begun(1)));
  CHECK(store.replace(key("a"), 1, paid(2)));
  CHECK_FALSE(store.insert(key("soon over"), paid(1, Duration(0))));
  CHECK(comes_true([&] { return !store.find(key("soon over")); }));
  store.scan({}, none);
  store.scan({.states = {State::in_doubt}}, none);
  CHECK(store.erase_expired(Timestamp(Duration(1'800'000'000'000)), 10) == 1);
  const RedisOptions connection = shop.options.connection;
  RedisLock lock(shop.server.uri(), {.connection = connection, .prefix = "payments"});
  CHECK(lock.acquire(key("a"), Duration(0)));
  RedisClock(shop.server.uri(), {.connection = connection});
  shop.options.prefix = "others";
  RedisStore forbidden = shop.open();
  CHECK(thrown_by([&] { forbidden.find(key("a")); }) == errc::invalid_options);
  CHECK(thrown_by([&] { forbidden.insert(key("a"), begun()); }) == errc::invalid_options);
  shop.server.command({"ACL", "SETUSER", "payments", "-get", "-script", "-time"});
  CHECK_THAT(told_by([&] { store.find(key("a")); }), support::contains("run GET: check its ACL (NOPERM)"));
  CHECK_THAT(told_by([&] { shop.open(); }), support::contains("run SCRIPT LOAD: "));
  CHECK_THAT(told_by([&] { RedisClock(shop.server.uri(), {.connection = connection}); }),
             support::contains("run TIME: "));
}

TEST_CASE("nothing begins on a server that became unsafe, and all that has begun may end",
          "[redis][unsafe]") {
  Shop shop;
  RedisStore store = shop.open();
  store.insert(key("running"), begun(1, 7));
  store.insert(key("over"), paid(1));
  shop.set("maxmemory-policy", "allkeys-lru");
  int tries = 0;
  REQUIRE(comes_true([&] {  // the next look rides along with a call
    return thrown_by([&] { store.insert(key("new" + std::to_string(++tries)), begun()); }) ==
           errc::unsafe_config;
  }));
  const auto refused = [&](auto body) { return thrown_by(body) == errc::unsafe_config; };
  CHECK(refused([&] { store.insert(key("another"), begun()); }));
  CHECK_FALSE(store.find(key("another")));
  CHECK(refused([&] { store.replace(key("over"), 1, begun(2, 8)); }));  // anew
  CHECK(store.find(key("over")) == paid(1));
  CHECK(store.insert(key("over"), begun()) == paid(1));  // a replay
  CHECK(store.replace(key("running"), 1, begun(2, 7)));  // a heartbeat
  CHECK(store.replace(key("running"), 2, paid(3)));      // its end
  CHECK(thrown_by([&] { shop.open(); }) == errc::unsafe_config);
  const auto drop = [&] { shop.server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}); };
  drop();
  CHECK(store.find(key("running")) == paid(3));  // connected anew, unsafe as it is
  CHECK(refused([&] { store.insert(key("another"), begun()); }));
  shop.set("maxmemory-policy", "noeviction");
  CHECK(comes_true([&] { return thrown_by([&] { store.insert(key("another"), begun()); }) == errc{}; }));
}

TEST_CASE("a server that restarts without its log is found out before it serves anything", "[redis][lost]") {
  Shop shop;
  RedisStore store = shop.open();
  store.insert(key("running"), begun(1));
  store.insert(key("last"), begun(1));
  store.replace(key("last"), 1, paid(2));
  SECTION("nothing was lost") {
    shop.server.kill();
    shop.server.start();
    CHECK(store.find(key("last")) == paid(2));
    CHECK_FALSE(store.insert(key("next"), begun()));
    CHECK(store.stats().lost_writes == 0);
  }
  SECTION("all was lost") {
    shop.server.kill();
    std::filesystem::remove_all(shop.server.directory() / "appendonlydir");
    shop.server.start();
    CHECK(thrown_by([&] { store.insert(key("last"), begun()); }) == errc::store_replaced);
    CHECK_FALSE(store.find(key("last")));
    CHECK(store.stats().lost_writes == 2);
    CHECK_FALSE(store.replace(key("running"), 1, paid(2)));  // tried
    RedisStore anew = shop.open();
    CHECK_FALSE(anew.insert(key("next"), begun()));
    CHECK(store.insert(key("next"), begun()) == begun());
    CHECK(thrown_by([&] { store.insert(key("more"), begun()); }) == errc::store_replaced);
    CHECK(store.stats().lost_writes == 2);  // each once
  }
}

TEST_CASE("a server that is emptied under its connections begins nothing again", "[redis][lost]") {
  Shop shop;
  RedisStore store = shop.open();
  IdempotencyGuard guard{store};
  int charged = 0;
  const auto charge = [&]() -> PaymentResult<std::string> { return ++charged, succeeded(std::string("r")); };
  REQUIRE(guard.execute(key("order"), fingerprint(1), charge).succeeded());
  shop.server.command({"FLUSHALL"});
  CHECK(thrown_by([&] { (void)guard.execute(key("order"), fingerprint(1), charge); }) ==
        errc::store_replaced);
  CHECK(charged == 1);
  CHECK(store.stats().lost_writes == 1);
}

TEST_CASE("a write that an insert asks for may have been swept or followed, or be elsewhere",
          "[redis][lost]") {
  Shop shop;
  RedisStore store = shop.open(), other = shop.open();
  const std::vector<std::string> texts = texts_of_one_tag(3);
  SECTION("swept") {
    store.insert(key(texts[0]), paid(2, Duration(1)));
    CHECK(other.erase_expired(Timestamp(Duration(1'800'000'000'000)), 10) == 1);
  }
  SECTION("followed") {
    store.insert(key(texts[0]), begun(2));
    CHECK(other.replace(key(texts[0]), 2, paid(3)));
  }
  SECTION("of another type") {  // whoever did that is told by other calls
    store.insert(key(texts[0]), begun(2));
    shop.server.command({"DEL", shop.name(texts[0])});
    shop.server.command({"LPUSH", shop.name(texts[0]), "x"});
  }
  CHECK_FALSE(store.insert(key(texts[1]), begun()));
  CHECK(store.stats().lost_writes == 0);
}

TEST_CASE("a record that expired while an insert was under way is not missed", "[redis][lost][ttl]") {
  Shop shop;
  shop.options.expiry_grace = Duration(100);
  shop.options.check_interval = std::chrono::hours(1);
  TcpProxy proxy(shop.server.port(), Speaks::resp);
  RedisStore store("redis://127.0.0.1:" + std::to_string(proxy.port()), shop.options);
  const std::vector<std::string> texts = texts_of_one_tag(2);
  store.insert(key(texts[0]), paid(2, Duration(0)));
  proxy.arm(Cut::request_held, "EVALSHA");
  std::thread inserts([&] { CHECK_FALSE(store.insert(key(texts[1]), begun())); });
  CHECK(proxy.await_hit());
  CHECK(comes_true([&] { return shop.server.command({"EXISTS", shop.name(texts[0])}).integer == 0; }));
  proxy.release();
  inserts.join();
  CHECK(store.stats().lost_writes == 0);
  CHECK(shop.calls("evalsha") == 3);
}

TEST_CASE("what a sweep took is not missed", "[redis][lost]") {
  Shop shop;
  RedisStore store = shop.open(), other = shop.open();
  store.insert(key("short"), begun(1));
  store.replace(key("short"), 1, paid(2, Duration(1)));
  CHECK(other.erase_expired(Timestamp(Duration(1'800'000'000'000)), 10) == 1);
  shop.server.kill();
  shop.server.start();
  CHECK_FALSE(store.insert(key("next"), begun()));
  CHECK(store.stats().lost_writes == 0);
}

TEST_CASE("a replica that took over too early is found out", "[redis][lost][replica]") {
  Shop shop;
  RedisServer replica;
  replica.replica_of(shop.server);
  // A name that leads to whoever is the master, as a managed service has.
  int port = shop.server.port();
  shop.options.connection.connect = [&](const RedisEndpoint&, Duration timeout) {
    return detail::connect_plainly({"127.0.0.1", port}, timeout);
  };
  RedisStore store = shop.open();
  store.insert(key("kept"), begun(1));
  REQUIRE(comes_true([&] { return replica.command({"EXISTS", shop.name("kept")}).integer == 1; }));
  replica.promote();
  store.insert(key("lost"), begun(1));  // of the old master, which does not know
  shop.server.kill();
  port = replica.port();
  CHECK(thrown_by([&] { store.insert(key("next"), begun()); }) == errc::store_replaced);
  CHECK(store.stats().lost_writes == 1);
  CHECK(store.find(key("kept")) == begun(1));
}

TEST_CASE("a master that was a replica in between is found out, though its connections lived through that",
          "[redis][lost][replica]") {
  Shop shop;
  RedisServer other;
  other.replica_of(shop.server);
  RedisStore store = shop.open();
  store.insert(key("kept"), begun(1));
  REQUIRE(comes_true([&] { return other.command({"EXISTS", shop.name("kept")}).integer == 1; }));
  other.promote();
  store.insert(key("lost"), begun(1));
  shop.server.replica_of(other);
  shop.server.promote();
  CHECK(comes_true([&] {
    CHECK(store.find(key("kept")) == begun(1));
    return store.stats().lost_writes == 1;
  }));
  CHECK(thrown_by([&] { store.insert(key("lost"), begun()); }) == errc::store_replaced);
}

TEST_CASE("a full server takes no new payments, and ends those it has", "[redis][full]") {
  Shop shop;
  RedisStore store = shop.open();
  IdempotencyGuard guard{store};
  store.insert(key("running"), begun(1));
  shop.set("maxmemory", "1");
  CHECK(thrown_by([&] { store.insert(key("new"), begun()); }) == errc::store_full);
  CHECK_FALSE(store.find(key("new")));
  CHECK(shop.server.command({"ZCARD", shop.tag("new").open}).integer == 0);
  int ran = 0;
  CHECK(thrown_by([&] {
          (void)guard.execute(key("new"), fingerprint(1),
                              [&](Attempt& attempt) { return ++ran, pay(attempt); });
        }) == errc::store_full);
  CHECK(ran == 0);
  CHECK(store.replace(key("running"), 1, paid(2)));
  CHECK(store.find(key("running")) == paid(2));
  shop.server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  CHECK(store.replace(key("running"), 2, paid(3)));  // connected anew, full as it is
  CHECK(store.erase_expired(Timestamp(Duration(1'800'000'000'000)), 10) == 1);
}

TEST_CASE("a server that has dropped the scripts gets them again", "[redis][scripts]") {
  Shop shop;
  RedisStore store = shop.open();
  store.insert(key("a"), begun(1));
  shop.server.command({"SCRIPT", "FLUSH"});
  CHECK(store.replace(key("a"), 1, paid(2)));
  shop.server.command({"SCRIPT", "FLUSH"});
  CHECK(store.insert(key("a"), begun(1)) == paid(2));
  CHECK_FALSE(store.insert(key("b"), begun(1)));
}

TEST_CASE("nothing is acknowledged or read that replicas must have and do not", "[redis][replica]") {
  Shop shop;
  RedisServer replica;
  replica.replica_of(shop.server);
  shop.options.wait_replicas = 1;
  shop.options.wait_timeout = Duration(5'000);
  shop.options.connection.reply_timeout = Duration(10'000);
  RedisStore store = shop.open();
  CHECK_FALSE(store.insert(key("a"), begun(1)));
  CHECK(replica.command({"EXISTS", shop.name("a")}).integer == 1);
  shop.options.wait_timeout = Duration(50);
  RedisStore hasty = shop.open();
  for (const pid_t process : replica.processes()) ::kill(process, SIGSTOP);
  CHECK(thrown_by([&] { hasty.insert(key("b"), begun(1)); }) == errc::store_unavailable);
  CHECK(shop.server.command({"EXISTS", shop.name("b")}).integer == 1);
  CHECK(thrown_by([&] { hasty.find(key("b")); }) == errc::store_unavailable);
  CHECK(thrown_by([&] { hasty.insert(key("b"), begun(2)); }) == errc::store_unavailable);
  RedisStore reader = shop.open();  // whose connections have written nothing
  CHECK(thrown_by([&] { reader.find(key("b")); }) == errc::store_unavailable);
  for (const pid_t process : replica.processes()) ::kill(process, SIGCONT);
  CHECK(store.find(key("b")) == begun(1));
}

TEST_CASE("an answer that does not come closes the connection, and the write may have happened",
          "[redis][timeouts]") {
  Shop shop;
  shop.options.connection.reply_timeout = Duration(100);
  RedisStore store = shop.open();
  store.insert(key("a"), begun(1));
  for (const pid_t process : shop.server.processes()) ::kill(process, SIGSTOP);
  CHECK(thrown_by([&] { store.replace(key("a"), 1, paid(2)); }) == errc::store_unavailable);
  for (const pid_t process : shop.server.processes()) ::kill(process, SIGCONT);
  CHECK(comes_true([&] { return store.find(key("a")) == paid(2); }));
  CHECK(store.insert(key("b"), begun(9)) == std::nullopt);  // its own answer, not the late one
  CHECK(store.stats().connections_opened >= 2);
}

TEST_CASE("keys that another program uses are told of", "[redis][errors]") {
  Shop shop;
  RedisStore store = shop.open();
  shop.server.command({"RPUSH", shop.name("list"), "x"});
  shop.server.command({"SET", shop.name("text"), "x"});
  CHECK(thrown_by([&] { store.find(key("list")); }) == errc::store_corrupt);
  CHECK(thrown_by([&] { store.insert(key("list"), begun()); }) == errc::store_corrupt);
  CHECK(thrown_by([&] { store.replace(key("list"), 1, begun()); }) == errc::store_corrupt);
  CHECK(thrown_by([&] { store.find(key("text")); }) != errc{});
  CHECK(shop.server.command({"LLEN", shop.name("list")}).integer == 1);
}

TEST_CASE("what is not Redis, or is no master, cannot be opened", "[redis][errors]") {
  CHECK(thrown_by([] {
          RedisStore("redis://127.0.0.1:1", {.connection = {.connect_timeout = Duration(50)}});
        }) == errc::store_unavailable);
  CHECK(thrown_by([] { RedisStore("rediss://127.0.0.1:1"); }) == errc::invalid_options);
  RedisServer& server = shared_redis();
  CHECK(thrown_by([&] { RedisStore(server.uri() + "," + "127.0.0.1:1"); }) == errc::invalid_options);
  CHECK(thrown_by([&] { RedisStore(server.uri(1000)); }) == errc::invalid_options);
  RedisServer replica;
  RedisServer master;
  replica.replica_of(master);
  CHECK_THAT(told_by([&] { RedisStore(replica.uri(), {.connection = {.connect_timeout = Duration(50)}}); }),
             support::contains("is a replica"));
}

TEST_CASE("why a server is out of reach is told, also to those who are not let through any more",
          "[redis][errors]") {
  const auto refusal = [](const std::string& uri, RedisConnect connect = {}) {
    RedisStoreOptions options;
    options.connection.connect_timeout = Duration(50);
    options.connection.connect = std::move(connect);
    return told_by([&] { RedisStore(uri, options); });
  };
  CHECK_THAT(refusal("redis://127.0.0.1:1"), support::contains("Connection refused"));
  CHECK_THAT(refusal("redis+unix:///nowhere/redis.sock"), support::contains("No such file"));
  std::vector<std::unique_ptr<redisContext, void (*)(redisContext*)>> others;
  CHECK_THAT(refusal("redis://127.0.0.1",
                     [&](const RedisEndpoint&, Duration) {
                       int ends[2];
                       REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
                       REQUIRE(::write(ends[1], "HTTP/1.1 400\r\n", 14) == 14);
                       others.emplace_back(redisConnectFd(ends[1]), redisFree);
                       return redisConnectFd(ends[0]);
                     }),
             support::contains("does not speak as Redis does"));
  Shop shop;
  shop.options.connection.connect_timeout = Duration(100);
  shop.options.connection.reconnect = {Duration(60'000), Duration(60'000), Jitter::none};
  RedisStore store = shop.open();
  shop.server.kill();
  std::string told;
  CHECK(comes_true([&] {
    told = told_by([&] { store.find(key("a")); });
    return told.find("tries; the next one is made in") != told.npos;
  }));
  CHECK_THAT(told, support::contains("Connection refused: store unavailable"));
  CHECK(told.find("store unavailable") == told.rfind("store unavailable"));
  CHECK_THAT(told, !support::contains(std::to_string(shop.server.port())));
}

TEST_CASE("a record that is too long is refused before it is sent", "[redis][errors]") {
  RedisStoreOptions options;
  options.prefix = RedisServer::fresh_prefix("long");
  options.max_record_bytes = 100;
  RedisStore store(shared_redis().uri(), options);
  Record record = paid(1);
  record.response.assign(101, 'x');
  const auto before = store.stats().operations;
  CHECK(thrown_by([&] { store.insert(key("a"), record); }) == errc::store_full);
  CHECK(thrown_by([&] { store.replace(key("a"), 1, record); }) == errc::store_full);
  CHECK(store.stats().operations == before);
}

TEST_CASE("a record that fits into no buffer of a socket is sent and read whole", "[redis]") {
  RedisStoreOptions options;
  options.prefix = RedisServer::fresh_prefix("whole");
  options.max_record_bytes = std::size_t{16} << 20;
  SECTION("on a socket of the store's own") {}
  SECTION("through a layer of the application's") {
    options.connection.connect = [](const RedisEndpoint& endpoint, Duration timeout) {
      return detail::connect_plainly(endpoint, timeout);
    };
  }
  RedisStore store(shared_redis().uri(), options);
  Record record = paid(1);
  record.response.resize(options.max_record_bytes);
  for (std::size_t at = 0; at < record.response.size(); ++at)
    record.response[at] = static_cast<char>(at * 31 >> 3);
  CHECK_FALSE(store.insert(key("a"), record));
  CHECK(store.find(key("a")) == record);
  CHECK(store.replace(key("a"), 1, paid(2)));
  CHECK(store.find(key("a")) == paid(2));
}

TEST_CASE("a child of a fork has no store, and its end harms nobody", "[redis][fork]") {
  RedisStoreOptions options;
  options.prefix = RedisServer::fresh_prefix("fork");
  std::optional<RedisStore> store(std::in_place, shared_redis().uri(), options);
  store->insert(key("a"), begun());
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool refused = thrown_by([&] { store->find(key("a")); }) == errc::store_forked;
    store.reset();
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(store->find(key("a")) == begun());
  CHECK(store->stats().connections_opened == 1);
}

TEST_CASE("a store of a cluster follows a slot that moves", "[redis][cluster]") {
  RedisCluster cluster(2);
  RedisStoreOptions options;
  RedisStore store(cluster.uri(), options);
  detail::RedisClient client(cluster.uri(), {});
  const std::vector<std::string> texts = texts_of_one_tag(5);
  const int slot = detail::RedisTags(options.prefix)[5].slot;
  const std::size_t from = cluster.node_of_slot(slot), to = 1 - from;
  store.insert(key(texts[0]), begun(1));
  store.insert(key(texts[1]), paid(1));
  const std::string name = detail::RedisTags(options.prefix)[5].records + "x";
  CHECK_FALSE(client.run(name, {"SET", name, "1"}).is_error());
  store.insert(key(texts[2]), paid(1, Duration(0)));
  const Timestamp all_over = paid(1, std::chrono::minutes(1)).expires_at;
  CHECK(store.erase_expired(all_over, 10) == 1);
  store.insert(key(texts[2]), paid(2, Duration(1)));
  store.insert(key(texts[3]), paid(3, Duration(2)));
  cluster.begin_move(slot, from, to);
  CHECK(store.find(key(texts[0])) == begun(1));
  const std::string ahead = detail::RedisTags(options.prefix)[5].records + std::string(key(texts[3]).bytes());
  cluster.node(from).command(
      {"MIGRATE", "127.0.0.1", std::to_string(cluster.node(to).port()), ahead, "0", "1000"});
  CHECK(thrown_by([&] { store.erase_expired(all_over, 10); }) == errc::store_unavailable);
  CHECK(store.find(key(texts[2])) == paid(2, Duration(1)));  // all of a sweep of a tag, or nothing
  const detail::RedisTag tag = detail::RedisTags(options.prefix)[5];
  for (const std::string& index : {tag.done, tag.swept})  // and what is not there yet has not gone
    cluster.node(from).command(
        {"MIGRATE", "127.0.0.1", std::to_string(cluster.node(to).port()), index, "0", "1000"});
  CHECK(thrown_by([&] { store.erase_expired(all_over, 10); }) == errc::store_unavailable);
  cluster.move_keys(slot, from, to);
  CHECK(store.find(key(texts[0])) == begun(1));  // ASK
  CHECK(client.run(name, {"GET", name}).text() == "1");
  CHECK(store.stats().redirects > 0);
  std::thread finish([&] { cluster.finish_move(slot, from, to); });
  CHECK_FALSE(store.insert(key(texts[4]), begun(1)));  // TRYAGAIN, until the slot has moved
  finish.join();
  CHECK(store.erase_expired(all_over, 10) == 2);
  CHECK(store.replace(key(texts[0]), 1, paid(2)));
  CHECK(client.run(name, {"GET", name}).text() == "1");  // MOVED
  const auto redirects = store.stats().redirects;
  CHECK(store.find(key(texts[4])) == begun(1));
  CHECK(store.stats().redirects == redirects);  // known by now
  std::size_t seen = 0;
  store.scan({}, [&](const IdempotencyKey&, const Record&) { return ++seen, true; });
  CHECK(seen == 3);
  CHECK(store.stats().lost_writes == 0);
  CHECK(thrown_by([&] { RedisStore(cluster.node(0).uri(1)); }) == errc::invalid_options);
}
