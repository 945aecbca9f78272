// The bytes on the page docs/file_format.md are those that the code writes, and it reads them.

#include <paidonce/stores/file/format.hpp>

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/stores/file/packed_payload.hpp>
#include <paidonce/stores/memory/packed_record.hpp>
#include "support/catch.hpp"
#include "support/log_builder.hpp"
#include "support/log_reading.hpp"

using namespace paidonce;
using support::LogBuilder;

namespace {

namespace format = paidonce::file_format;

/// The blocks of the page that are marked as hex, decoded: pairs of digits up to two blanks.
std::vector<std::string> blocks_of_page() {
  std::ifstream page(PAIDONCE_DOCS "/file_format.md");
  std::vector<std::string> blocks;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      if (inside) blocks.emplace_back();
    } else if (inside) {
      for (std::size_t at = 0; at + 1 < line.size() && line[at] != ' '; at += 3)
        blocks.back() += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
    }
  }
  return blocks;
}

Timestamp at(std::int64_t count) { return Timestamp(Duration(count)); }

Record narrow_record() {
  std::array<std::byte, 32> digest;
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::byte>(0xC0 + i);
  Record record;
  record.fingerprint = Fingerprint::from_digest(FingerprintAlgorithm::sha_256, digest);
  record.state = State::succeeded;
  record.version = 1'700'000'000'250'000;
  record.attempt_id = 0x1122334455667788;
  record.attempts = 1;
  record.created_at = at(1'700'000'000'000);
  record.updated_at = at(1'700'000'000'250);
  record.expires_at = at(1'700'086'400'250);
  record.amount = "12.34 EUR";
  record.response = "17";
  record.response_format = "json";
  return record;
}

Record wide_record() {
  Record record = narrow_record();
  record.state = State::in_doubt;
  record.attempts = 70'000;
  record.expires_at = {};
  record.amount = record.response = record.response_format = "";
  record.note = "timeout";
  return record;
}

const IdempotencyKey key("shop", "order-17");

/// As the store packs it.
std::string packed(const Record& record) {
  const detail::PackedRecord::Owner block = detail::PackedRecord::make(key.bytes(), 0, record);
  return std::string(block->bytes());
}

LogBuilder log_of_page() {
  LogBuilder log(512);
  log.group({{format::Kind::put, packed(narrow_record())}});
  log.erase("a");
  log.roll_over();
  log.trim(1);
  log.group({{format::Kind::put, packed(wide_record())}, {format::Kind::closed, ""}});
  return log;
}

}  // namespace

TEST_CASE("the bytes on the page are those that are written", "[store][file][format]") {
  const std::vector<std::string> blocks = blocks_of_page();
  REQUIRE(blocks.size() == 2);
  LogBuilder log = log_of_page();
  for (std::uint64_t number : {1U, 2U}) {
    const support::SegmentBuilder& segment = log.segments.at(number);
    const std::string& block = blocks[static_cast<std::size_t>(number) - 1];
    CAPTURE(number);
    REQUIRE(block.size() == segment.end);
    for (std::size_t byte = 0; byte < block.size(); ++byte) {
      CAPTURE(byte);
      REQUIRE(static_cast<int>(static_cast<unsigned char>(segment.bytes[byte])) ==
              static_cast<int>(static_cast<unsigned char>(block[byte])));
    }
  }
}

TEST_CASE("the bytes on the page are read as it says", "[store][file][format]") {
  support::FilesByName files;
  for (const std::string& block : blocks_of_page())
    files[format::segment_name(files.size() + 1)] = block + std::string(512 - block.size(), '\0');
  support::LogReading reading = support::read_log(files);
  REQUIRE(reading.accepted());
  REQUIRE(reading.frames.size() == 5);
  const detail::KeyAndRecord narrow = detail::unpack_payload(reading.frames[0].payload);
  CHECK(narrow.key == key);
  CHECK(narrow.record == narrow_record());
  CHECK(reading.frames[1].payload == IdempotencyKey("", "a").bytes());
  CHECK(reading.log.trimmed == 1);
  CHECK(detail::unpack_payload(reading.frames[3].payload).record == wide_record());
  CHECK(reading.log.closed);
  CHECK(reading.log.store == LogBuilder::id(0x51));
}

TEST_CASE("a head is read as it was written", "[store][file][format]") {
  format::SegmentHead head;
  head.store = LogBuilder::id(3);
  head.number = 0x0102030405060708;
  head.first_sequence = 2;
  head.synced = 3;
  head.previous_end = 4;
  head.oldest = 5;
  head.size = 6;
  head.opener = LogBuilder::id(7);
  head.created_at_unix_ms = -8;
  const format::SegmentHeadBytes bytes = format::encode(head);
  format::SegmentHead read;
  REQUIRE(format::decode(bytes.data(), read) == format::HeadState::right);
  CHECK(format::encode(read) == bytes);
  CHECK(read.number == head.number);
  CHECK(read.first_sequence == 2);
  CHECK(read.synced == 3);
  CHECK(read.previous_end == 4);
  CHECK(read.oldest == 5);
  CHECK(read.size == 6);
  CHECK(read.opener == head.opener);
  CHECK(read.created_at_unix_ms == -8);
}

TEST_CASE("names of segments are read back, and others are none", "[store][file][format]") {
  for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{0xabcdef}, UINT64_MAX})
    CHECK(format::number_of_segment(format::segment_name(number)) == number);
  CHECK(format::segment_name(0x1f) == "log.000000000000001f");
  for (const char* const other : {"", "log.", "log.tmp", "log.000000000000001F", "log.000000000000001",
                                  "lag.0000000000000001", "log.000000000000001 ", "log.00000000000000001"})
    CHECK_FALSE(format::number_of_segment(other));
}
