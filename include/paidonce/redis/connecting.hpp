#pragma once
// Opens a connection: the socket, then who we are and which database.

#include <poll.h>

#include <chrono>
#include <string>
#include <string_view>

#include <hiredis/hiredis.h>
#include <sys/socket.h>

#include <paidonce/redis/address.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/options.hpp>

namespace paidonce::inline v1::detail {

inline redisContext* connect_plainly(const RedisEndpoint& endpoint, Duration timeout) {
  timeval time{};
  time.tv_sec = static_cast<decltype(time.tv_sec)>(timeout.count() / 1000);
  time.tv_usec = static_cast<decltype(time.tv_usec)>(timeout.count() % 1000 * 1000);
  return endpoint.socket.empty() ? redisConnectWithTimeout(endpoint.host.c_str(), endpoint.port, time)
                                 : redisConnectUnixWithTimeout(endpoint.socket.c_str(), time);
}

/// The socket alone. Throws `RedisOutage`.
inline RedisConnection open_redis(const RedisEndpoint& endpoint, const RedisOptions& options) {
  redisContext* context = nullptr;
  try {
    context = options.connect ? options.connect(endpoint, options.connect_timeout)
                              : connect_plainly(endpoint, options.connect_timeout);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {  // its text may hold anything
  }
  if (!context) throw RedisOutage("no connection to the server could be made");
  if (context->err != 0) {
    std::string what = "the server is out of reach";
    if (!options.connect) what.append(": ").append(context->errstr);  // this system's words, of no name
    redisFree(context);
    throw RedisOutage(what);
  }
  return RedisConnection(context, options.connect ? RedisConnection::Transport::of_application
                                                  : RedisConnection::Transport::socket);
}

/// A connection that is ready for commands. Throws `RedisOutage`, and `invalid_options` for a password or
/// database that the server does not have.
inline RedisConnection connect(const RedisEndpoint& endpoint, const RedisAddress& address,
                               const RedisOptions& options) {
  const RedisDeadline deadline = redis_deadline(options.connect_timeout);
  RedisConnection connection = open_redis(endpoint, options);
  const auto expect = [&](const RedisReply& reply, std::string_view command) {
    if (!reply.is_error()) return;
    expect_serving(reply.error());
    if (reply.error_word() == "ERR")
      throw Error(errc::invalid_options,
                  "the server has no such database, or takes no password: check the URI");
    throw redis_error(reply.error(), command);
  };
  if (!address.password.empty())
    expect(address.user.empty() ? connection.run({"AUTH", address.password}, deadline)
                                : connection.run({"AUTH", address.user, address.password}, deadline),
           "AUTH");
  if (address.database != 0)
    expect(connection.run({"SELECT", std::to_string(address.database)}, deadline), "SELECT");
  return connection;
}

}  // namespace paidonce::inline v1::detail
