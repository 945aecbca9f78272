#pragma once
// How a broker is reached, and how a queue on it is used.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/queue/partition.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>

struct amqp_connection_state_t_;
struct amqp_socket_t_;

namespace paidonce::inline v1 {

/// Makes and opens the socket of a connection in the application's own way: over TLS by amqp_ssl_socket_new,
/// with the certificates to trust, and amqp_socket_open_noblock. It belongs to the connection. What it throws
/// and a null pointer mean that the broker is out of reach. Called on threads of the library's own.
using RabbitConnect = std::function<amqp_socket_t_*(amqp_connection_state_t_* connection, const char* host,
                                                    int port, Duration timeout)>;

struct RabbitOptions {
  /// How long a connection may take to open, login included; and how long a call that puts a message waits
  /// for one.
  Duration connect_timeout{3'000};
  /// How long the broker may take to confirm a message, or to answer anything else.
  Duration reply_timeout{5'000};
  /// A broker that is silent for about twice so long is taken for dead, and so is this side by the broker.
  /// Whole seconds. The payments of a consumer may take as long as they like.
  Duration heartbeat{10'000};
  /// Pauses between tries to connect while the broker is out of reach.
  Backoff reconnect{Duration(50), Duration(5'000), Jitter::equal};
  /// Empty: over TCP, without TLS.
  RabbitConnect connect = {};
};

/// Name and number of partitions are the same for all who use a queue.
struct RabbitQueueOptions {
  RabbitOptions connection = {};
  /// The queues are `name.0`, `name.1` and so on, `name.dead` and `name.members`.
  std::string queue = "payments";
  /// Each is consumed by one consumer at a time, so this bounds how many can share the work.
  std::size_t partitions = 8;
  /// Messages of a partition that a consumer holds: those that are out, and those that wait for their turn or
  /// their retry.
  std::uint16_t prefetch = 32;
  /// A consumer looks so often whether it has more than its share of the partitions, and leaves the surplus
  /// to those who wait.
  Duration share_interval{5'000};
  /// A consumer that nobody receives from for so long gives its partitions to others.
  Duration idle_after{5'000};
};

namespace detail {

/// Throws `invalid_options`.
inline const RabbitQueueOptions& checked(const RabbitQueueOptions& options) {
  checked_queue_name(options.queue);
  checked_partitions(options.partitions);
  checked(options.connection.reconnect);
  if (options.prefetch == 0)
    throw Error(errc::invalid_options, "RabbitQueueOptions::prefetch is from 1 to 65535");
  for (const Duration length : {options.connection.connect_timeout, options.connection.reply_timeout,
                                options.share_interval, options.idle_after})
    if (length.count() <= 0 || length > std::chrono::hours(24))
      throw Error(errc::invalid_options,
                  "the timeouts and intervals of RabbitQueueOptions are longer than zero, and up to a day");
  const Duration beat = options.connection.heartbeat;
  if (beat < Duration(1'000) || beat > Duration(3'600'000) || beat.count() % 1'000 != 0)
    throw Error(errc::invalid_options, "RabbitOptions::heartbeat is from 1 s to an hour, in whole seconds");
  return options;
}

}  // namespace detail

}  // namespace paidonce::inline v1
