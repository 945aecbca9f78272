#pragma once
// The time of a Redis server, for hosts whose own clocks cannot be trusted.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/server/server_clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/connecting.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/redis/reply.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct RedisClockOptions {
  Duration interval{10'000};       ///< between two measurements
  Duration answer_timeout{1'000};  ///< a server that answers later than that has told no time
  RedisOptions connection = {};    ///< of these, how one connection is made: credentials, `connect_timeout`
};

using RedisClockStats = ServerClockStats;

namespace detail {

/// Asks the first of the nodes that answers. https://redis.io/docs/latest/commands/time/
class RedisTime {
 public:
  RedisTime(std::string_view uri, RedisClockOptions options)
      : options_(std::move(options)), address_(redis_address(uri, checked(options_.connection))) {
    check_clock_durations({options_.interval, options_.answer_timeout});
  }

  void connect() {
    if (connection_ && connection_->quiet()) return;
    connection_.reset();
    for (auto node = address_.endpoints.begin();; ++node) {
      try {
        connection_.emplace(detail::connect(*node, address_, options_.connection));
        look();  // one that is only starting takes connections, and tells nothing
        return;
      } catch (const Error&) {
        connection_.reset();
        if (node + 1 == address_.endpoints.end()) throw;
      }
    }
  }

  std::int64_t look() {
    if (!connection_) throw RedisConnection::lost();
    const RedisReply told = connection_->run({"TIME"}, redis_deadline(options_.answer_timeout));
    told.expect_done("TIME");
    return number(told[0].text()) * 1'000'000 + number(told[1].text());
  }

 private:
  static std::int64_t number(std::string_view digits) {
    std::int64_t value = -1;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (failed != std::errc() || end != digits.data() + digits.size())
      throw Error(errc::store_unavailable, "the server told no time");
    return value;
  }

  RedisClockOptions options_;
  RedisAddress address_;
  std::optional<RedisConnection> connection_ = {};
};

}  // namespace detail

/// A movable handle; any number of threads may use it. `now()` reads two words of memory and a clock of this
/// host that goes on while it sleeps.
///
/// Of several nodes in the URI it asks the first that answers, and keeps to it as long as it does; the nodes
/// of a cluster have clocks of their own, so those should be kept together, by NTP. While none is in reach,
/// the last offset goes on being used, and `error_bound()` grows with what two clocks may drift apart. A jump
/// of the server's clock, and the change to another node, are followed at the next measurement: guards then
/// see time jump by as much, forwards or backwards. In a forked child nothing is measured any more.
class RedisClock : public detail::ServerClock<detail::RedisTime> {
 public:
  /// Measures once. Throws `store_unavailable` where no server told the time, `invalid_options`.
  explicit RedisClock(std::string_view uri, RedisClockOptions options = {})
      : ServerClock(options.interval, uri, options) {}
};

static_assert(Clock<RedisClock>);

}  // namespace paidonce::inline v1
