// Records and their byte form: golden bytes, round trips, and every kind of damage.

#include <paidonce/record.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;
using namespace std::string_literals;

namespace {

Timestamp at(std::int64_t millis) { return Timestamp(Duration(millis)); }

/// A record in which nothing has its default.
Record full_record() {
  std::array<std::byte, 32> digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::byte>(i);
  Record record;
  record.fingerprint = Fingerprint::from_digest(FingerprintAlgorithm::sha_256, digest);
  record.state = State::succeeded;
  record.version = 0x0102030405060708;
  record.attempt_id = 0xfffefdfcfbfaf9f8;
  record.attempts = 0x01020304;
  record.created_at = at(1'700'000'000'000);
  record.updated_at = at(1'700'000'000'100);
  record.lease_until = at(1'700'000'030'000);
  record.expires_at = at(1'700'086'400'000);
  record.amount = "4.50 EUR";
  record.description = "order 1001";
  record.checkpoint = "step 2";
  record.response = "paid\0\xff"s;
  record.response_format = "text";
  record.note = "ann: seen";
  return record;
}

std::string from_hex(std::string_view hex) {
  std::string bytes;
  int high = -1;
  for (const char c : hex) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

/// Reads from memory that ends where the bytes end, so that a sanitizer sees any read past it.
Record read_exactly(std::string_view bytes) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  return record_from_bytes({exact.data(), exact.size()});
}

/// What is read of damaged bytes: nothing, when they are refused as a store's errors are.
std::optional<Record> read_damaged(std::string_view bytes) {
  try {
    return read_exactly(bytes);
  } catch (const Error& error) {
    const bool known = error.code() == errc::store_corrupt || error.code() == errc::unsupported_format ||
                       error.code() == errc::codec_failure;
    if (!known) FAIL("refused with " << error.what());
    return std::nullopt;
  }
}

constexpr std::size_t first_length_at = 1 + 1 + 32 + 1 + 8 + 8 + 4 + 4 * 8;

std::string with_length(std::string bytes, std::size_t where, std::uint32_t length) {
  for (std::size_t byte = 0; byte < 4; ++byte) bytes[where + byte] = static_cast<char>(length >> (8 * byte));
  return bytes;
}

}  // namespace

TEST_CASE("a record's bytes are as they always were", "[record]") {
  const std::string golden = from_hex(
      "01"                                                                // version of the format
      "01"                                                                // SHA-256
      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"  // digest
      "02"                                                                // succeeded
      "0807060504030201"                                                  // version
      "f8f9fafbfcfdfeff"                                                  // attempt_id
      "04030201"                                                          // attempts
      "0068e5cf8b010000"                                                  // created_at
      "6468e5cf8b010000"                                                  // updated_at
      "30dde5cf8b010000"                                                  // lease_until
      "00c40bd58b010000"                                                  // expires_at
      "08000000 342e353020455552"                                         // amount
      "0a000000 6f726465722031303031"                                     // description
      "06000000 737465702032"                                             // checkpoint
      "06000000 7061696400ff"                                             // response
      "04000000 74657874"                                                 // response_format
      "09000000 616e6e3a207365656e");                                     // note
  CHECK(to_bytes(full_record()) == golden);
  CHECK(read_exactly(golden) == full_record());
}

TEST_CASE("a fresh record's bytes are as they always were", "[record]") {
  std::string golden(111, '\0');
  golden[0] = 1;
  golden[34] = 1;  // in progress
  CHECK(to_bytes(Record{}) == golden);
  CHECK(read_exactly(golden) == Record{});
}

TEST_CASE("every field of a record comes back, at its extremes too", "[record]") {
  const std::function<void(Record&)> changes[] = {
      [](Record&) {},
      [](Record& r) { r.fingerprint = {}; },
      [](Record& r) { r.fingerprint = fingerprint("order-1001", 450, "EUR"); },
      [](Record& r) { r.fingerprint = Fingerprinter("secret")("order-1001"); },
      [](Record& r) { r.state = State::in_progress; },
      [](Record& r) { r.state = State::declined; },
      [](Record& r) { r.state = State::in_doubt; },
      [](Record& r) { r.state = State::released; },
      [](Record& r) { r.version = 0; },
      [](Record& r) { r.version = std::numeric_limits<Version>::max(); },
      [](Record& r) { r.attempt_id = 0; },
      [](Record& r) { r.attempt_id = std::numeric_limits<std::uint64_t>::max(); },
      [](Record& r) { r.attempts = 0; },
      [](Record& r) { r.attempts = std::numeric_limits<std::uint32_t>::max(); },
      [](Record& r) { r.created_at = Timestamp::min(); },
      [](Record& r) { r.updated_at = Timestamp::max(); },
      [](Record& r) { r.lease_until = at(-1); },
      [](Record& r) { r.expires_at = at(0); },
      [](Record& r) { r.amount.clear(); },
      [](Record& r) { r.description = std::string(70'000, 'd'); },
      [](Record& r) { r.checkpoint = "\0\0"s; },
      [](Record& r) { r.response = std::string(1 << 20, '\xff'); },
      [](Record& r) { r.response_format.clear(); },
      [](Record& r) { r.note = "line\nline"; },
  };
  for (const auto& change : changes) {
    Record record = full_record();
    change(record);
    CHECK(read_exactly(to_bytes(record)) == record);
  }
}

TEST_CASE("records are equal when all fields are, and only then", "[record]") {
  const std::function<void(Record&)> changes[] = {
      [](Record& r) { r.fingerprint = fingerprint("other"); },
      [](Record& r) { r.state = State::declined; },
      [](Record& r) { r.version += 1; },
      [](Record& r) { r.attempt_id += 1; },
      [](Record& r) { r.attempts += 1; },
      [](Record& r) { r.created_at += Duration(1); },
      [](Record& r) { r.updated_at += Duration(1); },
      [](Record& r) { r.lease_until += Duration(1); },
      [](Record& r) { r.expires_at += Duration(1); },
      [](Record& r) { r.amount += '.'; },
      [](Record& r) { r.description += '.'; },
      [](Record& r) { r.checkpoint += '.'; },
      [](Record& r) { r.response += '.'; },
      [](Record& r) { r.response_format += '.'; },
      [](Record& r) { r.note += '.'; },
  };
  CHECK(full_record() == full_record());
  for (const auto& change : changes) {
    Record changed = full_record();
    change(changed);
    CHECK(changed != full_record());
    CHECK(to_bytes(changed) != to_bytes(full_record()));
  }
}

TEST_CASE("text cannot wander from one field into the next", "[record]") {
  Record left, right;
  left.amount = "ab";
  left.description = "c";
  right.amount = "a";
  right.description = "bc";
  CHECK(to_bytes(left) != to_bytes(right));
}

TEST_CASE("bytes cut anywhere are refused", "[record][damage]") {
  const std::string bytes = to_bytes(full_record());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO("cut to " << size << " bytes");
    CHECK_THROWS_MATCHES(read_exactly(std::string_view(bytes).substr(0, size)), Error,
                         support::has_code<Error>(errc::store_corrupt));
  }
}

TEST_CASE("bytes behind the end are refused", "[record][damage]") {
  for (const char more : {'\0', '\x01', 'x'}) {
    CHECK_THROWS_MATCHES(read_exactly(to_bytes(full_record()) + more), Error,
                         support::has_code<Error>(errc::store_corrupt));
  }
}

TEST_CASE("a flipped bit is refused, or is seen in the record", "[record][damage]") {
  const Record record = full_record();
  const std::string bytes = to_bytes(record);
  int read = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    if (const auto other = read_damaged(damaged)) {
      ++read;
      INFO("bit " << bit);
      CHECK(*other != record);
      CHECK(to_bytes(*other) == damaged);  // nothing was dropped in silence
    }
  }
  CHECK(read > 0);
}

TEST_CASE("two flipped bits in the head are refused, or are seen in the record", "[record][damage]") {
  const Record record = full_record();
  const std::string bytes = to_bytes(record);
  const auto flip = [](std::string& text, std::size_t bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
  };
  for (std::size_t one = 0; one < 16; ++one) {
    for (std::size_t two = one + 1; two < std::size_t{35} * 8; ++two) {
      std::string damaged = bytes;
      flip(damaged, one);
      flip(damaged, two);
      if (const auto other = read_damaged(damaged)) {
        if (*other == record) FAIL("bits " << one << " and " << two);
      }
    }
  }
}

TEST_CASE("a state that does not exist is refused", "[record][damage]") {
  std::string bytes = to_bytes(full_record());
  for (int state = 0; state < 256; ++state) {
    bytes[34] = static_cast<char>(state);
    if (state >= 1 && state <= 5) {
      CHECK(read_exactly(bytes).state == static_cast<State>(state));
    } else {
      CHECK_THROWS_MATCHES(read_exactly(bytes), Error, support::has_code<Error>(errc::store_corrupt));
    }
  }
}

TEST_CASE("another version of the format is refused, and named", "[record][damage]") {
  std::string bytes = to_bytes(full_record());
  for (int version = 0; version < 256; ++version) {
    if (version == 1) continue;
    bytes[0] = static_cast<char>(version);
    CHECK_THROWS_MATCHES(read_exactly(bytes), Error, support::has_code<Error>(errc::unsupported_format));
    CHECK_THROWS_MATCHES(read_exactly(bytes), Error, support::says<Error>(std::to_string(version)));
    // Known by its first byte, however the rest of that version looks.
    CHECK_THROWS_MATCHES(read_exactly(std::string_view(bytes).substr(0, 1)), Error,
                         support::has_code<Error>(errc::unsupported_format));
  }
}

TEST_CASE("an algorithm of fingerprints that does not exist is refused", "[record][damage]") {
  std::string bytes = to_bytes(full_record());
  for (int algorithm = 3; algorithm < 256; ++algorithm) {
    bytes[1] = static_cast<char>(algorithm);
    CHECK_THROWS_AS(read_exactly(bytes), Error);
  }
}

TEST_CASE("a length beyond the bytes is refused, however large it is", "[record][damage]") {
  const std::string bytes = to_bytes(full_record());
  std::size_t where = first_length_at;
  for (const std::size_t size : {8u, 10u, 6u, 6u, 4u, 9u}) {
    const auto rest = static_cast<std::uint32_t>(bytes.size() - where - 4);
    for (const std::uint32_t length : {rest + 1, std::uint32_t{0x7fffffff}, std::uint32_t{0x80000000},
                                       std::uint32_t{0xfffffffe}, std::uint32_t{0xffffffff}}) {
      INFO("the length at " << where << " is " << length);
      CHECK_THROWS_MATCHES(read_exactly(with_length(bytes, where, length)), Error,
                           support::has_code<Error>(errc::store_corrupt));
    }
    where += 4 + size;
  }
  CHECK(where == bytes.size());
}

TEST_CASE("the errors of damaged bytes quote none of them", "[record][damage]") {
  Record record = full_record();
  record.response = record.note = record.checkpoint = "4111111111111111";
  const std::string bytes = to_bytes(record);
  const auto silent = Catch::Matchers::Predicate<Error>([](const Error& error) {
    return std::string_view(error.what()).find("4111") == std::string_view::npos;
  });
  for (std::size_t size = first_length_at; size < bytes.size(); ++size)
    CHECK_THROWS_MATCHES(record_from_bytes(std::string_view(bytes).substr(0, size)), Error, silent);
}

TEST_CASE("states have names", "[record]") {
  CHECK(to_string(State::in_progress) == "in_progress");
  CHECK(to_string(State::succeeded) == "succeeded");
  CHECK(to_string(State::declined) == "declined");
  CHECK(to_string(State::in_doubt) == "in_doubt");
  CHECK(to_string(State::released) == "released");
  CHECK(to_string(static_cast<State>(0)) == "unknown");
}
