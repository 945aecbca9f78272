#pragma once
// Opening one connection, within a time limit, without blocking (the resolver of names excepted, which libpq
// calls as it is).

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/hosts.hpp>

namespace paidonce::inline v1::detail {

/// No server is there, or it starts up: it may be in a moment, which is worth waiting for.
class PostgresOutage : public Error {
 public:
  explicit PostgresOutage(const Error& as_told) : Error(as_told) {}
};

struct ConnectFailure {
  const char* text;
  bool outage = false;
};

/// A failure to connect in fixed words: libpq's own name hosts and users. The message is that of
/// PQERRORS_VERBOSE, which has the SQLSTATE whatever the server's language.
inline ConnectFailure connect_failure(std::string_view message) {
  const auto says = [&](std::string_view text) { return message.find(text) != std::string_view::npos; };
  if (says(" 53300:") || says("too many clients") || says("no more connections"))
    return {"the server takes no more connections: raise max_connections, or use fewer"};
  if (says(" 28P01:") || says(" 28000:") || says("no password supplied"))
    return {"the server refused user or password, or its pg_hba.conf has no entry for them"};
  if (says(" 3D000:")) return {"the server has no database of that name"};
  if (says(" 57P03:")) return {"the server starts up or shuts down", true};
  if (says("unsupported startup parameter"))
    return {"the pooler refuses a startup parameter: leave it out, or list it in ignore_startup_parameters"};
  if (says("session is read-only") || says("server is in hot standby"))
    return {"no host of the connection string takes writes: target_session_attrs found none"};
  if (says("SSL SYSCALL error") || says("closed the connection unexpectedly") || says("onnection reset"))
    return {"the server hung up while it was connected to", true};
  if (says("received invalid response to SSL negotiation"))
    return {"what answers there is no PostgreSQL server: see host and port"};
  if (says("certificate") || says("SSL") || says("sslmode"))
    return {"TLS could not be set up: see sslmode, sslrootcert and the server's certificate"};
  return {"the server could not be reached", true};
}

inline Error connect_error(std::string_view message) {
  return Error(errc::store_unavailable, connect_failure(message).text);
}

/// `host` says which one of the connection string's. Throws `store_unavailable`.
inline PGconn* connect(const std::string& conninfo, const PostgresHost& host, PostgresDeadline deadline) {
  // In libpq, what comes later wins: the connection string over our defaults, the host over its list. A peer
  // that is silently gone is noticed in half a minute, and unsent data in 10 seconds.
  const char* const keywords[] = {"fallback_application_name",
                                  "keepalives_idle",
                                  "keepalives_interval",
                                  "keepalives_count",
                                  "tcp_user_timeout",
                                  "dbname",
                                  host.host.empty() ? "port" : "host",
                                  "port",
                                  host.hostaddr.empty() ? nullptr : "hostaddr",
                                  nullptr};
  const char* const port = host.port.empty() ? nullptr : host.port.c_str();
  const char* const values[] = {"paidonce",
                                "10",
                                "5",
                                "3",
                                "10000",
                                conninfo.c_str(),
                                host.host.empty() ? port : host.host.c_str(),
                                port,
                                host.hostaddr.c_str(),
                                nullptr};
  struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };
  const auto gone = [] { return Error(errc::store_unavailable, "the server did not answer in time"); };
  std::unique_ptr<PGconn, Finish> connection(PQconnectStartParams(keywords, values, 1));
  if (!connection) throw std::bad_alloc();
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(
      connection.get(), [](void*, const PGresult*) {}, nullptr);  // they would go to the standard error
  PostgresPollingStatusType polling = PGRES_POLLING_WRITING;
  if (PQstatus(connection.get()) == CONNECTION_BAD) polling = PGRES_POLLING_FAILED;
  while (polling != PGRES_POLLING_OK) {
    if (polling == PGRES_POLLING_FAILED) {
      const std::string_view message = PQerrorMessage(connection.get());
      if (connect_failure(message).outage) throw PostgresOutage(connect_error(message));
      throw connect_error(message);
    }
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) throw gone();
    pollfd descriptor{PQsocket(connection.get()),
                      static_cast<short>(polling == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    const int ready = ::poll(&descriptor, 1, left > INT32_MAX ? INT32_MAX : static_cast<int>(left));
    if (ready < 0 && errno != EINTR) throw gone();
    if (ready > 0) polling = PQconnectPoll(connection.get());
  }
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  return connection.release();
}

}  // namespace paidonce::inline v1::detail
