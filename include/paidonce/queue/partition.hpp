#pragma once
// Which part of a queue a message goes to: so that messages of one key meet, and parts are worked on at once.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>

namespace paidonce::inline v1::detail {

/// FNV-1a with 64 bits, folded. Every producer, of every version and on every machine, has to agree: what
/// this gives is never changed. https://www.rfc-editor.org/rfc/rfc9923
constexpr std::uint64_t partition_hash(std::string_view key) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : key) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x00000100000001b3;
  return hash ^ hash >> 32;
}

/// The partition of a key; any of them for an empty one, which keeps no order.
inline std::size_t partition_of(std::string_view key, std::size_t partitions) {
  return static_cast<std::size_t>((key.empty() ? random_u64() : partition_hash(key)) % partitions);
}

/// The name of a queue goes into the names of what it is made of. Throws `invalid_options`.
inline const std::string& checked_queue_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= 200;
  for (const char byte : name) good = good && byte > ' ' && byte < '\x7f' && byte != '{' && byte != '}';
  if (!good)
    throw Error(
        errc::invalid_options,
        "the name of a queue is 1 to 200 printable characters of ASCII, without blanks and curly brackets");
  return name;
}

inline std::size_t checked_partitions(std::size_t partitions) {
  if (partitions == 0 || partitions > 256)
    throw Error(errc::invalid_options, "a queue has from 1 to 256 partitions");
  return partitions;
}

}  // namespace paidonce::inline v1::detail
