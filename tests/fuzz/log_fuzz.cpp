// Any bytes as a log: refused with an error that says so, or read with a result that holds together, and that
// stays the same when the store is opened with it again and again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/stores/file/recovery.hpp>

#include "fuzz/log_input.hpp"
#include "fuzz/require.hpp"
#include "support/log_builder.hpp"
#include "support/log_reading.hpp"

using namespace paidonce;

namespace {

namespace format = paidonce::file_format;
using fuzz::require;

void check(const support::LogReading& reading, const support::FilesByName& files) {
  const detail::RecoveredLog& log = reading.log;
  require(log.frames == reading.frames.size(), "all frames are applied");
  format::Sequence next = reading.frames.empty() ? log.last_sequence + 1 : reading.frames.front().sequence;
  for (const support::SeenFrame& frame : reading.frames) {
    require(frame.sequence == next++, "frames come in order");
    if (frame.kind == format::Kind::put) detail::unpack_payload(frame.payload);
    if (frame.kind == format::Kind::erase) IdempotencyKey::from_bytes(frame.payload);
  }
  require(next == log.last_sequence + 1, "the last sequence is that of the last frame");
  require(log.tail.size() <= reading.frames.size(), "the tail was read");
  for (std::size_t i = 0; i < log.tail.size(); ++i) {
    const support::SeenFrame& frame = reading.frames[reading.frames.size() - log.tail.size() + i];
    require(frame == support::SeenFrame{log.tail[i].kind, log.tail[i].sequence, log.tail[i].payload},
            "the tail is the end of what was read");
  }
  for (std::size_t i = 0; i < log.segments.size(); ++i) {
    const detail::LogSegment& segment = log.segments[i];
    require(segment.number > log.trimmed && (i == 0 || segment.number == log.segments[i - 1].number + 1),
            "segments follow each other");
    require(segment.end >= format::segment_head_size &&
                segment.end <= files.at(format::segment_name(segment.number)).size(),
            "a segment ends in its file");
  }
}

/// What opening the store does with the result: a fresh segment, and what is no longer needed goes.
support::FilesByName opened(support::FilesByName files, const detail::RecoveredLog& log) {
  for (const std::string& name : log.leftovers) files.erase(name);
  const detail::LogSegment& last = log.segments.back();
  format::SegmentHead head;
  head.store = log.store;
  head.number = last.number + 1;
  head.first_sequence = log.last_sequence - log.tail.size() + 1;
  head.synced = log.last_sequence;
  head.previous_end = last.end;
  head.oldest = log.segments.front().number;
  head.size = format::segment_head_size;
  for (const detail::TailFrame& frame : log.tail) head.size += format::frame_head_size + frame.payload.size();
  support::SegmentBuilder fresh(head);
  for (const detail::TailFrame& frame : log.tail)
    fresh.add(frame.kind, frame.payload, frame.sequence, head.first_sequence - 1);
  files[format::segment_name(last.number)].resize(static_cast<std::size_t>(last.end));
  files[format::segment_name(head.number)] = fresh.bytes;
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  support::FilesByName files = fuzz::files_of({reinterpret_cast<const char*>(data), size});
  const support::LogReading reading = support::read_log(files);
  if (!reading.accepted()) {
    require(reading.error == make_error_code(errc::store_corrupt) ||
                reading.error == make_error_code(errc::unsupported_format),
            "damage is told as such");
    return 0;
  }
  check(reading, files);
  if (reading.log.segments.empty()) return 0;
  if (reading.log.segments.back().number == UINT64_MAX) return 0;
  const support::LogReading again = support::read_log(opened(files, reading.log));
  require(again.accepted(), "a store that was opened can be opened again");
  require(again.log.tail.empty(), "what was written again was synced");
  require(again.log.last_sequence == reading.log.last_sequence, "no frame is lost or added by opening");
  require(again.frames.size() <= reading.frames.size(), "no frame appears");
  for (std::size_t i = 0; i < again.frames.size(); ++i)
    require(again.frames[i] == reading.frames[reading.frames.size() - again.frames.size() + i],
            "opening changes no frame");
  return 0;
}
