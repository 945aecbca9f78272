// Programs that pay over one Redis server are killed: with each of their scripts under way or done, and at
// random while others pay the same orders; paused for longer than a lease; and the server is killed under
// them.

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/redis.hpp>

#include "fault/crash/payers.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"

namespace {

using namespace crash;

/// Under a prefix of its own.
class RedisShop : public Shop {
 public:
  RedisShop(RedisServer& server, Terms the_terms) : Shop(std::move(the_terms)), server_(server) {}

  std::vector<std::string> payer() const override { return {REDIS_PAYER, server_.uri(), prefix_}; }
  void restart_server() override {
    server_.kill();
    server_.start();
  }
  void check_stored() override {
    unsigned all = 0, open = 0, doubtful = 0;
    paidonce::RedisStore(server_.uri(), {.prefix = prefix_})
        .scan({}, [&](const paidonce::IdempotencyKey&, const paidonce::Record& record) {
          ++all;
          if (record.state != paidonce::State::succeeded && record.state != paidonce::State::declined) ++open;
          if (record.state == paidonce::State::in_doubt) ++doubtful;
          return true;
        });
    CHECK(all == terms.orders);
    // Without a way to settle it, a doubt stays, and is the only thing that does.
    CHECK(open == (terms.mode == "doubt" ? doubtful : 0));
  }

 private:
  RedisServer& server_;
  const std::string prefix_ = RedisServer::fresh_prefix("k");
};

const char* const modes[] = {"reconcile", "promise", "doubt"};

}  // namespace

TEST_CASE("a payer over Redis is killed with each of its scripts, and nothing is charged twice",
          "[store][redis][crash]") {
  for (const char* const mode : modes)
    for (const char* const point : {"sent EVALSHA", "done EVALSHA", "callable: after the charge"})
      for (const unsigned long count : {1UL, 2UL}) {
        Terms terms;
        terms.mode = mode;
        RedisShop shop(shared_redis(), terms);
        CHECK(live_once(shop, point, count, 1).first == point);
        if (!settle(shop, std::string(mode) + ", " + point)) return;
      }
}

TEST_CASE("four processes pay the same 500 orders over Redis and are killed, and nothing is charged twice",
          "[store][redis][crash]") {
  const std::uint64_t seed = std::random_device()();
  Terms terms;
  terms.orders = 500;
  terms.mode = modes[seed % 3];
  RedisShop shop(shared_redis(), terms);
  Mishaps mishaps;
  mishaps.lives = 4;
  const Happened happened = pay_beside_each_other(shop, mishaps, seed);
  INFO("seed " << seed << ", " << terms.mode);
  CHECK(happened.deaths >= 6);
  CHECK(happened.pauses > 0);
}

TEST_CASE(
    "a Redis server is killed under four processes that pay the same orders, and nothing is charged twice",
    "[store][redis][crash]") {
  const std::uint64_t seed = std::random_device()();
  RedisServer server;
  Terms terms;
  terms.orders = 200;
  terms.mode = modes[seed % 3];
  terms.server_may_fail = true;
  RedisShop shop(server, terms);
  Mishaps mishaps;
  mishaps.lives = 2;
  mishaps.server_kills = 5;
  const Happened happened = pay_beside_each_other(shop, mishaps, seed);
  INFO("seed " << seed << ", " << terms.mode);
  CHECK(happened.server_kills > 0);
}

TEST_CASE(
    "four processes make 10000 payments under 1000 keys at a time over Redis, and none is charged twice",
    "[store][redis][crash][soak]") {
  const std::uint64_t seed = std::random_device()();
  Happened all;
  RedisServer server;
  for (unsigned round = 0; round < 10; ++round) {
    Terms terms;
    terms.orders = 1000;
    terms.mode = modes[round % 3];
    terms.server_may_fail = round % 2 == 0;
    RedisShop shop(server, terms);
    Mishaps mishaps;
    mishaps.payers = 4 + round % 3;
    mishaps.lives = 10;
    mishaps.server_kills = round % 2 == 0 ? 10 : 0;
    const Happened happened = pay_beside_each_other(shop, mishaps, seed + round);
    all.deaths += happened.deaths;
    all.pauses += happened.pauses;
    all.server_kills += happened.server_kills;
  }
  WARN("first seed " << seed << ": " << all.deaths << " deaths and " << all.pauses << " pauses of payers, "
                     << all.server_kills << " of the server");
  CHECK(all.deaths > 100);
}
