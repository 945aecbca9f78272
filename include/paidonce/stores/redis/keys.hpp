#pragma once
// Under which keys a store keeps its records. A format: other programs and all releases use the same.
//
// | key                          | holds                                                                  |
// | ---------------------------- | ---------------------------------------------------------------------- |
// | `{<prefix>:<tag>}:r:<bytes>` | `to_bytes(Record)`; `<bytes>` are `IdempotencyKey::bytes()`            |
// | `{<prefix>:<tag>}:open`      | a sorted set, all scores 0: `<bytes>` of the records that do not expire |
// | `{<prefix>:<tag>}:done`      | a sorted set: `<bytes>` of those that do, by their `expires_at` in ms  |
// | `{<prefix>:<tag>}:swept`     | the highest version that a sweep has erased, 8 bytes little-endian     |
// | `{<prefix>:<tag>}:l:<bytes>` | the token of who holds the key in a RedisLock                          |
//
// The tag is crc16(bytes) mod 256, in decimal: the lower byte of what CLUSTER KEYSLOT reckons with. All keys
// of a tag are in one slot.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/redis/slot.hpp>

namespace paidonce::inline v1::detail {

inline constexpr std::size_t redis_tags = 256;

constexpr std::uint8_t redis_tag(std::string_view key_bytes) noexcept {
  return static_cast<std::uint8_t>(crc16(key_bytes) % redis_tags);
}

/// The names of one tag.
struct RedisTag {
  std::string records, open, done, swept;  ///< `records` and a key's bytes are a record's name
  std::uint16_t slot = 0;
};

/// Those of all tags.
class RedisTags {
 public:
  explicit RedisTags(std::string_view prefix) {
    for (std::size_t number = 0; number < redis_tags; ++number) {
      std::string braced = "{";
      braced.append(prefix).append(":").append(std::to_string(number)).append("}");
      tags_[number] = {braced + ":r:", braced + ":open", braced + ":done", braced + ":swept",
                       redis_slot(braced)};
    }
  }

  const RedisTag& operator[](std::size_t number) const noexcept { return tags_[number]; }
  const RedisTag& of(std::string_view key_bytes) const noexcept { return tags_[redis_tag(key_bytes)]; }

 private:
  std::array<RedisTag, redis_tags> tags_;
};

}  // namespace paidonce::inline v1::detail
