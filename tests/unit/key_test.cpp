// The idempotency key: what it accepts, its bytes, its hash.

#include <paidonce/key.hpp>

#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::string_literals;

TEST_CASE("a key keeps its scope and its text, whatever bytes they are", "[key]") {
  const struct {
    std::string scope, text;
  } keys[] = {
      {"coffee-shop", "order-1001"},
      {"", "x"},
      {"", std::string(255, 't')},
      {std::string(255, 's'), std::string(255, 't')},
      {"s\0s"s, "\0"s},
      {"it's \"quoted\"; DROP TABLE", "line\nline\r\n\ttab"},
      {"\xff\xfe\xc0", "\xed\xa0\x80 not UTF-8"},
      {"\x01", "\x02\x03"},
  };
  for (const auto& [scope, text] : keys) {
    const IdempotencyKey key(scope, text);
    CHECK(key.scope() == scope);
    CHECK(key.text() == text);
    CHECK(key.bytes() == static_cast<char>(scope.size()) + scope + text);
    const IdempotencyKey again = IdempotencyKey::from_bytes(key.bytes());
    CHECK(again == key);
    CHECK(again.scope() == scope);
    CHECK(again.text() == text);
    CHECK(again.hash() == key.hash());
  }
}

TEST_CASE("the bytes of a key are what they have always been", "[key][golden]") {
  CHECK(IdempotencyKey("coffee-shop", "order-1001").bytes() ==
        "\x0b"
        "coffee-shoporder-1001");
  CHECK(IdempotencyKey("", "order-1001").bytes() == "\0order-1001"s);
  CHECK(IdempotencyKey(std::string(255, 's'), "t").bytes() == "\xff" + std::string(255, 's') + "t");
}

TEST_CASE("a key of a wrong length is refused without being repeated", "[key]") {
  const struct {
    std::size_t scope, text;
    const char* says;
  } bad[] = {
      {0, 0, "text is empty"},         {1, 0, "text is empty"},
      {0, 256, "text has 256 bytes"},  {255, 300, "text has 300 bytes"},
      {256, 1, "scope has 256 bytes"}, {0, 10 << 20, "text has 10485760 bytes"},
  };
  for (const auto& [scope, text, says] : bad) {
    CAPTURE(scope, text);
    try {
      IdempotencyKey(std::string(scope, 'Q'), std::string(text, 'Z'));
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == errc::invalid_key);
      CHECK_THAT(error.what(), support::contains(says));
      CHECK(std::string(error.what()).find_first_of("QZ") == std::string::npos);
    }
  }
}

TEST_CASE("bytes that are not a key are refused", "[key]") {
  const std::string bad[] = {"",
                             "\0"s,                             // no text
                             "\x01"s,                           // no scope
                             "\x01s"s,                          // scope, no text
                             "\x05shop"s,                       // scope cut short
                             "\xff" + std::string(255, 's'),    // the longest scope, no text
                             "\0"s + std::string(256, 't'),     // text too long
                             "\x01s"s + std::string(256, 't'),  // the same with a scope
                             std::string(1 << 20, '\x10')};
  for (const std::string& bytes : bad) {
    CAPTURE(bytes.size());
    CHECK_THROWS_MATCHES(IdempotencyKey::from_bytes(bytes), Error,
                         support::has_code<Error>(errc::invalid_key));
  }
}

TEST_CASE("the same text in two scopes is two keys, however the bytes are cut", "[key]") {
  CHECK(IdempotencyKey("a", "b") == IdempotencyKey("a", "b"));
  CHECK(IdempotencyKey("a", "x") != IdempotencyKey("b", "x"));
  CHECK(IdempotencyKey("ab", "c") != IdempotencyKey("a", "bc"));
  CHECK(IdempotencyKey("", "abc") != IdempotencyKey("a", "bc"));
  CHECK(IdempotencyKey("ab", "c").bytes() != IdempotencyKey("a", "bc").bytes());
}

TEST_CASE("generated keys are version 7 UUIDs of now, each another", "[key]") {
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const IdempotencyKey key = IdempotencyKey::generate("shop");
    CHECK(key.scope() == "shop");
    REQUIRE(key.text().size() == 36);
    CHECK(key.text()[14] == '7');
    seen.insert(std::string(key.text()));
  }
  CHECK(seen.size() == 1000);
  const std::string later = uuid_v7(now + std::chrono::hours(1));
  CHECK(uuid_v7(now).substr(0, 13) <= seen.begin()->substr(0, 13));
  CHECK(*seen.rbegin() < later);
}

TEST_CASE("copies and moves keep the key, and a moved-from one is no key", "[key]") {
  IdempotencyKey key("shop", "a text that is too long for the string's own room");
  const IdempotencyKey copy = key;
  const IdempotencyKey moved = std::move(key);
  CHECK(moved == copy);
  CHECK(moved.hash() == copy.hash());
  CHECK(key.scope().empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  CHECK(key.text().empty());
  CHECK(key != copy);
  key = copy;
  CHECK(key == copy);
}

TEST_CASE("equal keys have equal hashes and serve in unordered containers", "[key][hash]") {
  std::unordered_set<IdempotencyKey> keys;
  for (int i = 0; i < 1000; ++i) keys.insert({"shop", std::to_string(i % 500)});
  CHECK(keys.size() == 500);
  CHECK(keys.count({"shop", "499"}) == 1);
  CHECK(keys.count({"shop", "500"}) == 0);
  CHECK(std::hash<IdempotencyKey>{}({"shop", "1"}) == IdempotencyKey("shop", "1").hash());
}

TEST_CASE("two keys of one hash are two keys", "[key][hash]") {
  // The mask of the hash as the last eight of sixteen bytes: whatever comes before is multiplied by zero.
  const std::uint64_t mask = detail::hash64_mask(0);
  const std::string end(reinterpret_cast<const char*>(&mask), sizeof mask);
  const IdempotencyKey a("", "order-1" + end), b("", "order-2" + end);
  REQUIRE(a.hash() == b.hash());
  CHECK(a != b);
  CHECK(std::unordered_set<IdempotencyKey>{a, b}.size() == 2);
  CHECK(detail::hash64(a.bytes(), 1) != detail::hash64(b.bytes(), 1));
}

TEST_CASE("the hash spreads keys that look alike over all its bits", "[key][hash]") {
  std::vector<std::string> alike;
  for (int i = 0; i < 20'000; ++i) alike.push_back("order-" + std::to_string(i));
  for (std::size_t size = 0; size < 200; ++size) {
    alike.push_back(std::string(size, '\0'));
    alike.push_back(std::string(size, '\xff'));
  }
  for (std::size_t at = 0; at < 48; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string text(48, 'k');
      text[at] = static_cast<char>(text[at] ^ (1 << bit));
      alike.push_back(text);
    }
  }
  const std::set<std::string> distinct(alike.begin(), alike.end());
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{0x0123456789abcdef}}) {
    std::set<std::uint64_t> hashes;
    std::vector<int> low(64), high(64);
    for (const std::string& text : distinct) {
      const std::uint64_t hash = detail::hash64(text, seed);
      hashes.insert(hash);
      ++low[hash & 63];
      ++high[hash >> 58];
    }
    CHECK(hashes.size() == distinct.size());
    const int fair = static_cast<int>(distinct.size() / 64);  // about 325, standard deviation 18
    for (std::size_t i = 0; i < 64; ++i) {
      CHECK(low[i] > fair - 110);
      CHECK(low[i] < fair + 110);
      CHECK(high[i] > fair - 110);
      CHECK(high[i] < fair + 110);
    }
  }
  CHECK(detail::hash64("key", 1) != detail::hash64("key", 2));
}
