#pragma once
// How a queue of Redis Streams is used.

#include <cstddef>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/queue/partition.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// Name, group and number of partitions are the same for all who use a queue.
struct RedisStreamOptions {
  RedisOptions connection = {};
  /// The queue's name: its streams are `{name:0}`, `{name:1}` and so on.
  std::string stream = "payments";
  std::string group = "paidonce";
  /// How this consumer is shown by XINFO CONSUMERS; empty: a random name. Two that live have two names.
  std::string consumer = {};
  /// Each is consumed by one consumer at a time, so this bounds how many can share the work. It is written
  /// down in Redis by who comes first, and cannot be changed afterwards.
  std::size_t partitions = 8;
  /// Messages of a partition that a consumer holds: those that are out, and those that wait for their turn or
  /// their retry.
  std::size_t prefetch = 32;
  /// A partition belongs to its consumer for so long, and longer as long as it renews that, which it does at
  /// a third. So this is how long the messages of a consumer that died wait for another.
  Duration lease{10'000};
  /// The longest pause between two looks at a partition in which nothing was; it begins with 2 ms.
  Duration poll_interval{50};
  /// Entries that every group has acknowledged are removed so often.
  Duration trim_interval{10'000};
  /// A consumer that nobody receives from for so long gives its partitions to others.
  Duration idle_after{5'000};
};

namespace detail {

/// Throws `invalid_options`.
inline const RedisStreamOptions& checked(const RedisStreamOptions& options) {
  checked(options.connection);
  checked_queue_name(options.stream);
  checked_partitions(options.partitions);
  if (options.group.empty() || options.group.size() > 200 || options.consumer.size() > 200)
    throw Error(errc::invalid_options,
                "RedisStreamOptions::group has from 1 to 200 characters, consumer at most 200");
  if (options.prefetch == 0 || options.prefetch > 10'000)
    throw Error(errc::invalid_options, "RedisStreamOptions::prefetch is from 1 to 10000");
  if (options.lease < Duration(300) || options.lease > std::chrono::hours(24))
    throw Error(errc::invalid_options, "RedisStreamOptions::lease is from 300 ms to a day");
  if (options.poll_interval < Duration(1) || options.trim_interval < Duration(1) ||
      options.idle_after < Duration(1))
    throw Error(errc::invalid_options, "the intervals of RedisStreamOptions are longer than zero");
  return options;
}

/// Throws `invalid_options` where `written`, in Redis, is another number.
inline void check_stream_partitions(std::string_view written, const RedisStreamOptions& options) {
  if (written != std::to_string(options.partitions))
    throw Error(
        errc::invalid_options,
        "the queue was set up with another number of partitions: RedisStreamOptions::partitions must be "
        "the same for all who use it");
}

}  // namespace detail

}  // namespace paidonce::inline v1
