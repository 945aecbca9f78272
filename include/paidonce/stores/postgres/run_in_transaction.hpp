#pragma once
// A statement of rows that are not the store's own, on the handle that its transaction gives out.

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/failure.hpp>
#include <paidonce/stores/postgres/parameters.hpp>

namespace paidonce::inline v1::detail {

/// The server's own timeouts, which the transaction has set, end a statement that takes too long; a server or
/// a network that went silent is given up after `answer_within`. Then the connection is left in the middle of
/// it, and the transaction closes it. Throws the error that a SQLSTATE means, with a fixed text.
inline PostgresResult run_in_transaction(PGconn* connection, const std::string& sql,
                                         const PostgresParameters& given, Duration answer_within) {
  if (PQsendQueryParams(connection, sql.c_str(), given.count(), nullptr, given.values(), given.lengths(),
                        given.formats(), 1) != 1)
    throw PostgresConnection::lost();
  const PostgresDeadline deadline = postgres_deadline(answer_within);
  const auto next = [&] {
    while (PQisBusy(connection) != 0) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if (left <= 0)
        throw Error(
            errc::store_unavailable,
            "the server did not answer in time; the transaction is given up, and nothing of it is stored");
      pollfd descriptor{PQsocket(connection), POLLIN, 0};
      const int ready = ::poll(&descriptor, 1, left > INT32_MAX ? INT32_MAX : static_cast<int>(left));
      if (ready < 0 && errno != EINTR) throw PostgresConnection::lost();
      if (ready > 0 && PQconsumeInput(connection) != 1) throw PostgresConnection::lost();
    }
    return PostgresResult(PQgetResult(connection));
  };
  PostgresResult answer = next();
  while (next().get()) {
  }
  if (PQstatus(connection) != CONNECTION_OK) throw PostgresConnection::lost();
  if (answer.failed()) throw postgres_error(answer.sqlstate());
  return answer;
}

}  // namespace paidonce::inline v1::detail
