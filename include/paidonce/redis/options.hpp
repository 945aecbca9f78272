#pragma once
// How connections to Redis are made: what all parts that use it share.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>

struct redisContext;

namespace paidonce::inline v1 {

/// Where one server listens.
struct RedisEndpoint {
  std::string host = {};  ///< a name or an address; empty for a socket
  int port = 0;
  std::string socket = {};  ///< the path of a Unix-domain socket

  friend bool operator==(const RedisEndpoint&, const RedisEndpoint&) = default;
};

/// Makes a connection in the application's own way: over TLS, through a proxy, to whatever its discovery says
/// is the master behind that endpoint. Called on any thread, several at once. Returns a context that is
/// connected and that nothing has been sent on, within `timeout`; it is freed by `redisFree`. What it throws,
/// a null pointer and a context with an error all mean that the server is out of reach. Authentication and
/// the choice of the database follow on the connection, as without it.
using RedisConnect = std::function<redisContext*(const RedisEndpoint&, Duration timeout)>;

struct RedisOptions {
  std::string user = {};      ///< of AUTH; that in the URI wins
  std::string password = {};  ///< likewise; also of a user in the URI without one
  /// How long a connection may take to open, AUTH included; and how long calls wait, at the beginning of an
  /// outage, for the server to come back. Afterwards they fail at once.
  Duration connect_timeout{3'000};
  /// How long a call waits for the answer to a command. The connection is closed then.
  Duration reply_timeout{5'000};
  /// How long a call waits for one of the connections, where all are in use.
  Duration acquire_timeout{2'000};
  /// A connection that nobody has used for so long is asked for a sign of life before it is.
  Duration idle_check{30'000};
  /// Connections to one server that single commands share.
  std::size_t connections = 8;
  /// Pauses between tries to connect while the server is out of reach.
  Backoff reconnect{Duration(50), Duration(5'000), Jitter::equal};
  /// Empty: over TCP or a Unix-domain socket, without TLS.
  RedisConnect connect = {};
};

namespace detail {

/// Throws `invalid_options`.
inline const RedisOptions& checked(const RedisOptions& options) {
  for (const Duration timeout :
       {options.connect_timeout, options.reply_timeout, options.acquire_timeout, options.idle_check})
    if (timeout.count() <= 0 || timeout > Duration(INT32_MAX))
      throw Error(errc::invalid_options,
                  "the timeouts of RedisOptions must be longer than zero, and shorter than 24 days");
  if (options.connections == 0 || options.connections > 1024)
    throw Error(errc::invalid_options, "RedisOptions::connections must be from 1 to 1024");
  if (!options.user.empty() && options.password.empty())
    throw Error(errc::invalid_options, "RedisOptions has a user, and no password");
  checked(options.reconnect);
  return options;
}

}  // namespace detail

}  // namespace paidonce::inline v1
