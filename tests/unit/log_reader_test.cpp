// Walking frames, and searching for them behind damage.

#include <paidonce/stores/file/log_reader.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/log_builder.hpp"
#include "support/memory_files.hpp"

using namespace paidonce;
using support::LogBuilder;
using support::MemoryFiles;
using support::SegmentBuilder;

namespace {

namespace format = paidonce::file_format;

format::SegmentHead head_of(std::uint64_t size) {
  format::SegmentHead head;
  head.store = LogBuilder::id(1);
  head.number = 3;
  head.size = size;
  return head;
}

struct Walk {
  detail::Walked walked;
  std::vector<std::string> payloads;
};

Walk walk(const SegmentBuilder& segment, std::size_t have, std::uint64_t limit, format::Sequence next = 1) {
  Walk result;
  result.walked =
      detail::walk_frames(detail::FramesVersion1{}, std::string_view(segment.bytes).substr(128, have),
                          {segment.head.store, 3, 128}, limit, next,
                          [&](const format::FrameHead&, std::uint64_t, std::string_view payload) {
                            result.payloads.emplace_back(payload);
                          });
  return result;
}

detail::Claims search(const std::string& bytes, std::uint64_t from = 128, format::Sequence known = 0,
                      format::Sequence enough = 8, std::size_t longest_read = SIZE_MAX) {
  const support::FilesByName names = {{"log", bytes}};
  MemoryFiles files(names);
  files.longest_read = longest_read;
  detail::LogFile<MemoryFiles> file(files, MemoryFiles::directory, "log");
  return detail::search_claims(detail::FramesVersion1{}, file, LogBuilder::id(1), 3, from, known, enough);
}

}  // namespace

TEST_CASE("a walk tells why it ended", "[store][file][reader]") {
  SegmentBuilder segment(head_of(1000));
  segment.add(format::Kind::erase, "first", 1, 0);
  segment.add(format::Kind::erase, "second", 2, 1);
  const std::size_t both = static_cast<std::size_t>(segment.end) - 128;

  const Walk whole = walk(segment, both, segment.end);
  CHECK(whole.walked.end == detail::WalkEnd::limit);
  CHECK(whole.walked.bytes == both);
  CHECK(whole.payloads == std::vector<std::string>{"first", "second"});

  const Walk zeros = walk(segment, segment.bytes.size() - 128, 1000);
  CHECK(zeros.walked.end == detail::WalkEnd::no_frame);
  CHECK(zeros.walked.bytes == both);

  for (std::size_t have = 0; have < both; ++have) {
    CAPTURE(have);
    const Walk part = walk(segment, have, segment.end);
    CHECK(part.walked.end == detail::WalkEnd::more);
    CHECK(part.payloads.size() == (have < 24 + 5 ? 0U : 1U));
  }

  CHECK(walk(segment, both, segment.end, 2).walked.end == detail::WalkEnd::sequence);
}

TEST_CASE("no frame crosses the limit", "[store][file][reader]") {
  SegmentBuilder segment(head_of(1000));
  segment.add(format::Kind::erase, "first", 1, 0);
  for (std::uint64_t limit = 129; limit < segment.end; ++limit) {
    CAPTURE(limit);
    const Walk result = walk(segment, 800, limit);
    CHECK(result.walked.end == detail::WalkEnd::no_frame);
    CHECK(result.walked.bytes == 0);
  }
}

TEST_CASE("a frame verifies in its own place only", "[store][file][reader]") {
  SegmentBuilder segment(head_of(1000));
  segment.add(format::Kind::erase, "payload", 1, 0);
  const std::string_view frame = std::string_view(segment.bytes).substr(128, 24 + 7);
  format::FrameHead head;
  const format::StoreId own = LogBuilder::id(1), foreign = LogBuilder::id(2);
  CHECK(format::decode(frame.data(), frame.size(), {own, 3, 128}, head));
  CHECK_FALSE(format::decode(frame.data(), frame.size(), {foreign, 3, 128}, head));
  CHECK_FALSE(format::decode(frame.data(), frame.size(), {own, 4, 128}, head));
  CHECK_FALSE(format::decode(frame.data(), frame.size(), {own, 3, 129}, head));
}

TEST_CASE("a search finds a frame wherever it begins, in reads of any length", "[store][file][reader]") {
  // The steps of a search are 256 KiB long; frames are put across their border, byte by byte.
  constexpr std::uint64_t border = 128 + (std::uint64_t{256} << 10);
  for (std::uint64_t at = border - 40; at <= border + 2; ++at) {
    SegmentBuilder segment(head_of(300 << 10));
    segment.end = at;
    segment.add(format::Kind::erase, "payload", 9, 8);
    CAPTURE(at);
    const detail::Claims claims = search(segment.bytes);
    CHECK(claims.synced == 8);
    CHECK(claims.said_at == at);
    CHECK(search(segment.bytes, 128, 20).content_end == at + 24 + 7);
  }
  SegmentBuilder segment(head_of(300 << 10));
  segment.end = border - 3;
  segment.add(format::Kind::erase, std::string(20'000, 'x'), 9, 8);
  CHECK(search(segment.bytes, 128, 0, 8, 1000).synced == 8);
}

TEST_CASE("a search verifies only what decides, and what can stand there", "[store][file][reader]") {
  SegmentBuilder segment(head_of(1000));
  const std::uint64_t first = segment.add(format::Kind::erase, "a", 5, 4);
  const std::uint64_t second = segment.add(format::Kind::erase, "b", 9, 8);
  segment.add(format::Kind::erase, "c", 7, 6);
  const std::uint64_t end = segment.end;
  CHECK(search(segment.bytes, 128, 0, 8).synced == 8);
  CHECK(search(segment.bytes, 128, 0, 8).said_at == second);
  CHECK(search(segment.bytes, 128, 0, 8).content_end == end);
  CHECK(search(segment.bytes, 128, 0, 4).said_at == first);
  CHECK(search(segment.bytes, 128, 0, 10).synced == 0);   // nobody says so
  CHECK(search(segment.bytes, 128, 20, 8).synced == 20);  // known already
  CHECK(search(segment.bytes, second + 1, 0, 6).synced == 6);
  // Frame 5 cannot stand where frame 1 is missed: four frames do not fit before it.
  CHECK(search(segment.bytes, 128, 0, 1).synced == 0);
}

TEST_CASE("what was torn may hold any number of bytes that look like frames", "[store][file][reader]") {
  // As a provider's answer could: heads without end, each with a payload up to the end.
  constexpr std::size_t size = std::size_t{1} << 20;
  SegmentBuilder segment(head_of(size + 256));
  for (std::size_t at = 128; at + 24 < size; at += 24) {
    const format::FrameHead head{format::Kind::put, static_cast<std::uint32_t>(size - at - 24),
                                 1'000'000 + at, 999'999};
    const format::StoreId other = LogBuilder::id(2);
    format::encode(head, 0, {other, 3, at}, segment.bytes.data() + at);
  }
  const support::FilesByName names = {{"log", segment.bytes}};
  MemoryFiles files(names);
  detail::LogFile<MemoryFiles> file(files, MemoryFiles::directory, "log");
  const auto claims = detail::search_claims(detail::FramesVersion1{}, file, LogBuilder::id(1), 3, 128, 0, 9);
  CHECK(claims.synced == 0);
  CHECK(files.bytes_read < 2 * size);
}

TEST_CASE("a search believes no frame that does not verify", "[store][file][reader]") {
  SegmentBuilder segment(head_of(1000));
  const std::uint64_t at = segment.add(format::Kind::erase, "payload", 9, 8);
  for (std::uint64_t byte = at; byte < segment.end; ++byte) {
    std::string bytes = segment.bytes;
    bytes[byte] = static_cast<char>(bytes[byte] ^ 4);
    CAPTURE(byte);
    CHECK(search(bytes).synced == 0);
  }
}

TEST_CASE("a search finds a frame behind bytes that only look like one", "[store][file][reader]") {
  SegmentBuilder segment(head_of(1000));
  segment.bytes.replace(130, 3, "\xA7\x70\x6F");
  segment.bytes.replace(133, 1, "\xA7");
  segment.end = 134;
  segment.add(format::Kind::erase, "payload", 9, 8);
  CHECK(search(segment.bytes).synced == 8);
}

TEST_CASE("zeros are told from what only begins and ends with them", "[store][file][reader]") {
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    REQUIRE(detail::all_zeros(bytes.data(), size));
    for (std::size_t at = 0; at < size; ++at) {
      bytes[at] = 1;
      REQUIRE_FALSE(detail::all_zeros(bytes.data(), size));
      bytes[at] = 0;
    }
  }
}

TEST_CASE("a file that cannot be read is named", "[store][file][reader]") {
  const support::FilesByName names = {{"log", std::string(500, 'x')}};
  MemoryFiles files(names);
  files.fails_to_read = "log";
  detail::LogFile<MemoryFiles> file(files, MemoryFiles::directory, "log");
  char bytes[10];
  CHECK_THROWS_MATCHES(file.read(bytes, 10, 7), Error,
                       support::has_code<Error>(errc::store_unavailable) &&
                           support::says<Error>("cannot read log at offset 7"));
  CHECK_THROWS_MATCHES(detail::LogFile<MemoryFiles>(files, MemoryFiles::directory, "gone"), Error,
                       support::has_code<Error>(errc::store_unavailable) && support::says<Error>("gone"));
}

TEST_CASE("a file that became shorter is no end of the log", "[store][file][reader]") {
  support::FilesByName names = {{"log", std::string(500, 'x')}};
  MemoryFiles files(names);
  detail::LogFile<MemoryFiles> file(files, MemoryFiles::directory, "log");
  names["log"].resize(100);
  char bytes[200];
  CHECK_THROWS_MATCHES(file.read(bytes, 200, 0), Error, support::has_code<Error>(errc::store_unavailable));
}
