#pragma once
// One entry of an audit log, and its bytes; docs/audit.md describes them for other readers. Integers are
// little-endian.
//
// Entry:  body | digest (32) | seal (16, where the log has a secret)
//
// | body at | size |                                                                     |
// | ------- | ---- | ------------------------------------------------------------------- |
// | 0       | 1    | layout: 1                                                           |
// | 1       | 1    | kind                                                                |
// | 2       | 1    | flags: 1 sealed, 2 the key's name is keyed, 4 a text was cut        |
// | 3       | 1    | detail: of what was refused, or of the call that failed             |
// | 4       | 4    | attempts                                                            |
// | 8       | 8    | number: 1 for the first entry of a log, then one more each          |
// | 16      | 8    | wall time, signed milliseconds since 1970-01-01 UTC                 |
// | 24      | 16   | name of the key; of what the log says of itself: the log's identity |
// | 40      | 8    | version                                                             |
// | 48      | 8    | attempt id                                                          |
// | 56      | 1    | state; 0 where the event has no record                              |
// | 57      | 1    | size of amount                                                      |
// | 58      | 2    | size of text                                                        |
// | 60      | 4    | zeros                                                               |
// | 64      |      | amount, text                                                        |

#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/sha256.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

static_assert(std::endian::native == std::endian::little, "paidonce: AuditLog needs a little-endian machine");

/// What an entry tells: an event of a guard, or what the log says of itself.
enum class AuditKind : std::uint8_t {
  began = 1,
  completed,  ///< succeeded, declined or released; by a person where `text` says so
  in_doubt,
  replayed,
  refused,
  waited,
  lease_lost,
  store_failed,
  opened,   ///< by a process; unless the entry before is `closed`, the one before it died
  closed,   ///< all events until then are in the log, or counted as lost
  resumed,  ///< writing works again after the failure that `text` tells
  lost,     ///< events that are not in the log: `version` of them
};

constexpr std::string_view to_string(AuditKind kind) noexcept {
  constexpr std::string_view names[] = {"unknown", "began",   "completed",  "in_doubt",     "replayed",
                                        "refused", "waited",  "lease_lost", "store_failed", "opened",
                                        "closed",  "resumed", "lost"};
  const auto at = static_cast<std::size_t>(kind);
  return at < std::size(names) ? names[at] : names[0];
}

/// The first 16 bytes of SHA-256 over the key's bytes, so that their first digits are `key_digest(key)`; or,
/// with `AuditKeys::keyed`, of an HMAC.
using AuditName = std::array<unsigned char, 16>;

/// One entry. A view: the texts live as long as the call that hands it over.
struct AuditEntry {
  AuditKind kind = AuditKind::began;
  bool sealed = false;      ///< under the log's secret
  bool name_keyed = false;  ///< `AuditKeys::keyed`
  bool text_cut = false;    ///< `amount`, over 255 bytes, lost its end; or `text`, over 16 KiB, its beginning
  std::uint8_t detail = 0;  ///< refused: an `events::Refusal`; store_failed: an `events::StoreCall`
  std::uint64_t number = 0;
  Timestamp at = {};
  AuditName name = {};              ///< of the key; opened, closed, resumed: of the log; lost: zeros
  std::optional<State> state = {};  ///< of the record, where the event has one
  std::uint32_t attempts = 0;
  std::uint64_t version = 0;     ///< of the record; lease_lost: the fence; lost: how many events
  std::uint64_t attempt_id = 0;  ///< of the record; waited: milliseconds; lost: the time of the first
  std::string_view amount = {};
  std::string_view text = {};  ///< the record's note, the reason for the doubt, or what the log has to say
};

/// Where a log stands: its last entry, and the digest of everything up to it. Published elsewhere, it is the
/// anchor that shows later whether the log still holds all that it held.
struct AuditHead {
  std::uint64_t number = 0;
  std::array<std::byte, 32> digest = {};

  friend bool operator==(const AuditHead&, const AuditHead&) = default;
};

/// `<number>:<64 hexadecimal digits>`.
inline std::string to_string(const AuditHead& head) {
  std::string text = std::to_string(head.number) + ':';
  text.resize(text.size() + 64);
  detail::hex(head.digest.data(), head.digest.size(), text.data() + text.size() - 64);
  return text;
}

/// What `to_string` wrote. Throws Error{errc::invalid_options} for anything else.
inline AuditHead audit_head_from(std::string_view text) {
  AuditHead head;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), head.number);
  const std::string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  bool right = wrong == std::errc{} && rest.size() == 65 && rest[0] == ':';
  for (std::size_t at = 0; right && at < 64; ++at) {
    const char digit = rest[at + 1];
    const int value = digit >= '0' && digit <= '9'   ? digit - '0'
                      : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                                     : -1;
    if (value < 0) right = false;
    const std::byte before = head.digest[at / 2];
    head.digest[at / 2] = before << 4 | static_cast<std::byte>(value & 15);
  }
  if (!right)
    throw Error(errc::invalid_options,
                "the head of an audit log is written as its number, a colon and 64 lower-case hexadecimal "
                "digits: copy all of it");
  return head;
}

namespace audit_format {

inline constexpr char layout = 1;
inline constexpr std::size_t fixed_size = 64, digest_size = 32, seal_size = 16;
inline constexpr std::size_t most_amount = 255, most_text = std::size_t{16} << 10;
inline constexpr std::size_t longest_body = fixed_size + most_amount + most_text;
inline constexpr std::size_t longest_entry = longest_body + digest_size + seal_size;

enum Flags : unsigned { sealed = 1, name_keyed = 2, text_cut = 4 };

using file_format::detail::get, file_format::detail::put;

/// Cuts what is too long, between whole characters of UTF-8 where it is that.
inline std::string_view shortened(std::string_view text, std::size_t most, bool& cut) noexcept {
  if (text.size() <= most) return text;
  cut = true;
  std::size_t size = most;
  while (size + 3 > most && size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

/// The same, its end kept: what came last to a note.
inline std::string_view end_of(std::string_view text, std::size_t most, bool& cut) noexcept {
  if (text.size() <= most) return text;
  cut = true;
  text.remove_prefix(text.size() - most);
  for (int more = 0; more < 3 && (static_cast<unsigned char>(text.front()) & 0xc0) == 0x80; ++more)
    text.remove_prefix(1);
  return text;
}

inline std::size_t body_size(const AuditEntry& entry) noexcept {
  return fixed_size + entry.amount.size() + entry.text.size();
}

/// Writes the body of an entry whose texts are not too long, `body_size(entry)` bytes.
inline void encode_body(const AuditEntry& entry, char* to) noexcept {
  to[0] = layout;
  to[1] = static_cast<char>(entry.kind);
  to[2] = static_cast<char>((entry.sealed ? sealed : 0U) | (entry.name_keyed ? name_keyed : 0U) |
                            (entry.text_cut ? text_cut : 0U));
  to[3] = static_cast<char>(entry.detail);
  put(to + 4, entry.attempts);
  put(to + 8, entry.number);
  put(to + 16, static_cast<std::int64_t>(entry.at.time_since_epoch().count()));
  std::memcpy(to + 24, entry.name.data(), entry.name.size());
  put(to + 40, entry.version);
  put(to + 48, entry.attempt_id);
  to[56] = entry.state ? static_cast<char>(*entry.state) : '\0';
  to[57] = static_cast<char>(entry.amount.size());
  put(to + 58, static_cast<std::uint16_t>(entry.text.size()));
  put(to + 60, std::uint32_t{0});
  if (!entry.amount.empty()) std::memcpy(to + fixed_size, entry.amount.data(), entry.amount.size());
  if (!entry.text.empty())
    std::memcpy(to + fixed_size + entry.amount.size(), entry.text.data(), entry.text.size());
}

/// Size of a body that `encode_body` wrote.
inline std::size_t encoded_body_size(const char* body) noexcept {
  return fixed_size + static_cast<unsigned char>(body[57]) + get<std::uint16_t>(body + 58);
}
inline void set_number(char* body, std::uint64_t number) noexcept { put(body + 8, number); }
inline void set_sealed(char* body) noexcept {
  body[2] = static_cast<char>(static_cast<unsigned char>(body[2]) | sealed);
}

/// The parts of an entry's bytes; they point into these.
struct Parts {
  AuditEntry entry;
  std::string_view body, digest, seal;
};

/// Nothing where the bytes are no entry.
inline std::optional<Parts> decode(std::string_view bytes) noexcept {
  if (bytes.size() < fixed_size || bytes[0] != layout) return std::nullopt;
  const char* const from = bytes.data();
  const auto kind = static_cast<unsigned char>(from[1]);
  const unsigned flags = static_cast<unsigned char>(from[2]);
  const auto state = static_cast<unsigned char>(from[56]);
  const std::size_t body = encoded_body_size(from);
  const std::size_t seal = (flags & sealed) != 0 ? seal_size : 0;
  if (kind < 1 || kind > static_cast<unsigned>(AuditKind::lost) || flags > 7 || state > 5 ||
      bytes.size() != body + digest_size + seal)
    return std::nullopt;
  Parts parts;
  AuditEntry& entry = parts.entry;
  entry.kind = static_cast<AuditKind>(kind);
  entry.sealed = seal != 0;
  entry.name_keyed = (flags & name_keyed) != 0;
  entry.text_cut = (flags & text_cut) != 0;
  entry.detail = static_cast<std::uint8_t>(from[3]);
  entry.attempts = get<std::uint32_t>(from + 4);
  entry.number = get<std::uint64_t>(from + 8);
  entry.at = Timestamp(Duration(get<std::int64_t>(from + 16)));
  std::memcpy(entry.name.data(), from + 24, entry.name.size());
  entry.version = get<std::uint64_t>(from + 40);
  entry.attempt_id = get<std::uint64_t>(from + 48);
  if (state != 0) entry.state = static_cast<State>(state);
  const std::size_t amount = static_cast<unsigned char>(from[57]);
  entry.amount = bytes.substr(fixed_size, amount);
  entry.text = bytes.substr(fixed_size + amount, body - fixed_size - amount);
  parts.body = bytes.substr(0, body);
  parts.digest = bytes.substr(body, digest_size);
  parts.seal = bytes.substr(body + digest_size);
  return parts;
}

}  // namespace audit_format
}  // namespace paidonce::inline v1
