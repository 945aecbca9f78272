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

inline constexpr std::uint64_t hash64_odd[3] = {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03, 0xaef17502108ef2d9};

/// The word that inputs are masked with: an input equal to it multiplies by zero, so it must not be known.
inline std::uint64_t hash64_mask(std::uint64_t seed) noexcept {
  return multiply_fold(seed ^ hash64_odd[2], hash64_odd[0]);
}

/// Hash of the bytes under `seed`. Inputs that differ in length only are told apart.
inline std::uint64_t hash64(std::string_view bytes, std::uint64_t seed = 0) noexcept {
  const std::uint64_t mask = hash64_mask(seed);
  const char* data = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t hash = seed ^ multiply_fold(bytes.size() ^ hash64_odd[0], hash64_odd[1]);
  for (; left > 16; left -= 16, data += 16) {
    hash = multiply_fold(load64(data) ^ hash64_odd[1] ^ hash, load64(data + 8) ^ mask);
  }
  std::uint64_t low = 0, high = 0;
  if (left >= 8) {  // two words that overlap
    low = load64(data);
    high = load64(data + left - 8);
  } else if (left > 0) {
    std::memcpy(&low, data, left);
  }
  hash = multiply_fold(low ^ hash64_odd[1] ^ hash, high ^ mask);
  return multiply_fold(hash ^ hash64_odd[0], hash64_odd[2]);
}

}  // namespace detail
}  // namespace paidonce::inline v1
