#pragma once
// A directory of log files as one string of bytes, for a fuzzer to change: how it is to be read, then the
// files, each as number (1), size (2) and bytes. The last may be shorter than it says.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <paidonce/stores/file/format.hpp>

#include "support/memory_files.hpp"

namespace fuzz {

namespace format = paidonce::file_format;

/// What is done to the bytes before they are read. Without it a fuzzer meets nothing but wrong checksums.
enum Sealed : unsigned char {
  nothing = 0,
  heads = 1,   ///< heads of segments get their right checksum
  frames = 2,  ///< so do frames, as far as each says where the next is
};

inline std::string packed_input(unsigned char sealed, const support::FilesByName& files) {
  std::string bytes(1, static_cast<char>(sealed));
  for (const auto& [name, content] : files) {
    const auto number = format::number_of_segment(name);
    bytes += static_cast<char>(number.value_or(0));
    const auto size = static_cast<std::uint16_t>(content.size());
    char raw[2];
    format::detail::put(raw, size);
    bytes.append(raw, 2);
    bytes.append(content, 0, size);
  }
  return bytes;
}

inline void seal_head(std::string& bytes) {
  if (bytes.size() < format::segment_head_size) return;
  format::detail::put(bytes.data() + 124, paidonce::crc32c(0, bytes.data(), 124));
}

/// Whatever the head says, frames are sealed for the place where they are.
inline void seal_frames(std::string& bytes, std::uint64_t number) {
  format::StoreId store{};
  if (bytes.size() < format::segment_head_size) return;
  std::memcpy(store.data(), bytes.data() + 16, store.size());
  for (std::size_t at = format::segment_head_size; bytes.size() - at >= format::frame_head_size;) {
    char* const head = bytes.data() + at;
    const auto size = format::detail::get<std::uint32_t>(head + 8);
    if (std::memcmp(head, format::frame_magic.data(), 3) != 0 ||
        size > bytes.size() - at - format::frame_head_size)
      return;
    const std::uint32_t payload_crc = paidonce::crc32c(0, head + format::frame_head_size, size);
    format::detail::put(head + 4, format::frame_crc(payload_crc, head, {store, number, at}));
    at += format::frame_head_size + size;
  }
}

inline support::FilesByName files_of(std::string_view input) {
  support::FilesByName files;
  if (input.empty()) return files;
  const auto sealed = static_cast<unsigned char>(input[0]);
  input.remove_prefix(1);
  while (input.size() >= 3) {
    const auto number = static_cast<unsigned char>(input[0]);
    const std::size_t size = format::detail::get<std::uint16_t>(input.data() + 1);
    std::string bytes(input.substr(3, size));
    input.remove_prefix(3 + bytes.size());
    if ((sealed & frames) != 0) seal_frames(bytes, number);
    if ((sealed & heads) != 0) seal_head(bytes);
    files[number == 0 ? format::temporary_name : format::segment_name(number)] = std::move(bytes);
  }
  return files;
}

}  // namespace fuzz
