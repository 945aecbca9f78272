#pragma once
// Writes logs of a file store frame by frame, from their description alone: what a test needs to give a
// reader any log, right or wrong, without the store that writes them.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/file/format.hpp>

#include "support/memory_files.hpp"

namespace support {

namespace format = paidonce::file_format;

/// The bytes of one segment, made in order.
class SegmentBuilder {
 public:
  explicit SegmentBuilder(const format::SegmentHead& its_head)
      : head(its_head), bytes(static_cast<std::size_t>(its_head.size), '\0') {
    write_head();
  }

  /// Puts a frame behind the others; where it begins.
  std::uint64_t add(format::Kind kind, std::string_view payload, format::Sequence sequence,
                    format::Sequence synced) {
    const std::uint64_t at = end;
    const std::size_t size = format::frame_head_size + payload.size();
    if (bytes.size() < at + size) bytes.resize(static_cast<std::size_t>(at + size));
    char* const to = bytes.data() + at;
    format::encode({kind, static_cast<std::uint32_t>(payload.size()), sequence, synced},
                   paidonce::crc32c(0, payload.data(), payload.size()), {head.store, head.number, at}, to);
    payload.copy(to + format::frame_head_size, payload.size());
    end += size;
    return at;
  }

  void write_head() {
    const format::SegmentHeadBytes encoded = format::encode(head);
    bytes.replace(0, encoded.size(), encoded.data(), encoded.size());
  }

  format::SegmentHead head;
  std::string bytes;
  std::uint64_t end = format::segment_head_size;  ///< behind the last frame
};

enum class Layout { narrow, wide };

/// Key and record as a put frame holds them: from docs/file_format.md, by hand.
inline std::string packed(const paidonce::IdempotencyKey& key, const paidonce::Record& record,
                          Layout layout = Layout::narrow) {
  const bool wide = layout == Layout::wide;
  std::string bytes;
  const auto put = [&](auto value) {
    char raw[sizeof value];
    format::detail::put(raw, value);
    bytes.append(raw, sizeof raw);
  };
  const auto count = [](paidonce::Timestamp time) { return time.time_since_epoch().count(); };
  const std::string* const texts[] = {&record.amount,   &record.description,     &record.checkpoint,
                                      &record.response, &record.response_format, &record.note};
  const paidonce::Timestamp times[] = {record.updated_at, record.lease_until, record.expires_at};
  put(std::uint32_t{0});
  put(static_cast<std::uint16_t>(key.bytes().size()));
  put(static_cast<std::uint8_t>(record.state));
  put(static_cast<std::uint8_t>(static_cast<unsigned>(record.fingerprint.algorithm()) << 1U |
                                (wide ? 1U : 0U)));
  put(record.version);
  put(record.attempt_id);
  put(static_cast<std::int64_t>(count(record.created_at)));
  bytes.append(reinterpret_cast<const char*>(record.fingerprint.digest().data()), 32);
  if (wide) {
    for (const paidonce::Timestamp time : times) put(static_cast<std::int64_t>(count(time)));
    for (const std::string* text : texts) put(static_cast<std::uint32_t>(text->size()));
    put(record.attempts);
    put(std::uint32_t{0});
  } else {
    for (const paidonce::Timestamp time : times)
      put(count(time) == 0 ? std::int32_t{INT32_MIN + 1}
                           : static_cast<std::int32_t>(count(time) - count(record.created_at)));
    put(static_cast<std::uint16_t>(record.attempts));
    put(static_cast<std::uint16_t>(record.checkpoint.size()));
    put(static_cast<std::uint16_t>(record.response.size()));
    for (const std::string* text :
         {&record.amount, &record.description, &record.response_format, &record.note})
      put(static_cast<std::uint8_t>(text->size()));
    put(std::uint16_t{0});
  }
  bytes += key.bytes();
  for (const std::string* text : texts) bytes += *text;
  return bytes;
}

/// A whole log: frames go into the newest segment, in groups.
class LogBuilder {
 public:
  /// Begins as a store that is made anew does.
  explicit LogBuilder(std::uint64_t segment_size = 4096, unsigned char store = 0x51)
      : segment_size_(segment_size), store_id_(id(store)) {
    begin_segment(0);
  }

  static format::StoreId id(unsigned char first) {
    format::StoreId bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(first + i);
    return bytes;
  }

  // ---- what a running store writes ----------------------------------------------------------------------

  /// A group of frames: one write, one sync. What was written before it was synced.
  struct Frame {
    format::Kind kind;
    std::string payload;
  };
  void group(const std::vector<Frame>& frames) {
    const format::Sequence synced = written_;
    for (const Frame& frame : frames) newest().add(frame.kind, frame.payload, ++written_, synced);
  }
  void put(const std::string& key, const std::string& response = "receipt") {
    group({frame_of(key, response)});
  }
  static Frame frame_of(const std::string& key, const std::string& response = "receipt") {
    paidonce::Record record;
    record.state = paidonce::State::succeeded;
    record.version = 7;
    record.response = response;
    return {format::Kind::put, packed({"", key}, record)};
  }
  void erase(const std::string& key) {
    group({{format::Kind::erase, std::string(paidonce::IdempotencyKey("", key).bytes())}});
  }
  void trim(std::uint64_t segment) {
    char raw[8];
    format::detail::put(raw, segment);
    group({{format::Kind::trim, std::string(raw, sizeof raw)}});
    trimmed_ = segment;
  }
  void close() { group({{format::Kind::closed, ""}}); }

  /// The next segment, made ahead, gets its first group.
  void roll_over() { begin_segment(written_); }

  /// The store was opened again: a fresh segment, with the frames from `first` on once more in it.
  void reopen(format::Sequence first, const std::vector<Frame>& again) {
    const std::uint64_t end = end_of_sequence(first - 1);
    written_ = first - 1;
    begin_segment(first - 1 + again.size(), end);
    for (const Frame& frame : again) {
      const format::Sequence sequence = ++written_;
      newest().add(frame.kind, frame.payload, sequence, first - 1);
    }
  }

  /// A segment made ahead: zeros.
  void prepare() { prepared_ = true; }

  // ---- what it is ---------------------------------------------------------------------------------------

  std::map<std::uint64_t, SegmentBuilder> segments;
  SegmentBuilder& newest() { return segments.rbegin()->second; }
  format::Sequence written() const { return written_; }

  FilesByName files() const {
    FilesByName names;
    for (const auto& [number, segment] : segments) names[format::segment_name(number)] = segment.bytes;
    if (prepared_)
      names[format::segment_name(segments.rbegin()->first + 1)] =
          std::string(static_cast<std::size_t>(segment_size_), '\0');
    return names;
  }

 private:
  void begin_segment(format::Sequence synced, std::uint64_t previous_end = 0) {
    format::SegmentHead head;
    head.store = store_id_;
    head.number = segments.empty() ? 1 : segments.rbegin()->first + 1;
    head.first_sequence = written_ + 1;
    head.synced = synced;
    head.previous_end = segments.empty() ? 0 : previous_end != 0 ? previous_end : newest().end;
    head.oldest = trimmed_ + 1;
    head.size = segment_size_;
    head.opener = id(0xA0);
    head.created_at_unix_ms = 1'700'000'000'000;
    segments.emplace(head.number, SegmentBuilder(head));
  }

  std::uint64_t end_of_sequence(format::Sequence last) {
    const SegmentBuilder& segment = newest();
    std::uint64_t at = format::segment_head_size;
    for (format::Sequence next = segment.head.first_sequence; next <= last; ++next) {
      std::uint32_t size = 0;
      std::memcpy(&size, segment.bytes.data() + at + 8, sizeof size);
      at += format::frame_head_size + size;
    }
    return at;
  }

  std::uint64_t segment_size_;
  format::StoreId store_id_;
  format::Sequence written_ = 0;
  std::uint64_t trimmed_ = 0;
  bool prepared_ = false;
};

}  // namespace support
