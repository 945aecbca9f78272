// Logs that are whole, torn or half made: what is accepted of them, and what the store is to do with the
// rest.

#include <paidonce/stores/file/recovery.hpp>

#include <cstdint>
#include <map>
#include <stdexcept>
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
using support::MemoryFiles;
using support::read_log;
using support::SeenFrame;

namespace {

namespace format = paidonce::file_format;
using Sequences = std::vector<format::Sequence>;
using Numbers = std::vector<std::uint64_t>;
using Names = std::vector<std::string>;

std::string name(std::uint64_t number) { return format::segment_name(number); }

/// Three frames, the last of them a group of its own.
LogBuilder three_groups() {
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  log.put("c");
  return log;
}

/// Three segments: the second entered by a rollover, the third by opening the store again.
LogBuilder three_segments() {
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  log.roll_over();
  log.put("c");
  log.erase("a");
  log.reopen(4, {{format::Kind::erase, std::string(IdempotencyKey("", "a").bytes())}});
  log.put("d");
  log.put("e");
  return log;
}

}  // namespace

TEST_CASE("an empty directory has no log", "[store][file][recovery]") {
  const LogReading reading = read_log(FilesByName{});
  REQUIRE(reading.accepted());
  CHECK(reading.log.segments.empty());
  CHECK(reading.log.last_sequence == 0);
  CHECK(reading.log.others.empty());
  CHECK(reading.log.leftovers.empty());
}

TEST_CASE("names that are not the log's are told and left alone", "[store][file][recovery]") {
  const Names others = {
      "log.",    "log.0",     "log.0000000000000000", "log.00000000000000001", "log.000000000000000G",
      "log.old", "lost+found"};
  FilesByName files;
  for (const std::string& other : others) files[other] = "anything";
  CHECK(read_log(files).log.others == others);
  for (auto& file : three_groups().files()) files.insert(file);
  const LogReading reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.log.others == others);
  CHECK(reading.frames.size() == 3);
  CHECK(reading.log.leftovers.empty());
}

TEST_CASE("the making of a store that did not end left nothing but a file to remove",
          "[store][file][recovery]") {
  const LogReading reading = read_log(FilesByName{{"log.tmp", "half"}});
  REQUIRE(reading.accepted());
  CHECK(reading.log.segments.empty());
  CHECK(reading.log.leftovers == Names{"log.tmp"});
}

TEST_CASE("a whole log is read in order", "[store][file][recovery]") {
  LogBuilder log = three_segments();
  const LogReading reading = read_log(log);
  REQUIRE(reading.accepted());
  Sequences sequences;
  for (const SeenFrame& frame : reading.frames) sequences.push_back(frame.sequence);
  CHECK(sequences == Sequences{1, 2, 3, 4, 5, 6});
  CHECK(reading.frames[0].payload == LogBuilder::frame_of("a").payload);
  CHECK(reading.frames[3].kind == format::Kind::erase);
  CHECK(reading.frames[3].payload == IdempotencyKey("", "a").bytes());
  CHECK(reading.frames[5].payload == LogBuilder::frame_of("e").payload);
  CHECK(reading.log.store == LogBuilder::id(0x51));
  CHECK(reading.log.opener == LogBuilder::id(0xA0));
  CHECK(reading.log.frames == 6);
  CHECK(reading.log.last_sequence == 6);
  CHECK(reading.log.cut_bytes == 0);
  CHECK_FALSE(reading.log.closed);
  CHECK(reading.log.leftovers.empty());
}

TEST_CASE("segments end where the next head says, the last where it is recorded as synced",
          "[store][file][recovery]") {
  LogBuilder log = three_segments();
  const LogReading reading = read_log(log);
  REQUIRE(reading.segments() == Numbers{1, 2, 3});
  CHECK(reading.log.segments[0].end == log.segments.at(1).end);
  CHECK(reading.log.segments[1].end < log.segments.at(2).end);  // the tail was written again
  CHECK(reading.log.segments[1].end == log.segments.at(3).head.previous_end);
  CHECK(reading.log.segments[0].first_sequence == 1);
  CHECK(reading.log.segments[1].first_sequence == 3);
  CHECK(reading.log.segments[2].first_sequence == 4);
  CHECK(reading.log.segments[2].size == 1024);
  // The last group, "e", is recorded nowhere.
  CHECK(reading.tail() == Sequences{6});
  CHECK(reading.log.tail[0].payload == LogBuilder::frame_of("e").payload);
  CHECK(reading.log.segments[2].end == log.segments.at(3).end - 24 - reading.log.tail[0].payload.size());
}

TEST_CASE("all of the last group is the tail", "[store][file][recovery]") {
  LogBuilder log(1024);
  log.put("a");
  log.group({LogBuilder::frame_of("b"), LogBuilder::frame_of("c"), LogBuilder::frame_of("d")});
  CHECK(read_log(log).tail() == Sequences{2, 3, 4});
  log.close();
  const LogReading reading = read_log(log);
  CHECK(reading.tail() == Sequences{5});
  CHECK(reading.log.tail[0].kind == format::Kind::closed);
  CHECK(reading.log.closed);
}

TEST_CASE("a store without a frame is accepted", "[store][file][recovery]") {
  const LogReading reading = read_log(LogBuilder(1024));
  REQUIRE(reading.accepted());
  CHECK(reading.segments() == Numbers{1});
  CHECK(reading.log.segments[0].end == format::segment_head_size);
  CHECK(reading.log.last_sequence == 0);
  CHECK(reading.tail().empty());
}

TEST_CASE("what a fresh segment was synced with is not the tail again", "[store][file][recovery]") {
  LogBuilder log = three_groups();
  const LogReading before = read_log(log);
  REQUIRE(before.tail() == Sequences{3});
  log.reopen(3, {LogBuilder::frame_of("c")});
  const LogReading after = read_log(log);
  CHECK(after.log.last_sequence == 3);
  CHECK(after.tail().empty());
  CHECK(after.log.segments[0].end == before.log.segments[0].end);
  CHECK(after.log.segments[1].end == log.newest().end);
  CHECK(after.frames == before.frames);
}

TEST_CASE("reading what was recovered and written again gives the same", "[store][file][recovery]") {
  // As often as the store is opened and the power goes away before anything is written.
  LogBuilder log = three_groups();
  const std::vector<SeenFrame> frames = read_log(log).frames;
  for (int round = 0; round < 5; ++round) {
    const LogReading reading = read_log(log);
    REQUIRE(reading.accepted());
    CHECK(reading.frames == frames);
    std::vector<LogBuilder::Frame> again;
    for (const auto& frame : reading.log.tail) again.push_back({frame.kind, frame.payload});
    log.reopen(reading.log.last_sequence - again.size() + 1, again);
  }
}

TEST_CASE("a segment made ahead is no part of the log", "[store][file][recovery]") {
  LogBuilder log = three_groups();
  log.prepare();
  LogReading reading = read_log(log);
  REQUIRE(reading.accepted());
  CHECK(reading.segments() == Numbers{1});
  CHECK(reading.log.leftovers == Names{name(2)});
  // Several, and with holes between them, as they are when not all had been removed.
  FilesByName files = log.files();
  files[name(4)] = std::string(500, '\0');
  files[name(7)] = std::string(128, '\0');
  files["log.tmp"] = "";
  reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.log.leftovers == Names{"log.tmp", name(2), name(4), name(7)});
}

TEST_CASE("a torn last group is cut, whatever of it arrived", "[store][file][recovery][torn]") {
  const int frames_in_group = GENERATE(1, 2, 3);
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  const std::uint64_t from = log.newest().end;
  const std::string before = log.newest().bytes;
  std::vector<LogBuilder::Frame> group;
  for (int i = 0; i < frames_in_group; ++i) group.push_back(LogBuilder::frame_of("c" + std::to_string(i)));
  log.group(group);
  const std::string after = log.newest().bytes;
  const std::uint64_t size = log.newest().end - from;
  const auto check = [&](std::string bytes) {
    const LogReading reading = read_log(FilesByName{{name(1), bytes}});
    INFO(reading.why);
    REQUIRE(reading.accepted());
    REQUIRE(reading.frames.size() >= 2);
    std::vector<SeenFrame> whole;
    for (const LogBuilder::Frame& frame : {LogBuilder::frame_of("a"), LogBuilder::frame_of("b")})
      whole.push_back({frame.kind, whole.size() + 1, frame.payload});
    for (const LogBuilder::Frame& frame : group)
      whole.push_back({frame.kind, whole.size() + 1, frame.payload});
    whole.resize(reading.frames.size());
    REQUIRE(reading.frames == whole);
    // What was not accepted is counted.
    const std::size_t content = bytes.find_last_not_of('\0') + 1;
    const auto end = static_cast<std::size_t>(reading.log.segments[0].end);
    std::size_t tail = 0;
    for (const auto& frame : reading.log.tail) tail += 24 + frame.payload.size();
    REQUIRE(reading.log.cut_bytes == (content > end + tail ? content - end - tail : 0));
  };
  for (std::uint64_t cut = 0; cut <= size; ++cut) {
    std::string first = before, last = after;
    first.replace(from, cut, after, from, cut);  // the beginning arrived
    last.replace(from, cut, before, from, cut);  // the end arrived
    check(first);
    check(last);
  }
  for (std::uint64_t hole = 0; hole < size; ++hole) {
    std::string bytes = after;  // all but some bytes arrived
    const std::uint64_t length = hole + size / 3 < size ? size / 3 : size - hole;
    bytes.replace(from + hole, length, before, from + hole, length);
    check(bytes);
  }
}

TEST_CASE("a torn rollover leaves the log before it", "[store][file][recovery][torn]") {
  LogBuilder log(1024);
  log.put("a");
  log.put("b");
  log.roll_over();
  log.group({LogBuilder::frame_of("c"), LogBuilder::frame_of("d")});
  const FilesByName files = log.files();
  const std::string whole = files.at(name(2));
  const auto size = static_cast<std::size_t>(log.newest().end);
  const auto check = [&](const std::string& bytes) {
    FilesByName torn = files;
    torn[name(2)] = bytes;
    const LogReading reading = read_log(torn);
    INFO(reading.why);
    REQUIRE(reading.accepted());
    REQUIRE(reading.frames.size() >= 2);
    const bool head_is_right = bytes.compare(0, 128, whole, 0, 128) == 0;
    REQUIRE(reading.segments() == (head_is_right ? Numbers{1, 2} : Numbers{1}));
    REQUIRE(reading.log.leftovers == (head_is_right ? Names{} : Names{name(2)}));
    // Where the head is there, or a frame behind it, it says that all before it was synced.
    if (head_is_right)
      REQUIRE(reading.tail().size() == reading.frames.size() - 2);
    else
      REQUIRE(reading.tail().size() <= 1);
  };
  for (std::size_t cut = 0; cut <= size; ++cut) {
    check(whole.substr(0, cut) + std::string(1024 - cut, '\0'));
    check(std::string(cut, '\0') + whole.substr(cut));
    std::string hole = whole;
    const std::size_t length = std::min(size / 3, size - cut);
    check(hole.replace(cut, length, length, '\0'));
  }
}

TEST_CASE("a torn rollover that arrived without its head is counted as cut",
          "[store][file][recovery][torn]") {
  LogBuilder log = three_groups();
  log.roll_over();
  log.put("d");
  FilesByName files = log.files();
  files[name(2)].replace(0, 128, 128, '\0');
  const LogReading reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.log.cut_bytes == log.newest().end);
  // A frame in it says that the third was synced.
  CHECK(reading.log.last_sequence == 3);
  CHECK(reading.tail().empty());
}

TEST_CASE("opening may be interrupted at any step", "[store][file][recovery][torn]") {
  LogBuilder log = three_groups();
  log.prepare();
  const FilesByName before = log.files();
  const LogReading first = read_log(before);
  REQUIRE(first.tail() == Sequences{3});
  log.reopen(3, {LogBuilder::frame_of("c")});
  const FilesByName after = log.files();
  const std::string fresh = after.at(name(2));

  // Half made, and not renamed: all of it is a leftover, and nothing changed.
  for (std::size_t written = 0; written <= fresh.size(); written += 64) {
    FilesByName files = before;
    files["log.tmp"] = fresh.substr(0, written);
    const LogReading reading = read_log(files);
    REQUIRE(reading.accepted());
    CHECK(reading.frames == first.frames);
    CHECK(reading.tail() == first.tail());
    CHECK(reading.log.leftovers == Names{"log.tmp", name(2)});
  }
  // Renamed over what had been made ahead.
  FilesByName files = before;
  files[name(2)] = fresh;
  LogReading reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.frames == first.frames);
  CHECK(reading.tail().empty());
  // The segment before cut to its end, or not, or somewhere between.
  const auto end = static_cast<std::size_t>(first.log.segments[0].end);
  for (std::size_t size = end; size <= 1024; size += 10) {
    files[name(1)] = before.at(name(1)).substr(0, size);
    reading = read_log(files);
    REQUIRE(reading.accepted());
    CHECK(reading.frames == first.frames);
  }
}

TEST_CASE("what a crash left behind the recorded end is not read once a fresh segment ends it there",
          "[store][file][recovery][torn]") {
  LogBuilder log = three_groups();
  log.reopen(3, {LogBuilder::frame_of("other")});
  log.put("d");
  // The old third frame still verifies in its place.
  const LogReading reading = read_log(log);
  REQUIRE(reading.accepted());
  CHECK(reading.frames.size() == 4);
  CHECK(reading.frames[2].payload == LogBuilder::frame_of("other").payload);
}

// ---- trims ----------------------------------------------------------------------------------------------

namespace {

/// Five segments; the first two have been trimmed, by frames in the fourth and the fifth.
LogBuilder trimmed_log() {
  LogBuilder log(1024);
  log.put("a");
  log.roll_over();
  log.erase("a");
  log.put("b");
  log.roll_over();
  log.put("c");
  log.roll_over();
  log.trim(1);
  log.put("b");
  log.roll_over();
  log.trim(2);
  log.put("d");
  return log;
}

}  // namespace

TEST_CASE("trimmed segments may be there or not, in any combination", "[store][file][recovery][trim]") {
  const FilesByName all = trimmed_log().files();
  for (unsigned left = 0; left < 4; ++left) {
    FilesByName files = all;
    Names leftovers;
    for (unsigned number : {1U, 2U}) {
      if ((left & number) == 0)
        files.erase(name(number));
      else
        leftovers.push_back(name(number));
    }
    CAPTURE(left);
    const LogReading reading = read_log(files);
    INFO(reading.why);
    REQUIRE(reading.accepted());
    CHECK(reading.log.trimmed == 2);
    CHECK(reading.segments() == Numbers{3, 4, 5});
    CHECK(reading.log.leftovers == leftovers);
    // A record that was erased in a trimmed segment must not come back from an older one.
    if (left == 1) CHECK(reading.frames.front().sequence == 4);
  }
}

TEST_CASE("the head of a trimmed segment need not be right", "[store][file][recovery][trim]") {
  FilesByName files = trimmed_log().files();
  files[name(2)][17] ^= 1;
  LogReading reading = read_log(files);
  INFO(reading.why);
  REQUIRE(reading.accepted());
  CHECK(reading.segments() == Numbers{3, 4, 5});
  CHECK(reading.log.leftovers == Names{name(1), name(2)});
  files[name(3)][17] ^= 1;
  reading = read_log(files);
  CHECK(reading.corrupt());
  CHECK_THAT(reading.why, support::contains(name(3)));
  CHECK_THAT(reading.why, support::contains("does not verify"));
}

TEST_CASE("a segment that is trimmed by no frame must be there", "[store][file][recovery][trim]") {
  const FilesByName all = trimmed_log().files();
  for (std::uint64_t number : {3U, 4U}) {
    FilesByName files = all;
    files.erase(name(number));
    const LogReading reading = read_log(files);
    CAPTURE(number);
    CHECK(reading.corrupt());
    CHECK_THAT(reading.why, support::contains(name(number)));
    CHECK_THAT(reading.why, support::contains("missing"));
  }
}

TEST_CASE("the head of the newest segment knows of trims whose frames are gone",
          "[store][file][recovery][trim]") {
  LogBuilder log = trimmed_log();
  log.roll_over();  // `oldest` is 3
  log.put("e");
  log.trim(5);  // with all frames that trimmed before
  FilesByName files = log.files();
  for (std::uint64_t number = 1; number <= 5; ++number) files.erase(name(number));
  LogReading reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.segments() == Numbers{6});
  CHECK(reading.log.trimmed == 5);
  CHECK(reading.frames.front().sequence == 9);
  // Older files are not even read.
  files = log.files();
  files[name(1)] = "damaged";
  files[name(2)][140] ^= 1;
  reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.segments() == Numbers{6});
  CHECK(reading.log.leftovers == Names{name(1), name(2), name(3), name(4), name(5)});
}

TEST_CASE("a head alone can say what is no longer part of the log", "[store][file][recovery][trim]") {
  format::SegmentHead head;
  head.number = 6;
  head.oldest = 6;
  head.first_sequence = 9;
  head.previous_end = 200;
  head.size = 512;
  support::SegmentBuilder segment(head);
  segment.add(format::Kind::put, LogBuilder::frame_of("a").payload, 9, 8);
  const LogReading reading = read_log(FilesByName{{name(6), segment.bytes}});
  INFO(reading.why);
  REQUIRE(reading.accepted());
  CHECK(reading.log.trimmed == 5);
  CHECK(reading.segments() == Numbers{6});
}

TEST_CASE("a trim in a torn group does not count", "[store][file][recovery][trim]") {
  LogBuilder log(1024);
  log.put("a");
  log.roll_over();
  log.put("a");
  log.put("b");
  const auto before = static_cast<std::size_t>(log.newest().end);
  log.trim(1);
  FilesByName files = log.files();
  CHECK(read_log(files).log.trimmed == 1);
  CHECK(read_log(files).tail().size() == 1);  // to be written again, before the file goes
  files[name(2)][before + 30] = 7;
  CHECK(read_log(files).segments() == Numbers{1, 2});
  files.erase(name(1));
  CHECK(read_log(files).corrupt());
}

// ---- calls that fail, and large logs --------------------------------------------------------------------

TEST_CASE("interrupted and short reads change nothing", "[store][file][recovery]") {
  const FilesByName names = three_segments().files();
  const LogReading whole = read_log(names);
  MemoryFiles files(names);
  files.longest_read = 5;
  files.interrupt_every = 3;
  const LogReading reading = read_log(files);
  REQUIRE(reading.accepted());
  CHECK(reading.frames == whole.frames);
}

TEST_CASE("a file that cannot be read is no damage", "[store][file][recovery]") {
  const FilesByName names = three_segments().files();
  for (std::uint64_t number = 1; number <= 3; ++number) {
    MemoryFiles files(names);
    files.fails_to_read = name(number);
    const LogReading reading = read_log(files);
    CHECK(reading.error == make_error_code(errc::store_unavailable));
    CHECK_THAT(reading.why, support::contains(name(number)));
  }
}

namespace {

/// Some segments of a MiB with frames of many sizes, some larger than what is read at once.
LogBuilder large_log() {
  LogBuilder log(std::uint64_t{3} << 20);
  for (int segment = 0; segment < 3; ++segment) {
    if (segment > 0) log.roll_over();
    for (int i = 0; i < 1000; ++i)
      log.put("key-" + std::to_string(i), std::string(static_cast<std::size_t>(i * 7 % 900), 'r'));
    std::string large = LogBuilder::frame_of("large").payload;
    for (const std::size_t size : {200'000U, 300'000U, 700'000U}) {
      Record record;
      record.response = std::string(size, 'l');
      log.group({{format::Kind::put, support::packed({"", "large"}, record, support::Layout::wide)}});
    }
  }
  return log;
}

}  // namespace

TEST_CASE("a large log is read by a thread of its own, with the same result",
          "[store][file][recovery][large]") {
  LogBuilder log = large_log();
  const FilesByName names = log.files();
  MemoryFiles files(names);
  std::uint64_t frames = 0, done = 0, all = 0;
  std::string keys;
  const detail::RecoveredLog recovered = detail::recover_log(
      files, MemoryFiles::directory,
      [&](format::Kind, format::Sequence sequence, std::string_view payload) {
        REQUIRE(sequence == ++frames);
        REQUIRE(detail::is_packed_record(payload));
      },
      [&](std::uint64_t now, std::uint64_t in_all) {
        REQUIRE(now >= done);
        REQUIRE(in_all > detail::small_log);
        done = now;
        all = in_all;
      });
  CHECK(frames == 3009);
  CHECK(recovered.frames == 3009);
  CHECK(recovered.last_sequence == 3009);
  CHECK(recovered.tail.size() == 1);
  CHECK(recovered.tail[0].payload.size() > 700'000);
  CHECK(done == all);
}

TEST_CASE("only what lasts can be asked for: the same records come of it, from fewer frames",
          "[store][file][recovery][large]") {
  LogBuilder log(std::uint64_t{3} << 20);
  for (int i = 0; i < 20'000; ++i) {
    log.put("key-" + std::to_string(i % 3000), std::to_string(i));
    if (i % 7 == 0) log.erase("key-" + std::to_string(i * 31 % 3000));
    if (log.newest().end > (2U << 20)) log.roll_over();
  }
  const FilesByName names = log.files();
  const auto read = [&](detail::FramesWanted wanted, std::uint64_t& frames) {
    std::map<std::string, std::string> records;
    MemoryFiles files(names);
    format::Sequence last = 0;
    const detail::RecoveredLog recovered = detail::recover_log(
        files, MemoryFiles::directory,
        [&](format::Kind kind, format::Sequence sequence, std::string_view payload) {
          if (sequence <= last) FAIL("frames out of order");
          last = sequence;
          ++frames;
          if (kind == format::Kind::put)
            records[std::string(detail::packed_layout(payload)->key)] = payload;
          else
            records.erase(std::string(payload));
        },
        [](auto&&...) {}, wanted);
    CHECK(recovered.frames == log.written());
    CHECK(recovered.last_sequence == log.written());
    return records;
  };
  std::uint64_t all = 0, lasting = 0;
  const auto records = read(detail::FramesWanted::all, all);
  CHECK(read(detail::FramesWanted::lasting, lasting) == records);
  CHECK(all == log.written());
  CHECK(lasting < all - all / 10);
  CHECK(lasting >= records.size());
}

TEST_CASE("the last frame of a key is known, of more keys than are kept some", "[store][file][recovery]") {
  detail::LatestFrames latest;
  const std::string_view few = "abaaba";
  const auto note = [&](std::uint32_t frame) {
    return latest.note(few.substr(frame, 1), frame, [&](std::uint32_t at) { return few.substr(at, 1); });
  };
  latest.clear();
  CHECK(note(0) == detail::LatestFrames::none);
  CHECK(note(1) == detail::LatestFrames::none);
  CHECK(note(2) == 0);
  CHECK(note(3) == 2);
  CHECK(note(4) == 1);
  latest.clear();
  CHECK(note(5) == detail::LatestFrames::none);
  std::vector<std::string> keys;
  for (int i = 0; i < 20'000; ++i) keys.push_back("key-" + std::to_string(i));
  const auto key_of = [&](std::uint32_t frame) { return std::string_view(keys[frame % 100'000]); };
  for (std::uint32_t i = 0; i < keys.size(); ++i)
    REQUIRE(latest.note(keys[i], i, key_of) == detail::LatestFrames::none);
  std::size_t known = 0;
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    const std::uint32_t found = latest.note(keys[i], 100'000 + i, key_of);
    if (found != detail::LatestFrames::none) REQUIRE(found == i);
    known += found != detail::LatestFrames::none ? 1U : 0U;
  }
  CHECK(known > 5000);
  CHECK(known < 7000);
}

TEST_CASE("what is thrown while a large log is applied comes out, and the reading ends",
          "[store][file][recovery][large]") {
  const FilesByName names = large_log().files();
  MemoryFiles files(names);
  const auto throws = [](auto&&...) { throw std::runtime_error("enough"); };
  const auto nothing = [](auto&&...) {};
  CHECK_THROWS_WITH(detail::recover_log(files, MemoryFiles::directory, throws, nothing), "enough");
  CHECK_THROWS_WITH(detail::recover_log(files, MemoryFiles::directory, nothing, throws), "enough");
}

TEST_CASE("damage in a large log comes out of the thread that reads it", "[store][file][recovery][large]") {
  FilesByName names = large_log().files();
  names[name(2)][500'000] = static_cast<char>(names[name(2)][500'000] ^ 1);
  const LogReading reading = read_log(names);
  CHECK(reading.corrupt());
  CHECK_THAT(reading.why, support::starts_with(name(2)));
  MemoryFiles files(names);
  files.fails_to_read = name(3);
  CHECK(read_log(files).error == make_error_code(errc::store_unavailable));
}
