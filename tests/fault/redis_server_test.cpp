// Redis servers that crash, forget, fill up, hang, change their settings or are replaced, under a guard: what
// is charged, and what callers are told. Cases named "what Redis cannot promise" show losses that no client
// can prevent; docs/stores/redis.md tells of each.

#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "fault/redis_world.hpp"

using namespace fault;

namespace {

namespace files = std::filesystem;

RedisStoreOptions accepting(RedisStoreOptions options) {
  options.unsafe = UnsafeConfig::accept;
  return options;
}

/// What a restart does to each moment of a payment.
void killed_at_each_moment(RedisServer& server) {
  RedisWorld world(server);
  CHECK(world.pay("first").how == "completed");
  const auto restart = [&] {
    server.kill();
    server.start();
  };
  // Between the begin and the charge, and between the charge and its record: a connection more, and no more.
  CHECK(world.pay("before the charge", restart, [] {}).how == "completed");
  CHECK(world
            .pay(
                "after the charge", [] {}, restart)
            .how == "completed");
  for (const char* const order : {"first", "before the charge", "after the charge"}) {
    restart();
    CHECK(world.pay(order).replayed);
  }
  // Down for longer than anybody waits.
  const Told told = world.pay(
      "down", [] {}, [&] { server.kill(); });
  CHECK(told.how == "in_doubt");
  CHECK(world.pay("not begun").thrown());
  server.start();
  CHECK(eventually([&] { return world.pay("not begun").how == "completed"; }));
  world.settle("down");
  CHECK(world.till.charges() == 5);
  CHECK(world.store.stats().lost_writes == 0);
}

/// A server that does not answer, because of a script that does not end.
class BusyScript {
 public:
  explicit BusyScript(RedisServer& server)
      : server_(server), caller_([&server] {
          server.try_command({"EVAL", "while true do end", "0"});
        }) {
    CHECK(eventually([&] { return server.try_command({"PING"}).text.starts_with("BUSY"); }));
  }
  ~BusyScript() {
    if (caller_.joinable()) end();
  }
  BusyScript(const BusyScript&) = delete;
  BusyScript& operator=(const BusyScript&) = delete;
  void end() {
    server_.try_command({"SCRIPT", "KILL"});
    caller_.join();
  }

 private:
  RedisServer& server_;
  std::thread caller_;
};

/// A master, and a replica that gets what it writes by a network of their own.
struct Pair {
  Pair() {
    link.redirect(master.port());
    replica.command({"REPLICAOF", "127.0.0.1", std::to_string(link.port())});
    REQUIRE(eventually([&] { return replica.info("master_link_status") == "up"; }));
    REQUIRE(eventually([&] { return master.info("connected_slaves") == "1"; }));
  }
  /// The master dies, and the replica takes over with what it has.
  void fail_over(RedisWorld& world) {
    master.kill();
    link.cut_all();
    replica.promote();
    world.proxy.redirect(replica.port());
    world.proxy.cut_all();
  }
  RedisServer master, replica;
  TcpProxy link{master.port(), Speaks::anything};
};

}  // namespace

TEST_CASE("a Redis server that syncs always is killed at each moment of a payment, and nothing is lost",
          "[redis][server]") {
  RedisServer server;
  killed_at_each_moment(server);
}

TEST_CASE("a Redis server that syncs every second is killed, and what the kernel has is not lost",
          "[redis][server]") {
  RedisServer server({{"appendonly", "yes"}, {"appendfsync", "everysec"}});
  killed_at_each_moment(server);
}

TEST_CASE(
    "what Redis cannot promise: a host that crashes before the log is synced forgets payments, which is "
    "found out",
    "[redis][server][lost]") {
  RedisServer server({{"appendonly", "yes"}, {"appendfsync", "everysec"}});
  RedisWorld world(server);
  CHECK(world.pay("kept").how == "completed");
  files::path log;
  for (const auto& entry : files::directory_iterator(server.directory() / "appendonlydir"))
    if (entry.path().string().ends_with(".incr.aof")) log = entry.path();
  const auto synced = files::file_size(log);
  CHECK(world.pay("lost").how == "completed");
  server.kill();
  CHECK(files::file_size(log) > synced);
  files::resize_file(log, synced);
  server.start();
  // The store that was told of them knows better, and begins nothing more.
  Told told = RedisWorld::tell([]() -> Outcome<std::string> { throw Error(errc::store_unavailable, ""); });
  CHECK(eventually([&] {
    told = world.pay_by_guard(world.guard, "lost");
    return told.how != thrown(errc::store_unavailable);
  }));
  CHECK(told.how == thrown(errc::store_replaced));
  CHECK(world.pay("another").how == thrown(errc::store_replaced));
  CHECK(world.pay("kept").replayed);
  CHECK(world.store.stats().lost_writes > 0);
  CHECK(world.till.charges() == 2);
  // One that is opened afterwards cannot know: this charge is the second of its payment.
  RedisStore opened_later(server.uri(), world.options);
  RedisWorld::Guard later(opened_later, NoLock(), world.clock);
  CHECK(world.pay_by_guard(later, "lost").how == "completed");
  CHECK(world.till.charges() == 3);
  CHECK(world.till.charged_twice());
}

TEST_CASE("a Redis server without a log is refused, and forgets payments where it is accepted",
          "[redis][server][lost]") {
  RedisServer server({{"appendonly", "no"}});
  CHECK_THROWS_MATCHES(RedisStore(server.uri(), short_redis_timeouts()), Error,
                       support::has_code<Error>(errc::unsafe_config));
  RedisWorld world(server, accepting(short_redis_timeouts()));
  CHECK(world.pay("order").how == "completed");
  server.kill();
  server.start();
  CHECK(server.command({"DBSIZE"}).integer == 0);
  CHECK(eventually(
      [&] { return world.pay_by_guard(world.guard, "order").how == thrown(errc::store_replaced); }));
  CHECK(world.store.stats().lost_writes == 1);
  CHECK(world.till.charges() == 1);
}

TEST_CASE("what Redis cannot promise: a replica that lacks the last payments takes over, which is found out",
          "[redis][server][lost][replica]") {
  Pair pair;
  RedisWorld world(pair.master);
  CHECK(world.pay("replicated").how == "completed");
  REQUIRE(eventually(
      [&] { return pair.replica.info("master_repl_offset") == pair.master.info("master_repl_offset"); }));
  pair.link.freeze();
  CHECK(world.pay("lost").how == "completed");
  pair.fail_over(world);
  Told told;
  CHECK(eventually([&] {
    told = world.pay_by_guard(world.guard, "lost");
    return told.how != thrown(errc::store_unavailable);
  }));
  CHECK(told.how == thrown(errc::store_replaced));
  CHECK(world.store.stats().lost_writes > 0);
  CHECK(world.till.charges() == 2);
  CHECK_FALSE(world.till.charged_twice());
}

TEST_CASE("what a replica must have survives its master, and what it cannot have is not charged",
          "[redis][server][replica]") {
  Pair pair;
  auto options = short_redis_timeouts();
  options.wait_replicas = 1;
  RedisWorld world(pair.master, options);
  CHECK(world.pay("first").how == "completed");
  // The link breaks between the charge and its record: nobody is told that it is completed.
  const Told told = world.pay_by(
      world.guard, "doubtful", [] {}, [&] { pair.link.freeze(); },
      [&](const std::string& each) { return world.record(each); });
  CHECK(told.how == "in_doubt");
  CHECK(told.evidence == world.till.look_up(RedisWorld::key_of("doubtful")));
  CHECK(world.pay_by_guard(world.guard, "not begun").how == thrown(errc::store_unavailable));
  CHECK(world.till.charges() == 2);
  pair.fail_over(world);
  pair.replica.command({"CONFIG", "SET", "appendonly", "yes"});
  // It has no replica of its own.
  CHECK(world.pay_by_guard(world.guard, "not begun").thrown());
  CHECK(world.till.charges() == 2);
  options.wait_replicas = 0;
  RedisStore store(pair.replica.uri(), options);
  RedisWorld::Guard guard(store, NoLock(), world.clock);
  world.clock.advance(std::chrono::minutes(10));
  const auto record = [&](const std::string& order) { return store.find(RedisWorld::key_of(order)); };
  for (const char* const order : {"first", "doubtful", "not begun"}) {
    Told again;
    for (int tries = 0; tries < 5 && again.how != "completed"; ++tries)
      again = world.pay_by(
          guard, order, [] {}, [] {}, record);
    CHECK(again.how == "completed");
  }
  CHECK(world.till.charges() == 3);
  CHECK_FALSE(world.till.charged_twice());
}

TEST_CASE("settings that would forget are noticed while a Redis server runs, and what has begun may end",
          "[redis][server][unsafe]") {
  RedisServer server;
  RedisWorld world(server);
  CHECK(world.pay("first").how == "completed");
  const std::pair<const char*, const char*> settings[] = {{"maxmemory-policy", "allkeys-lru"},
                                                          {"appendonly", "no"}};
  for (const auto& [name, value] : settings) {
    INFO(name);
    const std::string before = server.command({"CONFIG", "GET", name}).elements.at(1).text;
    const std::string order = std::string("under way: ") + name;
    int tries = 0;
    const auto set_and_noticed = [&] {
      server.command({"CONFIG", "SET", name, value});
      // The first payment after it may be the one that finds out.
      CHECK(eventually([&] {
        return world.pay_by_guard(world.guard, order + std::to_string(++tries)).how ==
               thrown(errc::unsafe_config);
      }));
    };
    CHECK(world.pay(order, set_and_noticed, [] {}).how == "completed");
    const std::string refused = std::string("refused: ") + name;
    CHECK(world.pay(refused).how == thrown(errc::unsafe_config));
    CHECK_FALSE(world.till.look_up(RedisWorld::key_of(refused)));
    CHECK(world.pay("first").replayed);
    server.command({"CONFIG", "SET", name, before});
    CHECK(eventually([&] { return world.pay(refused).how == "completed"; }));
  }
}

TEST_CASE("a full Redis server takes no new payment, and ends those that it has", "[redis][server][full]") {
  RedisServer server;
  RedisWorld world(server);
  CHECK(world.pay("first").how == "completed");
  const auto fill = [&] { server.command({"CONFIG", "SET", "maxmemory", "1"}); };
  CHECK(world
            .pay(
                "under way", [] {}, fill)
            .how == "completed");
  CHECK(world.pay("refused").how == thrown(errc::store_full));
  CHECK_FALSE(world.till.look_up(RedisWorld::key_of("refused")));
  CHECK(world.pay("under way").replayed);
  server.command({"CONFIG", "SET", "maxmemory", "0"});
  CHECK(world.pay("refused").how == "completed");
}

TEST_CASE("a Redis server that somebody's script blocks takes no payment, and loses none",
          "[redis][server][busy]") {
  RedisServer server({{"appendonly", "yes"}, {"busy-reply-threshold", "20"}});
  RedisWorld world(server);
  CHECK(world.pay("first").how == "completed");
  {
    BusyScript script(server);
    CHECK(world.pay_by_guard(world.guard, "first").thrown());
    CHECK(world.pay_by_guard(world.guard, "order").thrown());
    CHECK(world.till.charges() == 1);
    script.end();
  }
  CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
  {
    std::optional<BusyScript> script;
    const Told told = world.tell([&] {
      return world.guard.execute(RedisWorld::key_of("blocked"), fingerprint(std::string("blocked")),
                                 [&]() -> PaymentResult<std::string> {
                                   std::string text = world.till.charge(RedisWorld::key_of("blocked"));
                                   script.emplace(server);
                                   return succeeded(std::move(text));
                                 });
    });
    CHECK(told.how == "in_doubt");
    CHECK(told.evidence == world.till.look_up(RedisWorld::key_of("blocked")));
    script->end();
  }
  world.settle("blocked");
  CHECK(world.till.charges() == 3);
}
