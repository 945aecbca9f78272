// Damaged logs: refused, or read but for the last group where the damage is in it. Never a wrong record.

#include <paidonce/stores/file/recovery.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/log_builder.hpp"
#include "support/log_reading.hpp"
#include "support/memory_files.hpp"

using namespace paidonce;
using support::FilesByName;
using support::LogBuilder;
using support::LogReading;
using support::read_log;
using support::SeenFrame;
using support::SegmentBuilder;

namespace {

namespace format = paidonce::file_format;
using Numbers = std::vector<std::uint64_t>;

std::string name(std::uint64_t number) { return format::segment_name(number); }

/// A log of four segments, entered by rollover, by opening again and by rollover, the first cut to its end;
/// the last group has two frames.
struct Sample {
  Sample() : log(1024) {
    log.put("a");
    log.put("b");
    log.roll_over();
    log.put("c");
    log.erase("a");
    log.reopen(4, {{format::Kind::erase, std::string(IdempotencyKey("", "a").bytes())}});
    log.put("d");
    log.roll_over();
    log.put("e");
    log.put("f");
    last_group_at = log.newest().end;
    log.group({LogBuilder::frame_of("g"), LogBuilder::frame_of("h")});
    files = log.files();
    files[name(1)].resize(static_cast<std::size_t>(log.segments.at(1).end));
    frames = read_log(files).frames;
  }

  bool in_last_group(std::uint64_t segment, std::uint64_t at) const {
    return segment == 4 && at >= last_group_at;
  }

  LogBuilder log;
  std::uint64_t last_group_at = 0;
  FilesByName files;
  std::vector<SeenFrame> frames;
};

bool is_prefix(const std::vector<SeenFrame>& part, const std::vector<SeenFrame>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

std::string frame_at(const FilesByName& files, std::uint64_t segment, std::uint64_t at) {
  const std::string& bytes = files.at(name(segment));
  return bytes.substr(at, 24 + format::detail::get<std::uint32_t>(bytes.data() + at + 8));
}

/// Where the frames of a segment begin; behind them, where they end.
std::vector<std::uint64_t> frames_of(const LogBuilder& log, const FilesByName& files, std::uint64_t segment) {
  std::vector<std::uint64_t> places;
  std::uint64_t at = 128;
  for (; at < log.segments.at(segment).end; at += frame_at(files, segment, at).size()) places.push_back(at);
  places.push_back(at);
  return places;
}

void check_corrupt(const FilesByName& files, const std::string& file, const std::string& what = "") {
  const LogReading reading = read_log(files);
  INFO(reading.why);
  CHECK(reading.corrupt());
  CHECK_THAT(reading.why, support::starts_with(file + ", offset "));
  CHECK_THAT(reading.why, support::contains(what));
  CHECK_THAT(reading.why, support::contains("Nothing was changed"));
}

}  // namespace

TEST_CASE("every bit flipped gives the log, the log but for its last group, or a refusal",
          "[store][file][recovery][damage]") {
  const Sample sample;
  REQUIRE(sample.frames.size() == 9);
  std::size_t refused = 0, shorter = 0, same = 0;
  for (const auto& [segment, builder] : sample.log.segments) {
    const std::string& whole = sample.files.at(name(segment));
    FilesByName files = sample.files;
    for (std::size_t at = 0; at < whole.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        files[name(segment)][at] = static_cast<char>(whole[at] ^ (1 << bit));
        const LogReading reading = read_log(files);
        files[name(segment)][at] = whole[at];
        if (reading.corrupt()) {
          ++refused;
          // Behind the end of a segment nothing can be damaged.
          if (at >= builder.end) FAIL("refused for byte " << at << " of segment " << segment << reading.why);
        } else {
          const bool right = reading.accepted() && is_prefix(reading.frames, sample.frames) &&
                             (reading.frames.size() == 9 ||
                              (reading.frames.size() >= 7 && sample.in_last_group(segment, at)));
          if (!right)
            FAIL("byte " << at << " of segment " << segment << ": " << reading.frames.size() << " frames, "
                         << reading.why);
          ++(reading.frames.size() == 9 ? same : shorter);
        }
      }
  }
  CHECK(refused > 5000);
  CHECK(shorter > 1000);
  CHECK(same > 5000);
}

TEST_CASE("a log cut at any byte is refused, or whole", "[store][file][recovery][damage]") {
  const Sample sample;
  for (const auto& [segment, builder] : sample.log.segments) {
    const std::string& whole = sample.files.at(name(segment));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      FilesByName files = sample.files;
      files[name(segment)].resize(size);
      const LogReading reading = read_log(files);
      CAPTURE(segment, size);
      const std::uint64_t needed = segment == 2 ? sample.log.segments.at(3).head.previous_end : builder.end;
      if (segment == 4 || size < needed)
        REQUIRE(reading.corrupt());
      else
        REQUIRE(reading.frames == sample.frames);
    }
  }
}

TEST_CASE("bytes added to a file are refused", "[store][file][recovery][damage]") {
  const Sample sample;
  for (std::uint64_t segment = 2; segment <= 4; ++segment) {
    FilesByName files = sample.files;
    files[name(segment)] += '\0';
    check_corrupt(files, name(segment));
  }
}

TEST_CASE("a frame zeroed, duplicated or swapped is refused", "[store][file][recovery][damage]") {
  const Sample sample;
  for (std::uint64_t segment : {1U, 4U}) {
    const std::vector<std::uint64_t> places = frames_of(sample.log, sample.files, segment);
    for (std::size_t i = 0; i + 1 < places.size(); ++i) {
      if (sample.in_last_group(segment, places[i])) continue;
      CAPTURE(segment, i);
      const std::string frame = frame_at(sample.files, segment, places[i]);
      FilesByName files = sample.files;
      files[name(segment)].replace(places[i], frame.size(), frame.size(), '\0');
      check_corrupt(files, name(segment), "does not verify");
      // In the place of the next one, all frames being of the same size.
      const std::string next =
          frame_at(sample.files, segment, places[i] + (i + 2 < places.size() ? frame.size() : 0));
      if (i + 2 == places.size() || sample.in_last_group(segment, places[i + 1])) continue;
      files = sample.files;
      files[name(segment)].replace(places[i + 1], frame.size(), frame);
      check_corrupt(files, name(segment), "does not verify");
      files[name(segment)].replace(places[i], next.size(), next);
      check_corrupt(files, name(segment), "does not verify");
    }
  }
}

TEST_CASE("the place of a damaged frame is told", "[store][file][recovery][damage]") {
  const Sample sample;
  const std::vector<std::uint64_t> places = frames_of(sample.log, sample.files, 4);
  FilesByName files = sample.files;
  files[name(4)][places[1] + 30] ^= 1;
  const LogReading reading = read_log(files);
  CHECK_THAT(reading.why,
             support::starts_with(name(4) + ", offset " + std::to_string(places[1]) + ": frame 7 "));
  CHECK_THAT(reading.why, support::contains(name(4) + " says at offset " + std::to_string(places[2])));
}

TEST_CASE("a frame of another segment or another store does not verify", "[store][file][recovery][damage]") {
  const Sample sample;
  LogBuilder other(1024, 0x77);
  other.put("a");
  other.put("b");
  const std::string foreign = frame_at(other.files(), 1, 128);
  FilesByName files = sample.files;
  files[name(1)].replace(128, foreign.size(), foreign);
  check_corrupt(files, name(1), "does not verify");
  files = sample.files;
  const std::string from_other_segment = frame_at(sample.files, 4, 128);
  files[name(1)].replace(128, from_other_segment.size(), from_other_segment);
  check_corrupt(files, name(1), "does not verify");
}

TEST_CASE("a frame that verifies and is not the next is refused", "[store][file][recovery][damage]") {
  for (const format::Sequence sequence : {1U, 4U, 300U}) {
    LogBuilder log(1024);
    log.put("a");
    log.put("b");
    log.newest().add(format::Kind::put, LogBuilder::frame_of("c").payload, sequence, 0);
    CAPTURE(sequence);
    check_corrupt(log.files(), name(1), "the one that stands here is another");
  }
}

TEST_CASE("files swapped, copied or of another store are refused", "[store][file][recovery][damage]") {
  const Sample sample;
  FilesByName files = sample.files;
  std::swap(files[name(2)], files[name(3)]);
  check_corrupt(files, name(3), name(2));
  files = sample.files;
  files[name(5)] = files[name(4)];
  check_corrupt(files, name(5), name(4));
  LogBuilder other(1024, 0x77);
  for (int i = 0; i < 3; ++i) {
    other.put("x");
    other.roll_over();
  }
  for (std::uint64_t segment = 1; segment <= 4; ++segment) {
    files = sample.files;
    files[name(segment)] = other.files()[name(segment)];
    CAPTURE(segment);
    CHECK(read_log(files).corrupt());
    CHECK_THAT(read_log(files).why, support::contains("belongs to another store"));
  }
}

TEST_CASE("a file that is missing is found, wherever it was", "[store][file][recovery][damage]") {
  const Sample sample;
  for (std::uint64_t segment = 1; segment <= 3; ++segment) {
    FilesByName files = sample.files;
    files.erase(name(segment));
    CAPTURE(segment);
    check_corrupt(files, name(segment), "missing");
  }
  // Of the newest only the one before it can tell: it was cut to its end.
  FilesByName files = sample.files;
  files[name(3)].resize(static_cast<std::size_t>(sample.log.segments.at(3).end));
  REQUIRE(read_log(files).accepted());
  files.erase(name(4));
  check_corrupt(files, name(3), "newer segments are missing");
  // All heads but none that can be read.
  check_corrupt({{name(7), std::string(1000, '\0')}}, name(7), "no segment of the log has a head");
}

// ---- what proves that something had been there ----------------------------------------------------------

TEST_CASE("a later group proves that the one before it was synced", "[store][file][recovery][damage]") {
  LogBuilder log(1024);
  log.put("a");
  const std::uint64_t b = log.newest().end;
  log.put("b");
  const std::uint64_t c = log.newest().end;
  log.put("c");
  FilesByName files = log.files();
  files[name(1)].replace(b, c - b, c - b, '\0');
  check_corrupt(files, name(1), "frames up to 2 were on the disk");
  files[name(1)][c + 30] ^= 1;  // nothing tells any more
  const LogReading reading = read_log(files);
  CHECK(reading.accepted());
  CHECK(reading.frames.size() == 1);
}

TEST_CASE("its own head proves what a fresh segment was synced with", "[store][file][recovery][damage]") {
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  log.reopen(2, {LogBuilder::frame_of("b")});
  FilesByName files = log.files();
  files[name(2)][128 + 30] ^= 1;
  check_corrupt(files, name(2), "frames up to 2 were on the disk");
}

TEST_CASE("a head proves all before it, whatever it says was synced", "[store][file][recovery][damage]") {
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  log.roll_over();
  log.newest().head.synced = 0;
  log.newest().write_head();
  log.newest().add(format::Kind::put, LogBuilder::frame_of("c").payload, 3, 0);
  FilesByName files = log.files();
  const LogReading reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.tail() == std::vector<format::Sequence>{3});
  CHECK(reading.log.segments[1].end == 128);
  files[name(1)][140] ^= 1;
  check_corrupt(files, name(1), name(2) + " says that frames go on");
}

TEST_CASE("frames behind a head that cannot be read prove that its segment was in use",
          "[store][file][recovery][damage]") {
  const int way = GENERATE(0, 1, 2);
  LogBuilder log(1024);
  log.put("a");
  log.roll_over();
  log.put("b");
  log.put("c");  // says that "b" was synced
  FilesByName files = log.files();
  std::string& bytes = files[name(2)];
  if (way == 0) bytes[17] ^= 1;
  if (way == 1) bytes.replace(0, 128, 128, '\0');
  if (way == 2) bytes.replace(0, 128, 128, '\xFF');
  const LogReading reading = read_log(files);
  CHECK(reading.corrupt());
  CHECK_THAT(reading.why, support::contains(name(2) + " says at offset"));
}

TEST_CASE("frames behind a head that cannot be read prove what the segment before it has lost",
          "[store][file][recovery][damage]") {
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  const std::uint64_t end = log.newest().end;
  log.roll_over();
  log.put("c");  // says that "b" was synced
  FilesByName files = log.files();
  files[name(2)][17] ^= 1;
  REQUIRE(read_log(files).frames.size() == 2);
  files[name(1)][end - 1] ^= 1;
  check_corrupt(files, name(1), name(2) + " says at offset 128 that frames up to 2 were on the disk");
}

TEST_CASE("content in a segment behind one that was never begun is refused",
          "[store][file][recovery][damage]") {
  LogBuilder log(1024);
  log.put("a");
  log.prepare();
  FilesByName files = log.files();
  files[name(3)] = std::string(1024, '\0');
  REQUIRE(read_log(files).accepted());
  files[name(3)][700] = 1;
  check_corrupt(files, name(3));
  files[name(3)][700] = 0;
  files[name(2)][700] = 1;  // may be torn
  CHECK(read_log(files).accepted());
}

// ---- heads and payloads that verify, and cannot be ------------------------------------------------------

TEST_CASE("a head that contradicts itself or its neighbour is refused", "[store][file][recovery][damage]") {
  const Sample sample;
  using Change = std::function<void(format::SegmentHead&)>;
  const struct {
    const char* what;
    std::uint64_t segment;
    Change change;
  } changes[] = {
      {"number", 4, [](auto& head) { head.number = 5; }},
      {"number", 3, [](auto& head) { head.number = 2; }},
      {"no first sequence", 4, [](auto& head) { head.first_sequence = 0; }},
      {"first sequence too small", 4, [](auto& head) { head.first_sequence -= 1; }},
      {"first sequence too large", 4, [](auto& head) { head.first_sequence += 1; }},
      {"first sequence far too small", 4, [](auto& head) { head.first_sequence = 1; }},
      {"first sequence of the first", 1, [](auto& head) { head.first_sequence = 2; }},
      {"synced too large", 4, [](auto& head) { head.synced = 20; }},
      {"synced too large in an old one", 2, [](auto& head) { head.synced = 20; }},
      {"end before the first frame", 4, [](auto& head) { head.previous_end = 127; }},
      {"end at the first frame", 4, [](auto& head) { head.previous_end = 128; }},
      {"end within a frame", 4, [](auto& head) { head.previous_end -= 1; }},
      {"end behind the frames", 4, [](auto& head) { head.previous_end += 1; }},
      {"end behind the file", 4, [](auto& head) { head.previous_end = 1025; }},
      {"an end before the first", 1, [](auto& head) { head.previous_end = 128; }},
      {"no end", 4, [](auto& head) { head.previous_end = 0; }},
      {"no oldest", 4, [](auto& head) { head.oldest = 0; }},
      {"oldest is newer", 4, [](auto& head) { head.oldest = 5; }},
      {"size", 4, [](auto& head) { head.size = 1023; }},
      {"size", 4, [](auto& head) { head.size = 1025; }},
      {"size of an old one", 3, [](auto& head) { head.size = 1023; }},
      {"size of an old one", 1, [](auto& head) { head.size = 100; }},
      {"store", 4, [](auto& head) { head.store[3] ^= 1; }},
      {"store", 1, [](auto& head) { head.store[3] ^= 1; }},
  };
  for (const auto& [what, segment, change] : changes) {
    SegmentBuilder changed = sample.log.segments.at(segment);
    change(changed.head);
    changed.write_head();
    FilesByName files = sample.files;
    files[name(segment)].replace(0, 128, changed.bytes, 0, 128);
    const LogReading reading = read_log(files);
    INFO(what << " of " << segment << ": " << reading.why);
    CHECK(reading.corrupt());
  }
}

TEST_CASE("a lone head that contradicts itself is refused as such", "[store][file][recovery][damage]") {
  using Change = std::function<void(format::SegmentHead&)>;
  const Change changes[] = {
      [](auto& head) { head.first_sequence = 0; },
      [](auto& head) { head.oldest = 0; },
      [](auto& head) { head.oldest = 7; },
      [](auto& head) { head.previous_end = 0; },
      [](auto& head) { head.previous_end = 127; },
      [](auto& head) { head.size = 127; },
      [](auto& head) { head = {.number = 1, .first_sequence = 2, .oldest = 1, .size = 512}; },
      [](auto& head) { head = {.number = 1, .previous_end = 128, .oldest = 1, .size = 512}; }};
  for (const Change& change : changes) {
    format::SegmentHead head;
    head.number = head.oldest = 6;
    head.first_sequence = 9;
    head.previous_end = 200;
    head.size = 512;
    const std::uint64_t file_size = head.size;
    REQUIRE(read_log(FilesByName{{name(6), SegmentBuilder(head).bytes}}).accepted());
    change(head);
    SegmentBuilder segment(head);
    segment.bytes.resize(static_cast<std::size_t>(file_size));
    CAPTURE(&change - changes);
    check_corrupt({{name(head.number), segment.bytes}}, name(head.number), "contradicts itself");
  }
}

TEST_CASE("a newer format is refused as such, in any segment", "[store][file][recovery][version]") {
  const Sample sample;
  for (std::uint64_t segment = 1; segment <= 4; ++segment) {
    FilesByName files = sample.files;
    std::string& bytes = files[name(segment)];
    bytes[8] = 2;
    format::detail::put(bytes.data() + 124, crc32c(0, bytes.data(), 124));
    const LogReading reading = read_log(files);
    CHECK(reading.error == make_error_code(errc::unsupported_format));
    CHECK_THAT(reading.why, support::contains(name(segment) + " has format version 2"));
  }
}

TEST_CASE("a frame that verifies and holds what cannot be is refused", "[store][file][recovery][damage]") {
  const auto number = [](std::uint64_t value) {
    std::string bytes(8, '\0');
    format::detail::put(bytes.data(), value);
    return bytes;
  };
  const std::string put = LogBuilder::frame_of("k").payload;
  const struct {
    format::Kind kind;
    std::string payload;
    bool right;
  } cases[] = {
      {format::Kind::put, put, true},
      {format::Kind::put, "", false},
      {format::Kind::put, put + 'x', false},
      {format::Kind::put, put.substr(0, put.size() - 1), false},
      {format::Kind::erase, std::string("\0k", 2), true},
      {format::Kind::erase, "", false},
      {format::Kind::erase, std::string("\x05k", 2), false},
      {format::Kind::trim, number(1), true},
      {format::Kind::trim, number(2), false},  // the segment in which it stands
      {format::Kind::trim, number(UINT64_MAX), false},
      {format::Kind::trim, "1", false},
      {format::Kind::closed, "", true},
      {format::Kind::closed, "x", false},
      {format::Kind::entry, "", false},  // of an audit log
  };
  for (const auto& [kind, payload, right] : cases) {
    LogBuilder log(1024);
    log.put("a");
    log.roll_over();
    log.group({{kind, payload}});
    CAPTURE(static_cast<int>(kind), payload.size());
    if (right)
      CHECK(read_log(log).accepted());
    else
      check_corrupt(log.files(), name(2), "does not add up");
  }
}
