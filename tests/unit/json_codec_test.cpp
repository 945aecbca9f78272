// Results as JSON: what converts, what comes back, what is refused.

#include <paidonce/codecs/json.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/paidonce.hpp>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::string_literals;

namespace json_codec_tests {

struct Receipt {
  std::string id;
  std::int64_t units = 0;
  std::vector<std::string> lines;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Receipt, id, units, lines)
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

enum class Channel { card, wallet };
NLOHMANN_JSON_SERIALIZE_ENUM(Channel, {{Channel::card, "card"}, {Channel::wallet, "wallet"}})

/// Neither default constructible nor copyable: nlohmann-json reads it through its serializer.
struct Token {
  explicit Token(std::string token) : text(std::move(token)) {}
  Token(Token&&) = default;
  Token& operator=(Token&&) = default;
  std::string text;
};

/// Can be written, yet not read back.
struct WriteOnly {
  int value = 0;
};
void to_json(nlohmann::json& json, const WriteOnly& from) { json = from.value; }

/// Converts, and has a codec of its own.
struct Special {
  int value = 0;
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Special, value)
};

/// A family of types with a codec of its own, though its members convert.
template <class T>
struct Reply {
  T value{};
  NLOHMANN_DEFINE_TYPE_INTRUSIVE(Reply, value)
};

/// Refuses what it does not like in an exception of its own.
struct Positive {
  int value = 1;
};
void to_json(nlohmann::json& json, const Positive& from) { json = from.value; }
void from_json(const nlohmann::json& json, Positive& to) {
  to.value = json.get<int>();
  if (to.value <= 0) throw std::domain_error("secret payload");
}

template <class R>
R again(const R& value) {
  return Codec<R>::decode(Codec<R>::encode(value));
}

}  // namespace json_codec_tests

using namespace json_codec_tests;

template <>
struct nlohmann::adl_serializer<Token> {
  static void to_json(nlohmann::json& json, const Token& token) { json = token.text; }
  static Token from_json(const nlohmann::json& json) { return Token(json.get<std::string>()); }
};

namespace paidonce {
template <>
struct Codec<Special> {
  static constexpr std::string_view format = "special";
  static std::string encode(const Special& special) { return std::to_string(special.value); }
  static Special decode(std::string_view) { return {}; }
};
template <class T>
struct Codec<Reply<T>> {
  static constexpr std::string_view format = "reply";
  static std::string encode(const Reply<T>&) { return {}; }
  static Reply<T> decode(std::string_view) { return {}; }
};
}  // namespace paidonce

// What has a codec of its own keeps it, with this header included too.
static_assert(Codec<std::string>::format == "text");
static_assert(Codec<std::vector<std::byte>>::format == "bytes");
static_assert(Codec<std::vector<unsigned char>>::format == "bytes");
static_assert(Codec<int>::format == "integer" && Codec<std::uint64_t>::format == "integer");
static_assert(Codec<Special>::format == "special" && Codec<Reply<int>>::format == "reply");
static_assert(JsonConvertible<Special> && JsonConvertible<Reply<int>>,
              "they convert, so that the choice above was one");

static_assert(Encodable<Receipt> && Codec<Receipt>::format == "json");
static_assert(Encodable<Token> && Encodable<Channel> && Encodable<double> && Encodable<nlohmann::json>);
static_assert(Encodable<std::vector<Receipt>> && Encodable<std::map<std::string, Receipt>>);
static_assert(!Encodable<WriteOnly> && !Encodable<bool> && !Encodable<void*> && !Encodable<const char*>);
static_assert(!Encodable<std::string_view> && !Encodable<nlohmann::ordered_json>);
static_assert(!Encodable<std::vector<WriteOnly>>);

TEST_CASE("a struct with a conversion comes back as it was", "[codec][json]") {
  const Receipt receipt{"ch_1", 450, {"espresso", "a \"quoted\" line\n\0with NUL"s, "crème brûlée €"}};
  CHECK(again(receipt) == receipt);
  CHECK(Codec<Receipt>::encode(Receipt{"ch_1", 450, {"x"}}) == R"({"id":"ch_1","lines":["x"],"units":450})");
  CHECK(again(Token("tok_1")).text == "tok_1");
  CHECK(Codec<Channel>::encode(Channel::wallet) == "\"wallet\"");
  CHECK(again(Channel::wallet) == Channel::wallet);
  const std::map<std::string, std::vector<int>> nested{{"a", {1, 2}}, {"", {}}};
  CHECK(again(nested) == nested);
  const auto json = nlohmann::json::parse(R"({"b":[1,null,true,{"c":2.5}],"a":"x"})");
  CHECK(again(json) == json);
}

TEST_CASE("numbers in JSON come back exactly", "[codec][json]") {
  for (const double number : {0.1, 1.0 / 3, -0.0, 5e-324, std::numeric_limits<double>::max(), 4.50}) {
    CHECK(again(number) == number);
  }
  const std::vector<std::int64_t> whole{std::numeric_limits<std::int64_t>::min(), -1, 0,
                                        std::numeric_limits<std::int64_t>::max()};
  CHECK(again(whole) == whole);
  const std::vector<std::uint64_t> natural{0, std::numeric_limits<std::uint64_t>::max()};
  CHECK(again(natural) == natural);
}

TEST_CASE("what JSON cannot hold is refused when it is written, and never replaced", "[codec][json]") {
  const auto refused = support::has_code<Error>(errc::codec_failure);
  for (const std::string& text : {"\xff"s, "half \xc3"s, "\xed\xa0\x80 surrogate"s, "\xc0\xaf overlong"s}) {
    CHECK_THROWS_MATCHES(Codec<Receipt>::encode({text, 1, {}}), Error, refused);
    CHECK_THROWS_MATCHES(Codec<Receipt>::encode({"id", 1, {"fine", text}}), Error, refused);
  }
  using Limits = std::numeric_limits<double>;
  for (const double number : {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()}) {
    CHECK_THROWS_MATCHES(Codec<double>::encode(number), Error, refused);
    CHECK_THROWS_MATCHES((Codec<std::vector<double>>::encode({1.0, number})), Error, refused);
  }
  CHECK_THROWS_MATCHES(Codec<nlohmann::json>::encode({{"bytes", nlohmann::json::binary({1, 2})}}), Error,
                       refused);
}

TEST_CASE("bytes that are not the JSON of the type are a codec failure", "[codec][json]") {
  const auto refused = support::has_code<Error>(errc::codec_failure);
  const std::string good = Codec<Receipt>::encode({"ch_1", 450, {"x"}});
  for (std::size_t size = 0; size < good.size(); ++size) {
    INFO("cut at " << size);
    CHECK_THROWS_MATCHES(Codec<Receipt>::decode(std::string_view(good).substr(0, size)), Error, refused);
  }
  for (const std::string_view bad :
       {"null", "[]", "{}", R"({"id":1,"lines":[],"units":2})", R"({"id":"x","lines":[]})", "\xff\xfe",
        "{\"id\"", R"({"id":"x","lines":[],"units":2} and more)"}) {
    INFO(bad);
    CHECK_THROWS_MATCHES(Codec<Receipt>::decode(bad), Error, refused);
  }
}

TEST_CASE("the text of a codec failure quotes nothing of the payload", "[codec][json]") {
  const auto silent = Catch::Matchers::Predicate<Error>([](const Error& error) {
    const std::string_view what = error.what();
    return error.code() == errc::codec_failure && what.find("secret") == std::string_view::npos;
  });
  CHECK_THROWS_MATCHES(Codec<Receipt>::decode("\"secret"), Error, silent);
  CHECK_THROWS_MATCHES(Codec<Receipt>::decode("secret"), Error, silent);
  CHECK_THROWS_MATCHES(Codec<Positive>::decode("-1"), Error, silent);
  CHECK_THROWS_MATCHES(Codec<Receipt>::encode({"secret\xff", 0, {}}), Error, silent);
}

TEST_CASE("a payment returns a struct, and duplicates get an equal one", "[codec][json][guard]") {
  IdempotencyGuard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "order-1");
  int runs = 0;
  const auto pay = [&]() -> PaymentResult<Receipt> {
    ++runs;
    return declined(Receipt{"ch_1", 450, {"no funds"}});
  };
  const auto first = guard.execute(key, fingerprint("order-1"), pay);
  const auto second = guard.execute(key, fingerprint("order-1"), pay);
  CHECK(runs == 1);
  REQUIRE(first.declined());
  REQUIRE(second.declined());
  CHECK(second.replayed());
  CHECK(second.response() == first.response());
  CHECK(guard.find(key).value().response_format == "json");
}

TEST_CASE("a result that cannot be written as JSON is in doubt, with the result as evidence",
          "[codec][json][guard]") {
  IdempotencyGuard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "order-1");
  Receipt receipt{"ch_\xff", 450, {}};
  const auto outcome = guard.execute(key, fingerprint("order-1"), [&] { return receipt; });
  REQUIRE(outcome.status() == Status::in_doubt);
  REQUIRE(outcome.evidence());
  CHECK(*outcome.evidence() == receipt);
  CHECK(outcome.evidence_state() == State::succeeded);
  CHECK(outcome.cause());
  CHECK(guard.find(key).value().state == State::in_doubt);
}

TEST_CASE("a stored response in another format is refused, not guessed at", "[codec][json][guard]") {
  IdempotencyGuard guard{MemoryStore{}};
  const IdempotencyKey key("shop", "order-1");
  REQUIRE(guard.execute(key, fingerprint("order-1"), [] { return R"({"id":"x","lines":[],"units":1})"; })
              .succeeded());
  CHECK_THROWS_MATCHES((void)guard.execute(key, fingerprint("order-1"), [] { return Receipt{}; }), Error,
                       support::has_code<Error>(errc::unsupported_format));
}
