#pragma once
// The frames of the hand-written logs: 24 bytes of head with a CRC32C, as a file store's, and the same
// payload.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include <paidonce/stores/file/crc32c.hpp>

#include "benchmarks/file/payment.hpp"

namespace file_benchmark {

class Frame {
 public:
  Frame(std::string_view key, std::string_view record) {
    char* at = bytes_.data() + head_size;
    std::memcpy(at, key.data(), key.size());
    std::memcpy(at + key.size(), record.data(), record.size());
    const std::size_t payload = key.size() + record.size();
    size_ = head_size + payload;
    const auto payload_size = static_cast<std::uint32_t>(payload);
    const std::uint32_t crc = paidonce::crc32c(0, at, payload);
    std::memset(bytes_.data(), 0x5a, head_size);
    std::memcpy(bytes_.data() + 4, &crc, 4);
    std::memcpy(bytes_.data() + 8, &payload_size, 4);
  }
  std::string_view view() const { return {bytes_.data(), size_}; }

 private:
  static constexpr std::size_t head_size = 24;
  std::array<char, head_size + 32 + record_size + response_size> bytes_;
  std::size_t size_;
};

}  // namespace file_benchmark
