#pragma once
// What a cluster tells of where its slots are: in `MOVED` and `ASK`, and in its answer to CLUSTER SLOTS.
// Without I/O.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/redis/options.hpp>
#include <paidonce/redis/reply.hpp>
#include <paidonce/redis/slot.hpp>

namespace paidonce::inline v1::detail {

/// The node that `MOVED 3999 10.0.0.1:6381` or `ASK …` names. One that does not know its own host means the
/// one that was asked. Null where the text is something else.
inline std::optional<RedisEndpoint> redirected_to(std::string_view error, const RedisEndpoint& asked) {
  const std::size_t second = error.find(' ');
  const std::size_t third = second == error.npos ? error.npos : error.find(' ', second + 1);
  if (third == error.npos) return std::nullopt;
  const std::string_view place = error.substr(third + 1);
  const std::size_t colon = place.rfind(':');
  if (colon == place.npos) return std::nullopt;
  RedisEndpoint endpoint;
  endpoint.host = place.substr(0, colon);
  if (endpoint.host.empty() || endpoint.host == "?") endpoint.host = asked.host;
  const std::string_view digits = place.substr(colon + 1);
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (failed != std::errc() || end == digits.data() || endpoint.port < 1 || endpoint.port > 65535)
    return std::nullopt;
  return endpoint;
}

/// Slots first to last, and the master that has them.
struct RedisSlotRange {
  std::uint16_t first = 0, last = 0;
  RedisEndpoint master = {};
};

/// Reads the answer to CLUSTER SLOTS. Throws `store_corrupt` where it is none.
inline std::vector<RedisSlotRange> slot_ranges(const RedisValue& answer, const RedisEndpoint& asked) {
  std::vector<RedisSlotRange> ranges;
  for (std::size_t at = 0; at < answer.size(); ++at) {
    const RedisValue range = answer[at];
    const RedisValue master = range[2];
    RedisSlotRange read;
    const auto slot = [](long long number) {
      return static_cast<std::uint16_t>(std::clamp<long long>(number, 0, redis_slots - 1));
    };
    read.first = slot(range[0].integer());
    read.last = slot(range[1].integer());
    if (!master[0].is_nil()) read.master.host = master[0].text();
    if (read.master.host.empty() || read.master.host == "?") read.master.host = asked.host;
    read.master.port = static_cast<int>(master[1].integer());
    ranges.push_back(std::move(read));
  }
  return ranges;
}

}  // namespace paidonce::inline v1::detail
