#pragma once
// The bytes of a file store's log, version 1; docs/file_format.md describes them for other readers. Integers
// are little-endian.
//
// Segment file `log.<number, 16 hexadecimal digits>`:  segment head (128) | frame | frame | … | zeros
// Frame:  head (24) | payload
//
// | frame at | size |                                                                                      |
// | -------- | ---- | ------------------------------------------------------------------------------------ |
// | 0        | 3    | `A7 70 6F`                                                                           |
// | 3        | 1    | kind                                                                                 |
// | 4        | 4    | CRC32C over payload, bytes 0–3 and 8–23 of this head, store id, number of the        |
// |          |      | segment, offset of the frame in it: no copy verifies in another place                |
// | 8        | 4    | bytes of payload                                                                     |
// | 12       | 4    | distance from this sequence back to the last one known to be synced when it was made |
// | 16       | 8    | sequence: 1 for the first frame of a store, then one more each                       |

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/stores/file/crc32c.hpp>

namespace paidonce::inline v1::file_format {

static_assert(std::endian::native == std::endian::little,
              "paidonce: FileStore needs a little-endian machine");

inline constexpr std::uint32_t version = 1;
inline constexpr std::size_t segment_head_size = 128;
inline constexpr std::size_t frame_head_size = 24;
inline constexpr std::array<unsigned char, 3> frame_magic = {0xA7, 0x70, 0x6F};

using Sequence = std::uint64_t;
using StoreId = std::array<unsigned char, 16>;    ///< random, given to a store when it is made
using ProcessId = std::array<unsigned char, 16>;  ///< of one life of one process; zeros where it is not known

/// What a log keeps: the magic of its segments says so, so that neither is opened as the other.
enum class Content : std::uint8_t {
  records,  ///< a file store's: "paidonce"
  audit,    ///< an audit log's: "paidaudt"
};

enum class Kind : std::uint8_t {
  put = 1,  ///< payload: key and record, packed
  erase,    ///< payload: the key's bytes; the key has no record from here on
  trim,     ///< payload: number (8) of the last segment that compaction has emptied; it and those before go
  closed,   ///< no payload: the store was closed, and all before this frame was synced
  entry,    ///< payload: an entry of an audit log (docs/audit.md); such a log has no other frames
};

constexpr bool is_kind(unsigned value) noexcept { return value >= 1 && value <= 5; }

/// What the head of a segment says.
struct SegmentHead {
  Content content = Content::records;
  StoreId store = {};
  std::uint64_t number = 0;
  Sequence first_sequence = 1;     ///< of the first frame in it
  Sequence synced = 0;             ///< all frames up to here, some perhaps in this file, were synced
  std::uint64_t previous_end = 0;  ///< where the frames of the segment before end; 0: there was none
  std::uint64_t oldest = 0;        ///< the oldest segment that still was part of the log
  std::uint64_t size = 0;          ///< of this file, to which it was filled with zeros and synced before use
  ProcessId opener = {};           ///< of the process that had the store open
  std::int64_t created_at_unix_ms = 0;
};

using SegmentHeadBytes = std::array<char, segment_head_size>;

/// What the head of a frame says, its place taken out.
struct FrameHead {
  Kind kind = Kind::put;
  std::uint32_t payload_size = 0;
  Sequence sequence = 0;
  Sequence synced = 0;  ///< the last sequence known to be synced when the frame was made
};

namespace detail {

template <class Integer>
void put(char* to, Integer value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

template <class Integer>
Integer get(const char* from) noexcept {
  Integer value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

inline constexpr std::string_view segment_magic = "paidonce", audit_magic = "paidaudt";
inline constexpr std::size_t segment_crc_at = segment_head_size - 4;
inline constexpr std::string_view name_prefix = "log.";

}  // namespace detail

/// What a half-made segment is called until it is whole.
inline constexpr const char* temporary_name = "log.tmp";

inline std::string segment_name(std::uint64_t number) {
  std::string name(detail::name_prefix);
  for (int shift = 60; shift >= 0; shift -= 4) name += "0123456789abcdef"[number >> shift & 15];
  return name;
}

/// The number of the segment with this name; nothing for other names.
inline std::optional<std::uint64_t> number_of_segment(std::string_view name) {
  if (!name.starts_with(detail::name_prefix) || name.size() != detail::name_prefix.size() + 16)
    return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : name.substr(detail::name_prefix.size())) {
    if (digit >= '0' && digit <= '9')
      number = number << 4 | static_cast<unsigned>(digit - '0');
    else if (digit >= 'a' && digit <= 'f')
      number = number << 4 | static_cast<unsigned>(digit - 'a' + 10);
    else
      return std::nullopt;
  }
  return number;
}

inline SegmentHeadBytes encode(const SegmentHead& head) noexcept {
  SegmentHeadBytes bytes{};
  char* const to = bytes.data();
  std::memcpy(to, (head.content == Content::audit ? detail::audit_magic : detail::segment_magic).data(), 8);
  detail::put(to + 8, version);
  detail::put(to + 12, static_cast<std::uint32_t>(segment_head_size));
  std::memcpy(to + 16, head.store.data(), head.store.size());
  detail::put(to + 32, head.number);
  detail::put(to + 40, head.first_sequence);
  detail::put(to + 48, head.synced);
  detail::put(to + 56, head.previous_end);
  detail::put(to + 64, head.oldest);
  detail::put(to + 72, head.size);
  std::memcpy(to + 80, head.opener.data(), head.opener.size());
  detail::put(to + 96, head.created_at_unix_ms);
  detail::put(to + detail::segment_crc_at, crc32c(0, to, detail::segment_crc_at));
  return bytes;
}

enum class HeadState : std::uint8_t {
  right,
  unused,      ///< all zeros: a segment prepared ahead
  newer,       ///< it verifies, but another version of the format wrote it
  unreadable,  ///< anything else: torn, or damaged
};

/// Reads a head of `segment_head_size` bytes; `head` is filled where it is right.
inline HeadState decode(const char* from, SegmentHead& head) noexcept {
  bool zeros = true;
  for (std::size_t at = 0; at < segment_head_size && zeros; ++at) zeros = from[at] == 0;
  if (zeros) return HeadState::unused;
  const bool is_audit = std::memcmp(from, detail::audit_magic.data(), 8) == 0;
  if (!is_audit && std::memcmp(from, detail::segment_magic.data(), 8) != 0) return HeadState::unreadable;
  if (detail::get<std::uint32_t>(from + detail::segment_crc_at) != crc32c(0, from, detail::segment_crc_at))
    return HeadState::unreadable;
  if (detail::get<std::uint32_t>(from + 8) != version) return HeadState::newer;
  if (detail::get<std::uint32_t>(from + 12) != segment_head_size) return HeadState::unreadable;
  head.content = is_audit ? Content::audit : Content::records;
  std::memcpy(head.store.data(), from + 16, head.store.size());
  head.number = detail::get<std::uint64_t>(from + 32);
  head.first_sequence = detail::get<Sequence>(from + 40);
  head.synced = detail::get<Sequence>(from + 48);
  head.previous_end = detail::get<std::uint64_t>(from + 56);
  head.oldest = detail::get<std::uint64_t>(from + 64);
  head.size = detail::get<std::uint64_t>(from + 72);
  std::memcpy(head.opener.data(), from + 80, head.opener.size());
  head.created_at_unix_ms = detail::get<std::int64_t>(from + 96);
  return HeadState::right;
}

/// Where a frame stands; part of what its checksum covers.
struct FramePlace {
  const StoreId& store;
  std::uint64_t segment;
  std::uint64_t offset;  ///< of its head, in the segment's file
};

/// The checksum of a frame whose payload has the checksum `payload_crc`. `head` is its 24 bytes; those of the
/// checksum itself do not count.
inline std::uint32_t frame_crc(std::uint32_t payload_crc, const char* head,
                               const FramePlace& place) noexcept {
  char rest[20 + 16 + 16];
  std::memcpy(rest, head, 4);
  std::memcpy(rest + 4, head + 8, 16);
  std::memcpy(rest + 20, place.store.data(), 16);
  detail::put(rest + 36, place.segment);
  detail::put(rest + 44, place.offset);
  return crc32c(payload_crc, rest, sizeof rest);
}

/// Writes the 24 bytes of a frame's head. `payload_crc` is `crc32c(0, payload)`.
inline void encode(const FrameHead& head, std::uint32_t payload_crc, const FramePlace& place,
                   char* to) noexcept {
  std::memcpy(to, frame_magic.data(), 3);
  to[3] = static_cast<char>(head.kind);
  detail::put(to + 8, head.payload_size);
  const Sequence distance = head.sequence - head.synced;
  detail::put(to + 12, distance < UINT32_MAX ? static_cast<std::uint32_t>(distance) : UINT32_MAX);
  detail::put(to + 16, head.sequence);
  detail::put(to + 4, frame_crc(payload_crc, to, place));
}

/// Reads what the 24 bytes of a frame's head say, its checksum left aside. False where they cannot be one.
inline bool decode_unverified(const char* from, FrameHead& head) noexcept {
  if (std::memcmp(from, frame_magic.data(), 3) != 0) return false;
  const auto kind = static_cast<unsigned char>(from[3]);
  if (!is_kind(kind)) return false;
  head.kind = static_cast<Kind>(kind);
  head.payload_size = detail::get<std::uint32_t>(from + 8);
  head.sequence = detail::get<Sequence>(from + 16);
  const auto distance = detail::get<std::uint32_t>(from + 12);
  if (distance == 0 || distance > head.sequence) return false;
  head.synced = head.sequence - distance;
  return true;
}

/// Reads the frame that begins at `from`, of which `available` bytes can be read, payload included. False
/// where these bytes are no frame of this place.
inline bool decode(const char* from, std::size_t available, const FramePlace& place,
                   FrameHead& head) noexcept {
  if (available < frame_head_size || !decode_unverified(from, head)) return false;
  if (head.payload_size > available - frame_head_size) return false;
  const std::uint32_t payload_crc = crc32c(0, from + frame_head_size, head.payload_size);
  return detail::get<std::uint32_t>(from + 4) == frame_crc(payload_crc, from, place);
}

}  // namespace paidonce::inline v1::file_format
