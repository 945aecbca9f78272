// The fingerprint: its encoding, pinned; what is the same and what differs; secrets.

#include <paidonce/fingerprint.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;

namespace shop {

enum class Colour { red = 1, green = 2 };
enum class Sign : signed char { minus = -1 };
enum class Switch : bool { off, on };
enum Plain : std::uint8_t { plain_two = 2 };

struct Card {
  std::string token;
  int year;
  std::optional<int> month;
};

template <class Sink>
void fingerprint_parts(Sink& sink, const Card& card) {
  sink(card.token, card.year);
  sink(card.month);
}

struct Label {  // a string type of somebody else's
  operator std::string_view() const { return "label"; }
};

}  // namespace shop

using namespace shop;

TEST_CASE("fingerprints are what they have always been", "[fingerprint][golden]") {
  // Computed by an independent program from the table in docs/fingerprint_format.md.
  const struct {
    Fingerprint fingerprint;
    std::string hex;
  } golden[] = {
      {fingerprint(), "01e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {fingerprint(""), "0147dc540c94ceb704a23875c11273e16bb0b8a87aed84de911f2133568115f254"},
      {fingerprint("order-1001", "4.50", "EUR"),
       "01fcb1a9dd8e7b53b64426233bb71125a94b5cf0394accbba51a906aca070aee93"},
      {fingerprint(std::string(127, 'a')),
       "011306421c285b47733b9c0ef446405e68615e675d404f1c31f8b0149afb9eb352"},
      {fingerprint(std::string(128, 'a')),
       "01549f16d6bdd0aa761adca742aa74e34b98a0fd2f7e80b9559b4bf53ef8deaca4"},
      {fingerprint(std::string(300, 'a')),
       "014eabe58540b0a2323643ebe8ca5c644099e8382a946e45b62431c8799373939a"},
      {fingerprint(std::string(20000, 'a')),
       "01dba81d5505ad8ed214b9ed8e07be53e476ece04f280f7ec1e205d5de1b00cc3b"},
      {fingerprint(0), "0199be5efb88ca2013bd8e4eb035fd42d5245468fe9afa70d8ba9c1c419a48c4e8"},
      {fingerprint(5), "01167fa3bd837a7c1db48f1fdd3c79304e9967cc7a3a2cd432d5e4de86386a959a"},
      {fingerprint(127, 128), "0128456a98b7ad7a31f7fa918233cf48bc71e863d5197d1d285920b7dbaf239fb6"},
      {fingerprint(-1, -128, -129), "01882db778ffea5f13944f898767b059850a4e69acb6d3548fd0cfa303a4351461"},
      {fingerprint(std::numeric_limits<std::uint64_t>::max()),
       "013a539caf68d9195ac6dc1d807b378eca5791069a4deb98fc10ae6b968c746ddd"},
      {fingerprint(std::numeric_limits<std::int64_t>::min()),
       "014d8da2c522993d13592cc35555d518bef5a57f75a9597ede3b853ca21ebdf258"},
      {fingerprint(true, false), "019eefa461c6e7babd740914c99f7264897afdab6932472de7af5e067139e98031"},
      {fingerprint(Colour::green), "018463742f94fbb172c712974729104f9d845675b1d6b13d588226d26f072309de"},
      {fingerprint(Sign::minus), "01ca99b62e263a85a8674d2917d23ddbffc3e95e3d11760bc75960d6498855e6ed"},
      {fingerprint(Switch::on), "01678feb3f747a2d2f550e94426e93e05c4701e4ee09543ff89eb06986772c261c"},
      {fingerprint(std::optional<int>{}, std::optional<int>{7}),
       "0130d9c1bc5b97b48bed1970316e742068cb3b9eab5dc95f0870f8006f4a463a11"},
      {fingerprint(std::nullopt), "01ca358758f6d27e6cf45272937977a748fd88391db679ceda7dc7bf1f005ee879"},
      {fingerprint(std::vector<int>{}), "01a2c4aed1cf757cd9a509734a267ffc7b1166b55f4c8f9c3e3550c56e743328fc"},
      {fingerprint(std::vector<std::string>{"a", "bc"}),
       "01f043da6ab3ca5af6bbb31ae739bf8475f76a703c19c1b6de6d668b95ed22e13b"},
      {fingerprint(std::map<std::string, int>{{"a", 1}, {"b", 2}}),
       "01ac11406a53860807dc06689295138f139547bf804f5bd31901d8151dc942e439"},
      {fingerprint(Card{"tok_visa", 2030, std::nullopt}),
       "0197895223f6ac6651deed0d6fe54e36ec80d31823d20a38a6f74ad51227328930"},
      {fingerprint("order", std::vector<Card>{{"tok_visa", 2030, 12}}),
       "017b76baac3f361c86222d1a3acc89d00c275b5973f9c7b3ee42d3c23ac6914616"},
      {Fingerprinter("secret")("order-1001", 450),
       "0216b8b41244b58fa923e4cadfbb80f95a1167a4c751ba5b7cf2adb218ec1d75a2"},
  };
  int row = 0;
  for (const auto& [fingerprint, hex] : golden) {
    INFO("row " << row++);
    CHECK(fingerprint.hex() == hex);
    CHECK(Fingerprint::from_hex(hex) == fingerprint);
  }
}

TEST_CASE("the fingerprint of nothing is that of no request", "[fingerprint]") {
  CHECK(Fingerprint().hex() == std::string(66, '0'));
  CHECK(Fingerprint() == Fingerprint::from_hex(std::string(66, '0')));
  CHECK(Fingerprint() == Fingerprint());
  CHECK(Fingerprint() != fingerprint());
  CHECK(Fingerprint() != fingerprint(""));
  CHECK(Fingerprint().algorithm() == FingerprintAlgorithm::nothing);
  CHECK(fingerprint("").algorithm() == FingerprintAlgorithm::sha_256);
}

TEST_CASE("a string is the same part in every form", "[fingerprint]") {
  const Fingerprint expected = fingerprint("EUR");
  const char exact[3] = {'E', 'U', 'R'};  // no NUL: must not be read beyond its end
  const char padded[8] = {'E', 'U', 'R', 0, 'j', 'u', 'n', 'k'};
  char writable[4] = "EUR";
  const std::vector<std::byte> bytes = {std::byte{'E'}, std::byte{'U'}, std::byte{'R'}};
  CHECK(fingerprint(std::string("EUR")) == expected);
  CHECK(fingerprint(std::string_view("EUR!").substr(0, 3)) == expected);
  CHECK(fingerprint(exact) == expected);
  CHECK(fingerprint(padded) == expected);
  CHECK(fingerprint(writable) == expected);
  CHECK(fingerprint(bytes) == expected);
  CHECK(fingerprint(std::span(bytes)) == expected);
  CHECK(fingerprint(Label{}) == fingerprint("label"));
  CHECK(fingerprint(std::string("EUR\0", 4)) != expected);
}

TEST_CASE("an integer is its value, whatever its width", "[fingerprint]") {
  const Fingerprint five = fingerprint(5);
  CHECK(fingerprint(5L) == five);
  CHECK(fingerprint(5ULL) == five);
  CHECK(fingerprint(std::uint8_t{5}) == five);
  CHECK(fingerprint(std::int8_t{5}) == five);
  CHECK(fingerprint(short{5}) == five);
  const Fingerprint minus = fingerprint(-5);
  CHECK(fingerprint(-5LL) == minus);
  CHECK(fingerprint(std::int8_t{-5}) == minus);
  CHECK(minus != five);
  CHECK(fingerprint(-1) != fingerprint(std::numeric_limits<unsigned>::max()));
  CHECK(fingerprint(-1) != fingerprint(std::numeric_limits<std::uint64_t>::max()));
  CHECK(fingerprint(0) != fingerprint(-1));
}

TEST_CASE("optionals and ranges are the same part in every container", "[fingerprint]") {
  const Fingerprint expected = fingerprint(std::vector<int>{1, 2, 3});
  const int array[] = {1, 2, 3};
  CHECK(fingerprint(array) == expected);
  CHECK(fingerprint(std::array<long, 3>{1, 2, 3}) == expected);
  CHECK(fingerprint(std::list<short>{1, 2, 3}) == expected);
  CHECK(fingerprint(std::deque<int>{1, 2, 3}) == expected);
  CHECK(fingerprint(std::set<int>{3, 2, 1}) == expected);
  CHECK(fingerprint(std::span(array)) == expected);
  CHECK(fingerprint(std::vector<bool>{true, false}) == fingerprint(std::array<bool, 2>{true, false}));
  CHECK(fingerprint(std::optional<int>{}) == fingerprint(std::nullopt));
  CHECK(fingerprint(std::optional<std::string>{"x"}) == fingerprint(std::optional<std::string_view>{"x"}));
  const char names[2][4] = {"ab", "c"};
  CHECK(fingerprint(names) == fingerprint(std::vector<std::string>{"ab", "c"}));
}

TEST_CASE("parts that could be taken for each other differ", "[fingerprint]") {
  using Strings = std::vector<std::string>;
  using Ints = std::vector<int>;
  const std::optional<std::optional<int>> none, some_none{std::optional<int>{}}, some{std::optional<int>{1}};
  const std::vector<Fingerprint> all = {
      fingerprint(),
      fingerprint(""),
      fingerprint("", ""),
      fingerprint("ab", "c"),
      fingerprint("a", "bc"),
      fingerprint("abc"),
      fingerprint("", "abc"),
      fingerprint("abc", ""),
      fingerprint(1),
      fingerprint("1"),
      fingerprint(true),
      fingerprint(Colour::red),
      fingerprint(Colour::green),
      fingerprint(2),
      fingerprint(1, 2),
      fingerprint(12),
      fingerprint(0),
      fingerprint(false),
      fingerprint(Switch::off),
      fingerprint(std::nullopt),
      fingerprint(none, 0),
      fingerprint(some_none),
      fingerprint(some),
      fingerprint(std::optional<int>{1}),
      fingerprint(std::optional<std::string>{""}),
      fingerprint(Ints{}),
      fingerprint(Strings{""}),
      fingerprint(Ints{1}),
      fingerprint(Ints{1, 2}),
      fingerprint(Ints{1}, Ints{2}),
      fingerprint(Ints{1}, 2),
      fingerprint(Ints{2, 1}),
      fingerprint(std::vector<Ints>{{1, 2}}),
      fingerprint(std::vector<Ints>{{1}, {2}}),
      fingerprint(std::vector<Ints>{{1, 2}, {}}),
      fingerprint(std::vector<Ints>{{}, {1, 2}}),
      fingerprint(std::pair(1, 2)),
      fingerprint("tok", 2030, std::nullopt),
      fingerprint(Card{"tok", 2030, std::nullopt}),
      fingerprint(Card{"tok", 2030, 0}),
      fingerprint(std::vector<Card>{{"tok", 2030, std::nullopt}}),
      fingerprint(std::string(1, '\0')),
      fingerprint(std::string(2, '\0')),
      fingerprint(std::string("\x01\x01"
                              "a")),
      fingerprint(std::string("a\x01\x01"
                              "b")),
      fingerprint("a", "b"),
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) {
      CAPTURE(i, j);
      REQUIRE((all[i] == all[j]) == (i == j));
    }
  }
}

TEST_CASE("enumerators of equal value are equal, whatever they are declared on", "[fingerprint]") {
  CHECK(fingerprint(Colour::green) == fingerprint(plain_two));
  CHECK(fingerprint(Colour::green) != fingerprint(2));
}

TEST_CASE("one changed bit anywhere in a large part changes the fingerprint", "[fingerprint]") {
  const std::string request(300, 'r');
  std::set<std::string> seen{fingerprint(request).hex()};
  for (std::size_t i = 0; i < request.size(); ++i) {
    std::string changed = request;
    changed[i] ^= 1;
    seen.insert(fingerprint(changed).hex());
  }
  CHECK(seen.size() == 301);
}

TEST_CASE("hex text that is not exactly a fingerprint is refused", "[fingerprint]") {
  const std::string good = fingerprint("a").hex();
  std::string upper = good;
  for (char& c : upper) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  REQUIRE(upper != good);
  std::vector<std::string> bad = {"",
                                  "01",
                                  good.substr(1),
                                  good + "0",
                                  good.substr(0, 65),
                                  upper,
                                  "0x" + good.substr(2),
                                  good.substr(0, 65) + "g",
                                  good.substr(0, 65) + " ",
                                  " " + good.substr(1),
                                  good.substr(0, 65) + std::string(1, '\0'),
                                  "00" + good.substr(2)};
  for (const char c : {'/', ':', '`', 'g', '\xff'}) bad.push_back(good.substr(0, 30) + c + good.substr(31));
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_THROWS_MATCHES(Fingerprint::from_hex(text), Error, support::has_code<Error>(errc::codec_failure));
  }
  for (const char* id : {"03", "10", "ff"}) {
    CHECK_THROWS_MATCHES(Fingerprint::from_hex(id + good.substr(2)), Error,
                         support::has_code<Error>(errc::unsupported_format));
  }
}

TEST_CASE("a fingerprint comes back from its algorithm and digest", "[fingerprint]") {
  const Fingerprint original = fingerprint("order", 1);
  CHECK(Fingerprint::from_digest(original.algorithm(), original.digest()) == original);
  CHECK(Fingerprint::from_digest(FingerprintAlgorithm::hmac_sha_256, original.digest()) != original);
  CHECK(Fingerprint::from_digest(FingerprintAlgorithm::nothing, {}) == Fingerprint());
  CHECK_THROWS_MATCHES(Fingerprint::from_digest(FingerprintAlgorithm::nothing, original.digest()), Error,
                       support::has_code<Error>(errc::codec_failure));
  CHECK_THROWS_MATCHES(Fingerprint::from_digest(FingerprintAlgorithm{3}, original.digest()), Error,
                       support::has_code<Error>(errc::unsupported_format));
}

TEST_CASE("fingerprints differ when any one bit does", "[fingerprint]") {
  const Fingerprint original = fingerprint("a");
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto digest = original.digest();
    digest[bit / 8] ^= std::byte{1} << (bit % 8);
    CAPTURE(bit);
    REQUIRE(Fingerprint::from_digest(original.algorithm(), digest) != original);
  }
}

TEST_CASE("a secret makes another fingerprint, each secret its own", "[fingerprint][secret]") {
  const Fingerprinter one("one"), two("two");
  CHECK(one("order", 1) == one("order", 1));
  CHECK(one("order", 1) == Fingerprinter("one")("order", 1));
  CHECK(one("order", 1) != one("order", 2));
  CHECK(one("order", 1) != two("order", 1));
  CHECK(one("order", 1) != fingerprint("order", 1));
  CHECK_FALSE(one("order", 1).matches(two("order", 1)));
  CHECK_FALSE(one("order", 1).matches(fingerprint("order", 1)));
  CHECK_FALSE(one("order", 1).matches(Fingerprint()));
  CHECK(one("order", 1).matches(one("order", 1)));
  CHECK(fingerprint("order", 1).matches(fingerprint("order", 1)));
  CHECK_FALSE(fingerprint("order", 1).matches(one("order", 1)));
  CHECK(one("").algorithm() == FingerprintAlgorithm::hmac_sha_256);
}

TEST_CASE("what was stored under a previous secret still matches", "[fingerprint][secret]") {
  const Fingerprinter january("jan"), february("feb"), march("mar", {"feb", "jan"});
  const Fingerprint now = march("order", std::vector<int>{1, 2}, std::string(200, 'x'));
  const Fingerprint in_february = february("order", std::vector<int>{1, 2}, std::string(200, 'x'));
  CHECK(now == Fingerprinter("mar")("order", std::vector<int>{1, 2}, std::string(200, 'x')));
  CHECK(now.matches(now));
  CHECK(now.matches(in_february));
  CHECK(now.matches(january("order", std::vector<int>{1, 2}, std::string(200, 'x'))));
  CHECK(now.matches(Fingerprint::from_hex(in_february.hex())));
  CHECK_FALSE(now == in_february);
  CHECK_FALSE(in_february.matches(now));
  CHECK_FALSE(now.matches(february("order", std::vector<int>{1, 3}, std::string(200, 'x'))));
  CHECK_FALSE(now.matches(Fingerprinter("apr")("order", std::vector<int>{1, 2}, std::string(200, 'x'))));
  INFO("the same digest under another algorithm is another fingerprint");
  CHECK_FALSE(now.matches(Fingerprint::from_digest(FingerprintAlgorithm::sha_256, in_february.digest())));
}

TEST_CASE("copies match as their original does, what a record keeps does not", "[fingerprint][secret]") {
  const Fingerprint old = Fingerprinter("old")("a");
  Fingerprint copy;
  {
    const Fingerprint now = Fingerprinter("new", {"old"})("a");
    copy = now;
  }
  CHECK(copy.matches(old));
  CHECK(copy.current_only() == copy);
  CHECK_FALSE(copy.current_only().matches(old));
  CHECK_FALSE(Fingerprint::from_hex(copy.hex()).matches(old));
}

TEST_CASE("an empty secret is refused", "[fingerprint][secret]") {
  CHECK_THROWS_MATCHES(Fingerprinter(""), Error, support::has_code<Error>(errc::invalid_options));
  CHECK_THROWS_MATCHES(Fingerprinter("new", {"old", ""}), Error,
                       support::has_code<Error>(errc::invalid_options));
}
