// The network to a Redis server fails before, within and after each script of a payment and its reply:
// nothing is charged twice, and every answer is true.

#include <chrono>
#include <map>
#include <string>

#include "fault/redis_world.hpp"

using namespace fault;

namespace {

struct NamedCut {
  Cut cut;
  const char* name;
};
constexpr NamedCut cuts[] = {
    {Cut::before_request, "before_request"}, {Cut::within_request, "within_request"},
    {Cut::after_request, "after_request"},   {Cut::before_reply, "before_reply"},
    {Cut::within_reply, "within_reply"},     {Cut::after_reply, "after_reply"},
    {Cut::reply_never, "reply_never"},       {Cut::request_held, "request_held"},
};

}  // namespace

TEST_CASE("a payment over Redis outlives a cut at each of its scripts, and is charged once",
          "[redis][network]") {
  RedisWorld world;
  for (const auto& [cut, name] : cuts)
    for (const std::size_t script : {1U, 2U}) {
      const std::string order = std::string(name) + " at " + std::to_string(script);
      INFO(order);
      CHECK(world.pay("a payment before " + order).how == "completed");
      const auto opened = world.store.stats().connections_opened;
      world.proxy.arm(cut, "EVALSHA", script);
      // Read back on another connection, the write's fate is known.
      CHECK(world.pay(order).how == "completed");
      CHECK(world.proxy.await_hit());
      if (cut == Cut::after_reply) CHECK(world.pay("a payment after " + order).how == "completed");
      CHECK(world.store.stats().connections_opened > opened);
      world.proxy.reset();
    }
  // What was held has come meanwhile, and changed nothing.
  for (const auto& [order, response] : std::map(world.completed)) CHECK(world.pay(order).replayed);
  CHECK(world.store.stats().lost_writes == 0);
}

TEST_CASE("a replay over Redis outlives a cut at its script", "[redis][network]") {
  RedisWorld world;
  CHECK(world.pay("order").how == "completed");
  for (const auto& [cut, name] : cuts) {
    INFO(name);
    world.proxy.arm(cut, "EVALSHA");
    CHECK(world.pay("order").replayed);
    CHECK(world.proxy.await_hit());
    world.proxy.reset();
  }
}

TEST_CASE("a read of Redis fails where its answer does not come, and is not answered by a guess",
          "[redis][network]") {
  RedisWorld world;
  const IdempotencyKey key = RedisWorld::key_of("order");
  world.pay("order");
  for (const auto& [cut, name] : cuts) {
    INFO(name);
    world.proxy.arm(cut, "GET " + world.records());
    if (cut == Cut::after_reply)
      CHECK(world.store.find(key));
    else
      CHECK_THROWS_MATCHES(world.store.find(key), Error, support::has_code<Error>(errc::store_unavailable));
    world.proxy.reset();
    CHECK(world.store.find(key));
  }
}

TEST_CASE("an answer of Redis that is late is nobody's", "[redis][network]") {
  auto options = short_redis_timeouts();
  options.lanes = 1;  // there is no other connection to take
  RedisWorld world(shared_redis(), options);
  const std::string late = world.pay("late").response, next = world.pay("next").response;
  for (int times = 0; times < 3; ++times) {
    world.proxy.arm(Cut::request_held, "GET " + world.records());
    CHECK_THROWS_MATCHES(world.store.find(RedisWorld::key_of("late")), Error,
                         support::has_code<Error>(errc::store_unavailable));
    world.proxy.reset();  // now it is answered
    const auto found = world.store.find(RedisWorld::key_of("next"));
    CHECK((found && found->response == next));
    CHECK_FALSE(world.store.find(RedisWorld::key_of("never")));
    // The same of a script, whose late answer would be "stored".
    world.proxy.arm(Cut::request_held, "EVALSHA");
    Record record = *found;
    CHECK_THROWS_MATCHES(world.store.insert(RedisWorld::key_of("held" + std::to_string(times)), record),
                         Error, support::has_code<Error>(errc::store_unavailable));
    world.proxy.reset();
    const auto there = world.store.insert(RedisWorld::key_of("late"), record);
    CHECK((there && there->response == late));
  }
}

TEST_CASE("a Redis server out of reach costs no payment, and calls end in time", "[redis][network]") {
  auto options = short_redis_timeouts();
  options.connection.connect_timeout = Duration(400);
  RedisWorld world(shared_redis(), options);
  CHECK(world.pay("first").how == "completed");
  const auto fails_in_time = [&](const std::string& order) {
    const auto began = std::chrono::steady_clock::now();
    CHECK(world.pay(order).thrown());
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
    CHECK_FALSE(world.till.look_up(RedisWorld::key_of(order)));
  };
  SECTION("refused") {
    world.proxy.refuse();
    world.proxy.cut_all();
    fails_in_time("order");
    world.proxy.accept();
    CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
  }
  SECTION("swallowed") {
    world.proxy.swallow();
    world.proxy.cut_all();
    fails_in_time("order");
    world.proxy.accept();
    CHECK(eventually([&] { return world.pay("order").how == "completed"; }));
  }
  SECTION("partitioned, and the partition ends") {
    world.proxy.freeze();
    fails_in_time("order");
    world.proxy.thaw();
    CHECK(eventually([&] {
      world.clock.advance(std::chrono::minutes(1));  // what was on its way may have begun it
      return world.pay("order").how == "completed";
    }));
  }
  SECTION("lost in the callable: the result is evidence, and later the record") {
    const Told told = world.pay(
        "order", [] {},
        [&] {
          world.proxy.refuse();
          world.proxy.cut_all();
        });
    CHECK(told.how == "in_doubt");
    CHECK(told.evidence == world.till.look_up(RedisWorld::key_of("order")));
    world.proxy.accept();
    world.settle("order");
    CHECK(world.till.charges() == 2);
  }
}
