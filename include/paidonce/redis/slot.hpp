#pragma once
// Which of the 16384 slots of a cluster a key belongs to.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace paidonce::inline v1::detail {

inline constexpr std::size_t redis_slots = 16384;

inline constexpr auto crc16_of_byte = [] {
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 0x8000U) != 0 ? (crc << 1) ^ 0x1021U : crc << 1;
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

/// CRC-16/XMODEM, polynomial 0x1021. crc16("123456789") is 0x31C3.
constexpr std::uint16_t crc16(std::string_view bytes) noexcept {
  std::uint32_t crc = 0;
  for (const char byte : bytes)
    crc = (crc << 8 ^ crc16_of_byte[(crc >> 8 ^ static_cast<unsigned char>(byte)) & 0xFFU]) & 0xFFFFU;
  return static_cast<std::uint16_t>(crc);
}

/// What stands between the first brace and the next that closes decides, where that is anything.
constexpr std::uint16_t redis_slot(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open != key.npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != key.npos && close != open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return static_cast<std::uint16_t>(crc16(key) % redis_slots);
}

static_assert(crc16("123456789") == 0x31C3);

}  // namespace paidonce::inline v1::detail
