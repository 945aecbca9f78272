#pragma once
// SHA-256 (FIPS 180-4), incremental, without allocation. Two ways through a block: a portable one, and one on
// the SHA instructions of x86-64 processors that have them, chosen at run time. Both give the same bits.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace paidonce::inline v1 {
namespace detail {

using Digest = std::array<std::byte, 32>;
using Sha256State = std::array<std::uint32_t, 8>;

inline constexpr Sha256State sha256_start = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

alignas(16) inline constexpr std::uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// Takes `blocks` blocks of 64 bytes into the state.
using Sha256Compress = void (*)(Sha256State& state, const unsigned char* data, std::size_t blocks) noexcept;

inline constexpr std::uint32_t rotate_right(std::uint32_t word, int bits) noexcept {
  return (word >> bits) | (word << (32 - bits));
}

inline void sha256_compress_portable(Sha256State& state, const unsigned char* data,
                                     std::size_t blocks) noexcept {
  for (; blocks > 0; --blocks, data += 64) {
    std::uint32_t w[16];
    for (std::size_t i = 0; i < 16; ++i) {
      const unsigned char* p = data + 4 * i;
      w[i] = std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | p[3];
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
      if (i >= 16) {  // w holds the last 16 words of the schedule
        const std::uint32_t w15 = w[(i + 1) & 15];
        const std::uint32_t w2 = w[(i + 14) & 15];
        w[i & 15] += (rotate_right(w15, 7) ^ rotate_right(w15, 18) ^ (w15 >> 3)) + w[(i + 9) & 15] +
                     (rotate_right(w2, 17) ^ rotate_right(w2, 19) ^ (w2 >> 10));
      }
      const std::uint32_t t1 = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                               (g ^ (e & (f ^ g))) + sha256_constants[i] + w[i & 15];
      const std::uint32_t t2 =
          (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) + ((a & b) | (c & (a | b)));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const Sha256State out = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += out[i];
  }
}

#if defined(__x86_64__)

using Words4 = std::uint32_t __attribute__((vector_size(16)));
using Ints4 = int __attribute__((vector_size(16)));
using Bytes16 = char __attribute__((vector_size(16)));

// Vector builtins instead of <immintrin.h>, which costs more to compile than everything else here.
[[gnu::target("sha,sse4.1,ssse3")]] inline void sha256_compress_x86(Sha256State& state,
                                                                    const unsigned char* data,
                                                                    std::size_t blocks) noexcept {
  Words4 abcd, efgh;
  std::memcpy(&abcd, state.data(), 16);
  std::memcpy(&efgh, state.data() + 4, 16);
  // The instructions want the words as F E B A and H G D C, from the lowest lane up.
  Words4 abef = __builtin_shufflevector(abcd, efgh, 5, 4, 1, 0);
  Words4 cdgh = __builtin_shufflevector(abcd, efgh, 7, 6, 3, 2);
  for (; blocks > 0; --blocks, data += 64) {
    const Words4 abef_before = abef;
    const Words4 cdgh_before = cdgh;
    Words4 w[4];
    for (int i = 0; i < 4; ++i) {
      Bytes16 raw;
      std::memcpy(&raw, data + 16 * i, 16);
      w[i] = (Words4)__builtin_shufflevector(raw, raw, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {  // four rounds each
      Words4 k;
      std::memcpy(&k, sha256_constants + 4 * i, 16);
      const Words4 wk = w[i & 3] + k;
      cdgh = (Words4)__builtin_ia32_sha256rnds2((Ints4)cdgh, (Ints4)abef, (Ints4)wk);
      abef = (Words4)__builtin_ia32_sha256rnds2((Ints4)abef, (Ints4)cdgh,
                                                (Ints4)__builtin_shufflevector(wk, wk, 2, 3, 2, 3));
      if (i < 12) {
        const Words4 last = w[(i + 3) & 3];
        const Words4 middle = __builtin_shufflevector(w[(i + 2) & 3], last, 1, 2, 3, 4);
        const Words4 partial =
            (Words4)__builtin_ia32_sha256msg1((Ints4)w[i & 3], (Ints4)w[(i + 1) & 3]) + middle;
        w[i & 3] = (Words4)__builtin_ia32_sha256msg2((Ints4)partial, (Ints4)last);
      }
    }
    abef += abef_before;
    cdgh += cdgh_before;
  }
  abcd = __builtin_shufflevector(abef, cdgh, 3, 2, 7, 6);
  efgh = __builtin_shufflevector(abef, cdgh, 1, 0, 5, 4);
  std::memcpy(state.data(), &abcd, 16);
  std::memcpy(state.data() + 4, &efgh, 16);
}

inline bool has_sha_instructions() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  const bool shuffles = (c & (1U << 9)) != 0 && (c & (1U << 19)) != 0;  // SSSE3, SSE4.1
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  return shuffles && (b & (1U << 29)) != 0;
}

inline Sha256Compress sha256_best() noexcept {
  // Asking the processor traps under a hypervisor, so it is asked once.
  static const Sha256Compress best = has_sha_instructions() ? sha256_compress_x86 : sha256_compress_portable;
  return best;
}

#else

inline Sha256Compress sha256_best() noexcept { return sha256_compress_portable; }

#endif

/// One running digest. Its functions are kept out of line, since every call of fingerprint()
/// would repeat them. Copying it forks the digest; it is not shared between threads without a lock.
class Sha256 {
 public:
  Sha256() noexcept : Sha256(sha256_best()) {}
  explicit Sha256(Sha256Compress compress) noexcept : compress_(compress) {}
  /// Goes on from a state that has taken `bytes` bytes, a multiple of 64.
  Sha256(const Sha256State& state, std::uint64_t bytes) noexcept
      : compress_(sha256_best()), state_(state), taken_(bytes) {}

  [[gnu::noinline]] void update(std::string_view bytes) noexcept {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    std::size_t size = bytes.size();
    if (size == 0) return;
    if (used_ > 0) {
      const std::size_t room = 64 - used_;
      const std::size_t head = size < room ? size : room;
      std::memcpy(buffer_ + used_, data, head);
      used_ += head;
      if (used_ < 64) return;
      take(buffer_, 1);
      used_ = 0;
      data += head;
      size -= head;
    }
    if (size >= 64) {
      take(data, size / 64);
      data += size & ~std::size_t{63};
      size &= 63;
    }
    if (size > 0) std::memcpy(buffer_, data, size);
    used_ = size;
  }

  [[gnu::noinline]] void update(unsigned char byte) noexcept {
    buffer_[used_++] = byte;
    if (used_ < 64) return;
    take(buffer_, 1);
    used_ = 0;
  }

  /// The digest of everything taken; afterwards only destruction and assignment make sense.
  [[gnu::noinline]] Digest finish() noexcept {
    const std::uint64_t bits = (taken_ + used_) * 8;
    buffer_[used_++] = 0x80;
    if (used_ > 56) {
      std::memset(buffer_ + used_, 0, 64 - used_);
      take(buffer_, 1);
      used_ = 0;
    }
    std::memset(buffer_ + used_, 0, 56 - used_);
    for (int i = 0; i < 8; ++i) buffer_[56 + i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
    take(buffer_, 1);
    Digest digest;
    for (std::size_t i = 0; i < 32; ++i) {
      digest[i] = static_cast<std::byte>(state_[i / 4] >> (24 - 8 * (i % 4)) & 0xff);
    }
    return digest;
  }

  /// The chaining value; meaningful after a multiple of 64 bytes.
  const Sha256State& state() const noexcept { return state_; }

 private:
  void take(const unsigned char* data, std::size_t blocks) noexcept {
    compress_(state_, data, blocks);
    taken_ += 64 * std::uint64_t{blocks};
  }

  Sha256Compress compress_;
  Sha256State state_ = sha256_start;
  std::uint64_t taken_ = 0;
  std::size_t used_ = 0;
  unsigned char buffer_[64];  // deliberately not filled: only the first used_ bytes mean anything
};

/// The digest of one piece.
inline Digest sha256(std::string_view bytes) noexcept {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

}  // namespace detail
}  // namespace paidonce::inline v1
