// The codecs of the core: text, bytes, whole numbers.

#include <paidonce/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::string_literals;

namespace {

template <class R>
R again(const R& value) {
  return Codec<R>::decode(Codec<R>::encode(value));
}

std::string every_byte() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

template <class I>
void extremes() {
  using Limits = std::numeric_limits<I>;
  for (const I value : {Limits::min(), static_cast<I>(Limits::min() + 1), I{0}, I{1},
                        static_cast<I>(Limits::max() - 1), Limits::max()}) {
    CHECK(again(value) == value);
  }
}

}  // namespace

TEST_CASE("text comes back as it was, whatever bytes it holds", "[codec]") {
  for (const std::string& text : {""s, "paid"s, "with\0NUL"s, every_byte(), std::string(100'000, 'x')}) {
    CHECK(Codec<std::string>::encode(text) == text);
    CHECK(again(text) == text);
  }
}

TEST_CASE("byte vectors come back as they were", "[codec]") {
  const std::string all = every_byte();
  const std::vector<unsigned char> bytes(all.begin(), all.end());
  CHECK(Codec<std::vector<unsigned char>>::encode(bytes) == all);
  CHECK(again(bytes) == bytes);
  CHECK(again(std::vector<unsigned char>{}).empty());
  const std::vector<std::byte> raw{std::byte{0}, std::byte{0x7f}, std::byte{0x80}, std::byte{0xff}};
  CHECK(Codec<std::vector<std::byte>>::encode(raw) == "\0\x7f\x80\xff"s);
  CHECK(again(raw) == raw);
  CHECK(again(std::vector<std::byte>{}).empty());
}

TEST_CASE("whole numbers come back at their extremes", "[codec]") {
  extremes<signed char>();
  extremes<unsigned char>();
  extremes<short>();
  extremes<unsigned short>();
  extremes<int>();
  extremes<unsigned>();
  extremes<long>();
  extremes<unsigned long>();
  extremes<long long>();
  extremes<unsigned long long>();
}

TEST_CASE("a whole number is decimal text, so that another width reads it", "[codec]") {
  CHECK(Codec<int>::encode(-450) == "-450");
  CHECK(Codec<signed char>::encode(65) == "65");
  CHECK(Codec<unsigned char>::encode(255) == "255");
  CHECK(Codec<std::int64_t>::decode(Codec<std::int8_t>::encode(-128)) == -128);
  CHECK(Codec<std::uint8_t>::decode(Codec<std::uint64_t>::encode(255)) == 255);
  CHECK(Codec<std::int64_t>::encode(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(Codec<std::uint64_t>::encode(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("a number that does not fit the type is refused, not cut", "[codec]") {
  const auto refused = support::has_code<Error>(errc::codec_failure);
  CHECK_THROWS_MATCHES(Codec<std::int8_t>::decode("128"), Error, refused);
  CHECK_THROWS_MATCHES(Codec<std::int8_t>::decode("-129"), Error, refused);
  CHECK_THROWS_MATCHES(Codec<std::uint8_t>::decode("256"), Error, refused);
  CHECK_THROWS_MATCHES(Codec<unsigned>::decode("-1"), Error, refused);
  CHECK_THROWS_MATCHES(Codec<std::int64_t>::decode("9223372036854775808"), Error, refused);
  CHECK_THROWS_MATCHES(Codec<std::uint64_t>::decode("18446744073709551616"), Error, refused);
}

TEST_CASE("what is no whole number is refused", "[codec]") {
  for (const std::string& text : {""s, " "s, "1 "s, " 1"s, "+1"s, "--1"s, "-"s, "1.0"s, "1e3"s, "0x10"s,
                                  "one"s, "1\n"s, "1\0"s, "\0"s, "1,000"s, "\xef\xbc\x91"s}) {
    INFO('"' << text << '"');
    CHECK_THROWS_MATCHES(Codec<int>::decode(text), Error, support::has_code<Error>(errc::codec_failure));
    CHECK_THROWS_MATCHES(Codec<std::uint64_t>::decode(text), Error,
                         support::has_code<Error>(errc::codec_failure));
  }
}

TEST_CASE("the text of a codec failure does not quote what was stored", "[codec]") {
  const auto silent = Catch::Matchers::Predicate<Error>([](const Error& error) {
    return std::string_view(error.what()).find("4111") == std::string_view::npos;
  });
  CHECK_THROWS_MATCHES(Codec<int>::decode("4111111111111111"), Error, silent);
}

TEST_CASE("decoding reads no byte past the end", "[codec]") {
  const std::vector<char> exactly{'1', '2', '3'};  // where a sanitizer sees the next one
  CHECK(Codec<int>::decode({exactly.data(), 2}) == 12);
  CHECK(Codec<int>::decode({exactly.data(), 3}) == 123);
}
