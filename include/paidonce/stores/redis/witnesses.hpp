#pragma once
// What a server must still know: for each tag, the last write that it acknowledged here. A server that lost
// its memory, or a replica that took over too early, has the beginning of what there was and lacks the end;
// so the last write is the one to look for. Asked on every new connection, before anything else is, and by
// each insert for its tag.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/detail/boot_clock.hpp>
#include <paidonce/record.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// What was acknowledged.
struct RedisWitness {
  std::size_t tag = 0;
  std::string key = {};  ///< of the record
  Version version = 0;
  BootTime until = 0;  ///< it cannot have expired before
};

/// Pure. Whether a server that has these bytes of a record's version, and of the highest version swept, has
/// forgotten a write: it is not there, nor one that came later, and no sweep can have taken it.
inline bool is_forgotten(Version acknowledged, std::string_view version, std::string_view swept) {
  const auto number = [](std::string_view bytes) -> std::optional<Version> {
    if (bytes.size() != sizeof(Version)) return std::nullopt;
    return RecordReader(bytes).integer<Version>();
  };
  const std::optional<Version> there = number(version), erased = number(swept);
  return (!there || *there < acknowledged) && (!erased || *erased < acknowledged);
}

/// Thread-safe.
class RedisWitnesses {
 public:
  /// Records that are not final may be completed by others, and stay for `least` then.
  explicit RedisWitnesses(Duration least) : least_(least) {}

  /// `asked`: before the write was sent. The server counts from when it got it, while this host may wait long
  /// for the answer, or sleep; and clocks that are being slewed may differ by a thousandth.
  void note(std::size_t tag, std::string_view key, Version version, std::optional<Duration> ttl,
            BootTime asked) {
    Place& place = places_[tag];
    const Duration kept = ttl && *ttl > least_ ? std::min(*ttl, most) : least_;
    const BootTime until = boot_after(asked, kept - kept / 1000);
    const std::lock_guard lock(place.mutex);
    place.witness.tag = tag;
    place.witness.key.assign(key);
    place.witness.version = version;
    place.witness.until = until;
  }

  /// It has told what it knew.
  void dismiss(const RedisWitness& witness) {
    Place& place = places_[witness.tag];
    const std::lock_guard lock(place.mutex);
    if (place.witness.version == witness.version && place.witness.key == witness.key) place.witness.until = 0;
  }

  /// The one of a tag, where there is one.
  std::optional<RedisWitness> of(std::size_t tag) const {
    const Place& place = places_[tag];
    const BootTime now = boot_now();
    const std::lock_guard lock(place.mutex);
    return now < place.witness.until ? std::optional(place.witness) : std::nullopt;
  }

  /// Those that a server which has them forgot nothing must have.
  std::vector<RedisWitness> recall() const {
    const BootTime now = boot_now();
    std::vector<RedisWitness> called;
    for (const Place& place : places_) {
      const std::lock_guard lock(place.mutex);
      if (now < place.witness.until) called.push_back(place.witness);
    }
    return called;
  }

 private:
  static constexpr Duration most = std::chrono::hours(24);

  struct Place {
    mutable std::mutex mutex;
    RedisWitness witness;
  };

  const Duration least_;
  std::array<Place, redis_tags> places_;
};

}  // namespace paidonce::inline v1::detail
