// The payload of a put frame: read back what the store packs, and refuse what does not add up.

#include <paidonce/stores/file/packed_payload.hpp>

#include <random>
#include <string>
#include <string_view>

#include <paidonce/stores/memory/packed_record.hpp>
#include "support/catch.hpp"
#include "support/log_builder.hpp"

using namespace paidonce;

namespace {

/// What the store itself packs.
std::string packed_by_store(const IdempotencyKey& key, const Record& record) {
  const detail::PackedRecord::Owner block = detail::PackedRecord::make(key.bytes(), 0, record);
  const std::size_t numbers =
      (reinterpret_cast<const unsigned char*>(block.get())[7] & 1) == 0 ? std::size_t{24} : std::size_t{56};
  std::size_t size = 64 + numbers + key.bytes().size();
  for (const std::string* text : {&record.amount, &record.description, &record.checkpoint, &record.response,
                                  &record.response_format, &record.note})
    size += text->size();
  return {reinterpret_cast<const char*>(block.get()), size};
}

Timestamp at(std::int64_t count) { return Timestamp(Duration(count)); }

Record narrow_record() {
  Record record;
  record.fingerprint = fingerprint("order-17", "12.34", "EUR");
  record.state = State::succeeded;
  record.version = 1'700'000'000'000'001;
  record.attempt_id = 0x1122334455667788;
  record.attempts = 3;
  record.created_at = at(1'700'000'000'000);
  record.updated_at = at(1'700'000'000'250);
  record.expires_at = at(1'701'000'000'000);
  record.amount = "12.34 EUR";
  record.description = "order 17";
  record.checkpoint = "authorised";
  record.response = "{\"receipt\":17}";
  record.response_format = "json";
  record.note = "a note";
  return record;
}

Record wide_record() {
  Record record = narrow_record();
  record.attempts = 70'000;
  record.expires_at = Timestamp::max();
  record.lease_until = Timestamp::min();
  record.note = std::string(300, 'n');
  return record;
}

const IdempotencyKey key("shop", "order-17");

}  // namespace

TEST_CASE("what the store packs is read back whole", "[store][file][payload]") {
  const bool wide = GENERATE(false, true);
  const Record record = wide ? wide_record() : narrow_record();
  const std::string bytes = packed_by_store(key, record);
  REQUIRE((bytes[7] & 1) == (wide ? 1 : 0));
  REQUIRE(detail::is_packed_record(bytes));
  const detail::KeyAndRecord found = detail::unpack_payload(bytes);
  CHECK(found.key == key);
  CHECK(found.record == record);
}

TEST_CASE("random records are read back whole", "[store][file][payload]") {
  std::mt19937_64 random(20240703);
  const auto text = [&](std::size_t most) { return std::string(random() % (most + 1), 't'); };
  for (int round = 0; round < 500; ++round) {
    Record record = narrow_record();
    record.state = static_cast<State>(1 + random() % 5);
    record.attempts = static_cast<std::uint32_t>(random() % 3 == 0 ? random() : random() % 10);
    record.updated_at = at(static_cast<std::int64_t>(random()));
    if (random() % 2 == 0)
      record.updated_at = record.created_at + Duration(static_cast<std::int64_t>(random() % 1000));
    record.amount = text(20);
    record.checkpoint = text(random() % 20 == 0 ? 70'000 : 100);
    record.response = text(400);
    record.note = text(300);
    const IdempotencyKey any(text(255), "k" + text(254));
    const std::string bytes = packed_by_store(any, record);
    const detail::KeyAndRecord found = detail::unpack_payload(bytes);
    REQUIRE(found.key == any);
    REQUIRE(found.record == record);
  }
}

TEST_CASE("what the tests pack by hand is what the store packs", "[store][file][payload]") {
  for (const Record& record : {narrow_record(), wide_record()}) {
    std::string theirs = packed_by_store(key, record);
    const bool wide = (theirs[7] & 1) != 0;
    if (!wide) theirs[64 + 22] = theirs[64 + 23] = 0;  // not used
    CHECK(support::packed(key, record, wide ? support::Layout::wide : support::Layout::narrow) == theirs);
  }
}

TEST_CASE("bytes cut off or added make no record", "[store][file][payload]") {
  for (const Record& record : {narrow_record(), wide_record()}) {
    const std::string bytes = packed_by_store(key, record);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(detail::is_packed_record(std::string_view(bytes).substr(0, size)));
    }
    CHECK_FALSE(detail::is_packed_record(bytes + 'x'));
    CHECK_THROWS_MATCHES(detail::unpack_payload(bytes + 'x'), Error,
                         support::has_code<Error>(errc::store_corrupt));
  }
}

TEST_CASE("a field that cannot be makes no record", "[store][file][payload]") {
  const std::string right = packed_by_store(key, narrow_record());
  const auto with = [&](std::size_t place, unsigned char value) {
    std::string bytes = right;
    bytes[place] = static_cast<char>(value);
    return bytes;
  };
  REQUIRE(detail::is_packed_record(right));
  CHECK_FALSE(detail::is_packed_record(with(6, 0)));  // state
  CHECK_FALSE(detail::is_packed_record(with(6, 6)));
  CHECK_FALSE(detail::is_packed_record(with(7, 3 << 1)));      // algorithm
  CHECK_FALSE(detail::is_packed_record(with(7, 0)));           // no algorithm, yet a digest
  CHECK_FALSE(detail::is_packed_record(with(7, 1 << 1 | 1)));  // the other layout
  CHECK_FALSE(detail::is_packed_record(with(4, 2)));           // size of the key
  CHECK_FALSE(detail::is_packed_record(with(64 + 24, 200)));   // size of the scope within the key
  std::string too_far = right;
  too_far.replace(64, 4, std::string("\0\0\0\x80", 4));
  CHECK_FALSE(detail::is_packed_record(too_far));
}

TEST_CASE("sizes whose sum overflows make no record", "[store][file][payload]") {
  std::string bytes = packed_by_store(key, wide_record());
  for (std::size_t i = 0; i < 24; ++i) bytes[64 + 24 + i] = '\xFF';
  CHECK_FALSE(detail::is_packed_record(bytes));
}

TEST_CASE("a key's bytes are told from others", "[store][file][payload]") {
  const auto is_key = [](std::string_view bytes) { return detail::is_key_bytes(bytes); };
  CHECK(is_key(IdempotencyKey("", "k").bytes()));
  CHECK(is_key(IdempotencyKey(std::string(255, 's'), std::string(255, 't')).bytes()));
  CHECK_FALSE(is_key(""));
  CHECK_FALSE(is_key(std::string_view("\0", 1)));
  CHECK_FALSE(is_key("\x01s"));
  CHECK_FALSE(is_key(std::string(1, '\0') + std::string(256, 't')));
}
