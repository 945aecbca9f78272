#pragma once
// UUIDs in the text form of RFC 9562: 36 lower-case characters, from the operating system's random source.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include <paidonce/digest/hex.hpp>
#include <paidonce/digest/random.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {
namespace detail {

/// Sets the version (4, 7, 8 …) and the variant of RFC 9562, section 4.
inline void set_uuid_version(unsigned char* bytes16, unsigned version) noexcept {
  bytes16[6] = static_cast<unsigned char>((bytes16[6] & 0x0fU) | version << 4);
  bytes16[8] = static_cast<unsigned char>((bytes16[8] & 0x3fU) | 0x80U);
}

/// Writes the text of 16 bytes into exactly 36 characters; no NUL follows.
inline void uuid_text(const unsigned char* bytes16, char* out36) noexcept {
  char digits[32];
  hex(bytes16, 16, digits);
  std::memcpy(out36, digits, 8);
  for (int group = 1; group < 4; ++group) std::memcpy(out36 + 4 + 5 * group, digits + 4 + 4 * group, 4);
  std::memcpy(out36 + 24, digits + 20, 12);
  out36[8] = out36[13] = out36[18] = out36[23] = '-';
}

inline std::string uuid_string(unsigned char* bytes16, unsigned version) {
  set_uuid_version(bytes16, version);
  std::string text(36, '-');
  uuid_text(bytes16, text.data());
  return text;
}

}  // namespace detail

/// A random UUID, version 4: 122 random bits. Throws std::system_error where the random source fails.
inline std::string uuid_v4() {
  unsigned char bytes[16];
  detail::random_fill(bytes, sizeof bytes);
  return detail::uuid_string(bytes, 4);
}

/// A UUID that sorts by time, version 7: the milliseconds of `time` in 48 bits (held at 0 and at the
/// largest), then 74 random bits. UUIDs of one millisecond come in no order (RFC 9562, section 6.2, leaves
/// that open): nothing is shared between threads, and nobody can guess the neighbour of a UUID that was seen.
inline std::string uuid_v7(Timestamp time) {
  constexpr std::uint64_t largest = (std::uint64_t{1} << 48) - 1;
  const auto count = time.time_since_epoch().count();
  std::uint64_t millis = count > 0 ? static_cast<std::uint64_t>(count) : 0;
  if (millis > largest) millis = largest;
  unsigned char bytes[16];
  for (int i = 0; i < 6; ++i) bytes[i] = static_cast<unsigned char>(millis >> (40 - 8 * i));
  detail::random_fill(bytes + 6, sizeof bytes - 6);
  return detail::uuid_string(bytes, 7);
}

}  // namespace paidonce::inline v1
