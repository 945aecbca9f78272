#pragma once
// CRC32C (Castagnoli; RFC 3720, appendix B.4), the checksum of a file store's log. It finds accidents, not
// tampering.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace paidonce::inline v1 {

namespace detail {

/// 0x1EDC6F41, reflected.
inline constexpr std::uint32_t crc32c_polynomial = 0x82F63B78;

/// Table k advances a byte over k bytes of zeros behind it.
inline constexpr auto crc32c_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? crc32c_polynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t byte = 0; byte < 256; ++byte)
      tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
  return tables;
}();

/// Eight bytes at a time by tables, on any machine. `crc` and the result are inverted.
inline std::uint32_t crc32c_by_tables(std::uint32_t crc, const unsigned char* from,
                                      std::size_t size) noexcept {
  const auto& tables = crc32c_tables;
  for (; size >= 8; from += 8, size -= 8) {
    crc ^= static_cast<std::uint32_t>(from[0]) | static_cast<std::uint32_t>(from[1]) << 8 |
           static_cast<std::uint32_t>(from[2]) << 16 | static_cast<std::uint32_t>(from[3]) << 24;
    crc = tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^ tables[5][crc >> 16 & 255] ^
          tables[4][crc >> 24] ^ tables[3][from[4]] ^ tables[2][from[5]] ^ tables[1][from[6]] ^
          tables[0][from[7]];
  }
  for (; size > 0; ++from, --size) crc = crc >> 8 ^ tables[0][(crc ^ *from) & 255];
  return crc;
}

#if defined(__x86_64__)

inline bool has_crc32c_instruction() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }

/// By SSE4.2's instruction, which the processor must have. `crc` and the result are inverted.
__attribute__((target("sse4.2"))) inline std::uint32_t crc32c_by_instruction(std::uint32_t crc,
                                                                             const unsigned char* from,
                                                                             std::size_t size) noexcept {
  std::uint64_t wide = crc;
  for (; size >= 8; from += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, from, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  crc = static_cast<std::uint32_t>(wide);
  if ((size & 4) != 0) {
    std::uint32_t word;
    std::memcpy(&word, from, 4);
    crc = __builtin_ia32_crc32si(crc, word);
    from += 4;
  }
  if ((size & 2) != 0) {
    std::uint16_t word;
    std::memcpy(&word, from, 2);
    crc = __builtin_ia32_crc32hi(crc, word);
    from += 2;
  }
  if ((size & 1) != 0) crc = __builtin_ia32_crc32qi(crc, *from);
  return crc;
}

#endif

}  // namespace detail

/// The CRC32C of `size` bytes, continuing that of what stands before them: `crc32c(crc32c(0, a), b)` is the
/// one of a and b in one piece, and `crc32c(0, "123456789", 9)` is 0xE3069283.
inline std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t size) noexcept {
  const auto* const from = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
  if (detail::has_crc32c_instruction()) return ~detail::crc32c_by_instruction(~crc, from, size);
#endif
  return ~detail::crc32c_by_tables(~crc, from, size);
}

}  // namespace paidonce::inline v1
