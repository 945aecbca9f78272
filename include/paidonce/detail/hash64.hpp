#pragma once
// A fast 64-bit hash for tables in memory: 16 bytes at a time through one 64 × 64 → 128 bit multiplication
// whose halves are folded together. Not a digest: who knows the seed can make collisions. Differs between
// byte orders.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace paidonce::inline v1 {
namespace detail {

inline std::uint64_t multiply_fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t load64(const char* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// Hash of the bytes under `seed`. Empty and short inputs, and inputs that differ in length only, are told
/// apart.
inline std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0) noexcept {
  constexpr std::uint64_t odd1 = 0x9e3779b97f4a7c15, odd2 = 0xd1b54a32d192ed03, odd3 = 0xaef17502108ef2d9;
  const char* data = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = seed ^ multiply_fold(bytes.size() ^ odd1, odd2);
  for (; left > 16; left -= 16, data += 16) {
    hash = multiply_fold(load64(data) ^ odd2 ^ hash, load64(data + 8) ^ odd3);
  }
  std::uint64_t low = 0, high = 0;
  if (left >= 8) {  // two words that overlap
    low = load64(data);
    high = load64(data + left - 8);
  } else if (left > 0) {
    std::memcpy(&low, data, left);
  }
  hash = multiply_fold(low ^ odd2 ^ hash, high ^ odd3);
  return multiply_fold(hash ^ odd1, odd3);
}

}  // namespace detail
}  // namespace paidonce::inline v1
