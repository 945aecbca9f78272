// The parts of what speaks to Redis that need no server: where a key lives, what a cluster says, what a URI
// means, which servers are safe, how long a record is kept.

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/failure.hpp>
#include <paidonce/redis/redirect.hpp>
#include <paidonce/redis/slot.hpp>
#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/stores/redis/operation.hpp>
#include <paidonce/stores/redis/scripts.hpp>
#include <paidonce/stores/redis/server_checks.hpp>
#include <paidonce/stores/redis/witnesses.hpp>

#include "support/catch.hpp"

using namespace paidonce;
using namespace paidonce::detail;

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

RedisServerFacts safe_facts() {
  RedisServerFacts facts;
  facts.version = 7;
  facts.role = "master";
  facts.loading = "0";
  facts.aof_enabled = "1";
  facts.maxmemory_policy = "noeviction";
  facts.appendfsync = "everysec";
  return facts;
}

}  // namespace

TEST_CASE("a key's slot is that of Redis Cluster", "[redis][slot]") {
  CHECK(crc16("123456789") == 0x31C3);  // the specification's vector
  CHECK(redis_slot("") == 0);
  CHECK(redis_slot("foo") == 12182);
  CHECK(redis_slot("{user1000}.following") == redis_slot("user1000"));
  CHECK(redis_slot("foo{}{bar}") == crc16("foo{}{bar}") % 16384);  // nothing between the first two
  CHECK(redis_slot("foo{{bar}}zap") == redis_slot("{bar"));
  CHECK(redis_slot("foo{bar}{zap}") == redis_slot("bar"));
  CHECK(redis_slot("{open") == crc16("{open") % 16384);
}

TEST_CASE("the names of keys never change", "[redis][keys][format]") {
  const RedisTags tags("paidonce");
  const struct {
    IdempotencyKey key;
    int tag;
  } vectors[] = {
      {{"coffee-shop", "order-1001"}, 173}, {{"", "a"}, 135}, {{"shop", std::string("\0\xff{}\r\n", 6)}, 66}};
  for (const auto& [key, tag] : vectors) CHECK(int{redis_tag(key.bytes())} == tag);
  const RedisTag& tag = tags[7];
  CHECK(tag.records == "{paidonce:7}:r:");
  CHECK(tag.open == "{paidonce:7}:open");
  CHECK(tag.done == "{paidonce:7}:done");
  CHECK(tag.swept == "{paidonce:7}:swept");
  for (std::size_t number = 0; number < redis_tags; ++number) {
    CHECK(tags[number].slot == redis_slot(tags[number].records + "}{any"));
    CHECK(tags[number].slot == redis_slot(tags[number].done));
  }
}

TEST_CASE("tags share out keys that count upwards", "[redis][keys]") {
  std::vector<int> count(redis_tags);
  for (int order = 0; order < 25'600; ++order)
    ++count[redis_tag(IdempotencyKey("shop", "order-" + std::to_string(order)).bytes())];
  for (const int each : count) {
    CHECK(each > 50);
    CHECK(each < 200);
  }
}

TEST_CASE("the scripts look where a record's bytes have it", "[redis][scripts][format]") {
  Record record;
  record.state = State::in_doubt;
  record.version = 0x0807060504030201;
  record.attempt_id = 0x1817161514131211;
  record.expires_at = Timestamp(Duration(0x2827262524232221));
  const std::string bytes = to_bytes(record);
  CHECK(bytes[record_places::state] == char{4});
  CHECK(bytes.substr(record_places::version, 8) == version_bytes(record.version));
  CHECK(bytes.substr(record_places::version, 8) == "\x01\x02\x03\x04\x05\x06\x07\x08");
  CHECK(bytes.substr(record_places::attempt_id, 8) == "\x11\x12\x13\x14\x15\x16\x17\x18");
  CHECK(bytes.substr(record_places::expires_at, 8) == "\x21\x22\x23\x24\x25\x26\x27\x28");
  CHECK(record_places::end == record_places::expires_at + 8);
  const auto count_from_one = [](int place) { return std::to_string(place + 1); };
  CHECK(redis_insert_script.find("string.byte(ARGV[1], " + count_from_one(record_places::state)) !=
        std::string_view::npos);
  CHECK(redis_replace_script.find("'GETRANGE', KEYS[1], " + std::to_string(record_places::version) + ", " +
                                  std::to_string(record_places::attempt_id + 7)) != std::string_view::npos);
  CHECK(redis_replace_script.find("string.sub(ARGV[1], " + count_from_one(record_places::attempt_id)) !=
        std::string_view::npos);
  CHECK(redis_erase_script.find("'<I4i4', head, " + count_from_one(record_places::expires_at)) !=
        std::string_view::npos);
  CHECK(redis_erase_script.find("'<I4I4', head, " + count_from_one(record_places::version)) !=
        std::string_view::npos);
}

TEST_CASE("a redirection names a node", "[redis][cluster]") {
  const RedisEndpoint asked{"10.0.0.9", 7000};
  CHECK(redirected_to("MOVED 3999 10.0.0.1:6381", asked) == RedisEndpoint{"10.0.0.1", 6381});
  CHECK(redirected_to("ASK 3999 ::1:6381", asked) == RedisEndpoint{"::1", 6381});
  CHECK(redirected_to("MOVED 3999 :6381", asked) == RedisEndpoint{"10.0.0.9", 6381});
  CHECK(redirected_to("MOVED 3999 ?:6381", asked) == RedisEndpoint{"10.0.0.9", 6381});
  for (const char* const text : {"MOVED", "MOVED 3999", "MOVED 3999 10.0.0.1", "MOVED 3999 10.0.0.1:",
                                 "MOVED 3999 10.0.0.1:0", "MOVED 3999 10.0.0.1:99999", ""})
    CHECK_FALSE(redirected_to(text, asked));
}

TEST_CASE("what an error means is in its first word", "[redis][errors]") {
  const struct {
    const char* text;
    errc code;
  } cases[] = {{"OOM command not allowed when used memory > 'maxmemory'.", errc::store_full},
               {"NOPERM this user has no permissions", errc::invalid_options},
               {"WRONGPASS invalid username-password pair", errc::invalid_options},
               {"READONLY You can't write against a read only replica.", errc::store_unavailable},
               {"MISCONF Redis is configured to save RDB snapshots", errc::store_unavailable},
               {"BUSY Redis is busy running a script.", errc::store_busy},
               {"WRONGTYPE Operation against a key", errc::store_corrupt},
               {"ERR secret text with a key in it", errc::store_unavailable}};
  for (const auto& [text, code] : cases) {
    const Error error = redis_error(text);
    CHECK(error.code() == code);
    CHECK(std::string(error.what()).find("secret") == std::string::npos);
  }
  const auto text = [](const char* told) { return redis_text_of(redis_error(told, "GET")); };
  CHECK(text("NOPERM this user has no permissions to run the 'get' command") ==
        "the server does not let this user run GET: check its ACL (NOPERM)");
  CHECK(text("NOPERM this user has no permissions to access one of the keys used as arguments") ==
        "the server does not let this user run GET on the keys of this prefix: check its ACL (NOPERM)");
  CHECK(redis_text_of(Error(errc::store_busy)).empty());
  // What a script did before has happened: nobody may be told that nothing has.
  CHECK(redis_error("ERR The user executing the script can't run this command").code() ==
        errc::store_unavailable);
  CHECK_THROWS_AS(expect_serving("LOADING Redis is loading"), RedisOutage);
  CHECK_NOTHROW(expect_serving("NOAUTH Authentication required."));
  CHECK(redis_verdict("NOSCRIPT") == RedisVerdict::load_script);
  CHECK(redis_verdict("TRYAGAIN") == RedisVerdict::repeat);
  CHECK(redis_verdict("LOADING") == RedisVerdict::leave);
  CHECK(redis_verdict("OOM") == RedisVerdict::refuse);
}

TEST_CASE("a URI of Redis is read in all its forms", "[redis][uri]") {
  const RedisAddress full = RedisUri("redis://ann:p%40ss@[::1]:7000,b:7001,c/3").read();
  REQUIRE(full.endpoints.size() == 3);
  CHECK(full.endpoints[0] == RedisEndpoint{"::1", 7000});
  CHECK(full.endpoints[1] == RedisEndpoint{"b", 7001});
  CHECK(full.endpoints[2] == RedisEndpoint{"c", 6379});
  CHECK(full.user == "ann");
  CHECK(full.password == "p@ss");
  CHECK(full.database == 3);
  CHECK_FALSE(full.tls);
  CHECK(RedisUri("rediss://host").read().tls);
  const RedisAddress socket = RedisUri("redis+unix:///run/redis.sock?db=2").read();
  CHECK(socket.endpoints.at(0).socket == "/run/redis.sock");
  CHECK(socket.database == 2);
  CHECK(RedisUri("redis://:secret@host").read().password == "secret");
  const RedisAddress user = redis_address("redis://an%6e@host", {.user = "bob", .password = "his"});
  CHECK(user.user == "ann");
  CHECK(user.password == "his");
  CHECK(redis_address("redis://ann:hers@host", {.user = "bob", .password = "his"}).password == "hers");
  CHECK(redis_address("redis://host", {.user = "bob", .password = "his"}).user == "bob");
  CHECK(redis_address("redis://:hers@host", {.user = "bob", .password = "his"}).user.empty());
  CHECK(thrown_by([] { redis_address("redis://ann@host", {}); }) == errc::invalid_options);
  for (const char* const bad :
       {"", "http://host", "redis://", "redis://host:0", "redis://host:70000", "redis://host:x",
        "redis://host/x", "redis://host/-1", "redis://@host", "redis://user:@host", "redis://[::1",
        "redis://a,", "redis+unix://x", "redis+unix:///x?y=1", "redis://ho%zzst"}) {
    INFO(bad);
    CHECK(thrown_by([&] { RedisUri(bad).read(); }) == errc::invalid_options);
  }
  try {
    RedisUri("redis://ann:hunter2@host:x").read();
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
  }
}

TEST_CASE("INFO tells what a server is", "[redis][checks]") {
  const std::string_view info =
      "# Server\r\nredis_version:7.0.15\r\n\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:x";
  CHECK(info_field(info, "redis_version") == "7.0.15");
  CHECK(info_field(info, "maxmemory") == "0");
  CHECK(info_field(info, "maxmemory_policy") == "x");
  CHECK_FALSE(info_field(info, "version"));
  CHECK_FALSE(info_field("", "role"));
}

TEST_CASE("servers that forget are refused, and those that cannot tell", "[redis][checks]") {
  CHECK_FALSE(reason_to_refuse(safe_facts(), Fsync::every_second));
  CHECK_FALSE(reason_to_refuse(safe_facts(), Fsync::unchecked));
  const auto refused = [](auto change, Fsync fsync) {
    RedisServerFacts facts = safe_facts();
    change(facts);
    return reason_to_refuse(facts, fsync) != nullptr;
  };
  using Facts = RedisServerFacts;
  for (const Fsync each : {Fsync::unchecked, Fsync::every_second, Fsync::always}) {
    for (const char* const policy : {"allkeys-lru", "allkeys-random", "volatile-ttl", "volatile-lru"})
      CHECK(refused([&](Facts& facts) { facts.maxmemory_policy = policy; }, each));
    CHECK(refused([](Facts& facts) { facts.maxmemory_policy.reset(); }, each));
  }
  const auto no_log = [](Facts& facts) { facts.aof_enabled = "0"; };
  CHECK(refused(no_log, Fsync::every_second));
  CHECK(refused(no_log, Fsync::always));
  CHECK_FALSE(refused(no_log, Fsync::unchecked));
  const auto not_told = [](Facts& facts) { facts.appendfsync.reset(); };
  CHECK_FALSE(refused(not_told, Fsync::every_second));
  CHECK(refused(not_told, Fsync::always));
  CHECK_FALSE(refused(not_told, Fsync::unchecked));
  const auto not_always = [](Facts& facts) { facts.no_appendfsync_on_rewrite = "yes"; };
  CHECK(refused(not_always, Fsync::every_second));
  CHECK_FALSE(refused(not_always, Fsync::unchecked));
  const auto never = [](Facts& facts) { facts.appendfsync = "no"; };
  CHECK(refused(never, Fsync::every_second));
  CHECK(refused(never, Fsync::always));
  CHECK(refused([](Facts&) {}, Fsync::always));  // everysec
  CHECK_FALSE(refused([](Facts& facts) { facts.appendfsync = "always"; }, Fsync::always));
}

TEST_CASE("a replica and a server that loads are out of reach", "[redis][checks]") {
  CHECK_NOTHROW(check_serving(safe_facts()));
  CHECK_NOTHROW(check_serving({}));
  RedisServerFacts facts = safe_facts();
  facts.role = "slave";
  CHECK_THROWS_AS(check_serving(facts), RedisOutage);
  facts = safe_facts();
  facts.loading = "1";
  CHECK_THROWS_AS(check_serving(facts), RedisOutage);
  facts = safe_facts();
  facts.version = 5;
  CHECK(thrown_by([&] { check_serving(facts); }) == errc::unsupported_format);
}

TEST_CASE("a server keeps a record for as long as its writer meant to", "[redis][ttl]") {
  const Duration grace(60'000);
  Record record;
  record.updated_at = Timestamp(Duration(1'000'000));
  record.expires_at = Timestamp(Duration(1'500'000));
  for (const State state : {State::in_progress, State::in_doubt}) {
    record.state = state;
    CHECK_FALSE(time_to_live(record, grace));
  }
  for (const State state : {State::succeeded, State::declined, State::released}) {
    record.state = state;
    CHECK(time_to_live(record, grace) == Duration(560'000));
  }
  record.checkpoint = "half";
  CHECK_FALSE(time_to_live(record, grace));  // released, with a step taken
  record.state = State::succeeded;
  record.expires_at = record.updated_at - Duration(1);
  CHECK(time_to_live(record, grace) == grace);
  record.updated_at = Timestamp::min();
  record.expires_at = Timestamp::max();
  const auto longest = time_to_live(record, grace);
  REQUIRE(longest);
  CHECK(*longest > std::chrono::hours(24 * 365 * 1000));
  CHECK(longest->count() < std::numeric_limits<std::int64_t>::max() / 2);
}

TEST_CASE("a write is forgotten where neither it, nor a later one, nor a sweep is there",
          "[redis][witness]") {
  const auto forgotten = [](std::string_view version, std::string_view swept) {
    return is_forgotten(10, version, swept);
  };
  CHECK(forgotten("", ""));
  CHECK(forgotten(version_bytes(9), ""));
  CHECK_FALSE(forgotten(version_bytes(10), ""));
  CHECK_FALSE(forgotten(version_bytes(11), ""));
  CHECK_FALSE(forgotten("", version_bytes(10)));
  CHECK_FALSE(forgotten("", version_bytes(12)));
  CHECK(forgotten("", version_bytes(9)));
  CHECK(forgotten(version_bytes(3), version_bytes(9)));
}

TEST_CASE("witnesses are the last of their tags, for as long as they cannot have expired",
          "[redis][witness]") {
  RedisWitnesses witnesses(std::chrono::minutes(1));
  CHECK(witnesses.recall().empty());
  const BootTime now = boot_now();
  witnesses.note(3, "a", 5, std::nullopt, now);
  witnesses.note(3, "b", 6, Duration(1'000'000), now);
  witnesses.note(4, "c", 7, std::nullopt, now);
  auto called = witnesses.recall();
  REQUIRE(called.size() == 2);
  CHECK(called[0].key == "b");
  CHECK(called[0].version == 6);
  CHECK(called[1].tag == 4);
  witnesses.dismiss(called[0]);
  CHECK(witnesses.recall().size() == 1);
  RedisWitnesses short_lived(Duration(0));
  short_lived.note(1, "a", 1, std::nullopt, now);
  CHECK(short_lived.recall().empty());
  // The server's time for it began long before it answered, and may pass a thousandth faster.
  RedisWitnesses late(Duration(1'000));
  const BootTime an_hour_ago = now - 3'600'000'000'000;
  late.note(1, "over", 1, Duration(3'600'000), an_hour_ago);
  late.note(2, "as good as over", 1, Duration(3'602'000), an_hour_ago);
  CHECK(late.recall().empty());
  late.note(3, "there", 1, Duration(3'700'000), an_hour_ago);
  CHECK(late.recall().size() == 1);
}

TEST_CASE("options that cannot work are refused", "[redis][options]") {
  const auto refused = [](auto change) {
    RedisStoreOptions options;
    change(options);
    return thrown_by([&] { checked(options); }) == errc::invalid_options;
  };
  using Options = RedisStoreOptions;
  CHECK_FALSE(refused([](Options&) {}));
  for (const char* const prefix : {"", "a{b", "a}b", "a b", "a\nb"})
    CHECK(refused([&](Options& options) { options.prefix = prefix; }));
  CHECK(refused([](Options& options) { options.prefix = std::string(65, 'x'); }));
  CHECK(refused([](Options& options) { options.lanes = 0; }));
  CHECK(refused([](Options& options) { options.max_batch = 0; }));
  CHECK(refused([](Options& options) { options.max_record_bytes = 0; }));
  CHECK(refused([](Options& options) { options.check_interval = Duration(0); }));
  CHECK(refused([](Options& options) { options.expiry_grace = Duration(-1); }));
  CHECK_FALSE(refused([](Options& options) { options.wait_timeout = options.connection.reply_timeout; }));
  CHECK(refused([](Options& options) {
    options.wait_timeout = options.connection.reply_timeout;
    options.wait_replicas = 1;
  }));
  CHECK(refused([](Options& options) { options.connection.connections = 0; }));
}
