#pragma once
// Bytes as lower-case hexadecimal digits, four bytes at a time in one register.

#include <cstddef>
#include <cstdint>

namespace paidonce::inline v1 {
namespace detail {

/// Writes the 8 digits of 4 bytes; no NUL follows.
inline void hex4(const unsigned char* bytes, char* out) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101;
  std::uint64_t v = std::uint64_t{bytes[0]} | std::uint64_t{bytes[1]} << 8 | std::uint64_t{bytes[2]} << 16 |
                    std::uint64_t{bytes[3]} << 24;
  v = (v | v << 16) & 0x0000ffff0000ffff;
  v = (v | v << 8) & 0x00ff00ff00ff00ff;  // one byte in every two
  v = (v >> 4 & 0x000f000f000f000f) | (v & 0x000f000f000f000f)
                                          << 8;  // one digit in every byte, first one lowest
  const std::uint64_t letters = (v + 6 * ones) >> 4 & ones;
  v += '0' * ones + ('a' - '0' - 10) * letters;
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(v >> (8 * i));
}

/// Writes the digits of `size` bytes, a multiple of 4.
inline void hex(const void* bytes, std::size_t size, char* out) noexcept {
  const auto* from = static_cast<const unsigned char*>(bytes);
  for (std::size_t i = 0; i < size; i += 4) hex4(from + i, out + 2 * i);
}

}  // namespace detail
}  // namespace paidonce::inline v1
