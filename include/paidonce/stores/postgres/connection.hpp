#pragma once
// One connection: statements go out in a pipeline that ends with one Sync, and answers are waited for until a
// deadline, by poll(2), whatever the server or the network does. What did not come in time never will: the
// connection is closed, and who knows what became of its statements.

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/failure.hpp>
#include <paidonce/stores/postgres/parameters.hpp>
#include <paidonce/stores/postgres/statements.hpp>

namespace paidonce::inline v1::detail {

using PostgresDeadline = std::chrono::steady_clock::time_point;

inline PostgresDeadline postgres_deadline(Duration from_now) {
  return std::chrono::steady_clock::now() + from_now;
}

/// The answer to one statement.
class PostgresResult {
 public:
  PostgresResult() = default;
  explicit PostgresResult(PGresult* result) noexcept : result_(result) {}

  const PGresult* get() const noexcept { return result_.get(); }
  int rows() const noexcept { return PQntuples(get()); }
  bool failed() const noexcept {
    const ExecStatusType status = PQresultStatus(get());
    return status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK;
  }
  /// Of an error; 25P02 for a statement that was not run because one before it had failed.
  std::string_view sqlstate() const noexcept {
    if (PQresultStatus(get()) == PGRES_PIPELINE_ABORTED) return "25P02";
    const char* const state = PQresultErrorField(get(), PG_DIAG_SQLSTATE);
    return state ? state : "08006";
  }
  /// How many rows a statement changed.
  std::size_t changed() const noexcept {
    const char* const digits = PQcmdTuples(result_.get());
    std::size_t count = 0;
    for (const char* c = digits; c && *c >= '0' && *c <= '9'; ++c)
      count = 10 * count + static_cast<std::size_t>(*c - '0');
    return count;
  }
  std::string_view tag() const noexcept { return PQcmdStatus(result_.get()); }

 private:
  struct Clear {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

struct PostgresRequest {
  const PostgresStatement& statement;
  const PostgresParameters& parameters;
};

/// The answers to a pipeline. `failure` is the SQLSTATE of what undid it; empty where it was done: outside of
/// a transaction, committed.
struct PostgresAnswers {
  std::vector<PostgresResult> results = {};
  std::string failure = {};

  /// Throws what undid it.
  void expect_done() const {
    if (!failure.empty()) throw postgres_error(failure);
  }
};

/// Belongs to one thread at a time.
class PostgresConnection {
 public:
  /// Takes a connection that is established.
  PostgresConnection(PGconn* connection, Statements statements)
      : connection_(connection), statements_(statements) {}

  bool usable() const noexcept {
    return connection_ && !in_exchange_ && PQstatus(connection_.get()) == CONNECTION_OK;
  }
  void close() noexcept { connection_.reset(); }
  PGconn* native() const noexcept { return connection_.get(); }

  /// Whether the server has not hung up meanwhile. Costs a system call, and waits for nothing.
  bool quiet() noexcept {
    if (!usable()) return false;
    pollfd descriptor{PQsocket(connection_.get()), POLLIN, 0};
    if (::poll(&descriptor, 1, 0) == 0) return true;
    if (PQconsumeInput(connection_.get()) == 0 || PQstatus(connection_.get()) != CONNECTION_OK) {
      close();
      return false;
    }
    return true;  // a notice
  }

  /// Sends the statements, in one implicit transaction where none was begun, and returns the answers: one
  /// for each. Throws `store_unavailable` where they did not come, with the connection closed: then nothing
  /// is known. No statement at all is a sign of life.
  PostgresAnswers run(std::span<const PostgresRequest> requests, PostgresDeadline deadline) {
    if (!connection_ || in_exchange_) throw lost();  // answers of an exchange that broke off are not ours
    in_exchange_ = true;  // until everything has come: an exception leaves it so, and the connection unusable
    enter_pipeline();
    const bool replans = plans_are_old();
    if (replans) {
      const PostgresStatement discard{PostgresStatement::never, "", "DISCARD PLANS"};
      send({discard, PostgresParameters()}, prepared_);
    }
    std::uint64_t parsed = prepared_;
    for (const PostgresRequest& request : requests) {
      send(request, parsed);
      parsed |= bit_of(request.statement);
    }
    if (PQpipelineSync(connection_.get()) != 1) throw lost();
    PostgresAnswers answers;
    answers.results.reserve(requests.size());
    if (replans) read_next(answers, deadline);
    parsed = prepared_;
    for (const PostgresRequest& request : requests) {
      const std::uint64_t bit = bit_of(request.statement);
      if (by_name(request.statement) && (parsed & bit) == 0) {
        if (!read_next(answers, deadline).failed()) prepared_ |= bit;
        parsed |= bit;
      }
      answers.results.push_back(read_next(answers, deadline));
    }
    await_sync(answers, deadline);
    in_exchange_ = false;
    if (!answers.failure.empty() && verdict_of(answers.failure) == PostgresVerdict::leave) close();
    return answers;
  }
  PostgresAnswers run(std::initializer_list<PostgresRequest> requests, PostgresDeadline deadline) {
    return run(std::span<const PostgresRequest>(requests.begin(), requests.size()), deadline);
  }

  /// As the driver's own functions expect it: no pipeline, and calls that wait.
  void leave_pipeline() {
    if (!connection_ || PQpipelineStatus(connection_.get()) == PQ_PIPELINE_OFF) return;
    while (PGresult* const rest = PQgetResult(connection_.get())) PQclear(rest);
    if (PQexitPipelineMode(connection_.get()) != 1 || PQsetnonblocking(connection_.get(), 0) != 0)
      throw lost();
  }

  static Error lost() {
    return Error(errc::store_unavailable,
                 "the connection to the server was lost; what became of the statement is not known");
  }

 private:
  struct Finish {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };

  void enter_pipeline() {
    if (PQpipelineStatus(connection_.get()) != PQ_PIPELINE_OFF) return;
    if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1)
      throw lost();
  }

  /// The server keeps the plan of a named statement until statistics are gathered anew. One that was made for
  /// a table of a few rows reads all of it, which is slow when there are a million a minute later: plans are
  /// made again every second. Not within a transaction, which may have failed already.
  bool plans_are_old() {
    if (statements_ != Statements::named || prepared_ == 0 ||
        PQtransactionStatus(connection_.get()) != PQTRANS_IDLE)
      return false;
    const auto now = std::chrono::steady_clock::now();
    if (now - planned_ < std::chrono::seconds(1)) return false;
    planned_ = now;
    return true;
  }

  static std::uint64_t bit_of(const PostgresStatement& statement) noexcept {
    return statement.number < 64 ? std::uint64_t{1} << statement.number : 0;
  }
  bool by_name(const PostgresStatement& statement) const noexcept {
    return statements_ == Statements::named && bit_of(statement) != 0;
  }

  /// `parsed`: what the connection knows by then, those parsed further up in the same pipeline included.
  void send(const PostgresRequest& request, std::uint64_t parsed) {
    const PostgresStatement& statement = request.statement;
    const PostgresParameters& given = request.parameters;
    PGconn* const to = connection_.get();
    int sent = 1;
    if (!by_name(statement)) {
      sent = PQsendQueryParams(to, statement.text.c_str(), given.count(), nullptr, given.values(),
                               given.lengths(), given.formats(), 1);
    } else {
      if ((parsed & bit_of(statement)) == 0)
        sent = PQsendPrepare(to, statement.name.c_str(), statement.text.c_str(), given.count(), nullptr);
      if (sent == 1)
        sent = PQsendQueryPrepared(to, statement.name.c_str(), given.count(), given.values(), given.lengths(),
                                   given.formats(), 1);
    }
    if (sent != 1) throw lost();
  }

  PostgresResult next(PostgresDeadline deadline) {
    PGconn* const from = connection_.get();
    int unsent = PQflush(from);
    while (unsent > 0 || PQisBusy(from)) {
      if (unsent < 0) throw hung_up();
      wait(unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline);
      if (PQconsumeInput(from) != 1) throw hung_up();
      unsent = PQflush(from);
    }
    if (unsent < 0) throw hung_up();
    return PostgresResult(PQgetResult(from));
  }

  /// One answer, to its end: libpq says with a null pointer where that is.
  PostgresResult read_next(PostgresAnswers& answers, PostgresDeadline deadline) {
    PostgresResult result = next(deadline);
    if (result.failed()) note_failure(answers, result);
    while (next(deadline).get()) {
    }
    return result;
  }

  /// The Sync's own answer: only now is what was not in a transaction committed, and that can fail too.
  void await_sync(PostgresAnswers& answers, PostgresDeadline deadline) {
    for (int nothing = 0;;) {
      const PostgresResult result = next(deadline);
      if (!result.get()) {
        if (++nothing > 2 || PQstatus(connection_.get()) != CONNECTION_OK) throw hung_up();
        continue;
      }
      if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) return;
      if (result.failed()) note_failure(answers, result);
    }
  }

  void note_failure(PostgresAnswers& answers, const PostgresResult& result) {
    if (answers.failure.empty()) answers.failure = result.sqlstate();
    if (PQstatus(connection_.get()) != CONNECTION_OK) throw hung_up();
  }

  void wait(int events, PostgresDeadline deadline) {
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if (left <= 0) {
        close();
        throw Error(errc::store_unavailable,
                    "the server did not answer in time; what became of the statement is not known");
      }
      pollfd descriptor{PQsocket(connection_.get()), static_cast<short>(events), 0};
      const int ready = ::poll(&descriptor, 1, left > INT32_MAX ? INT32_MAX : static_cast<int>(left));
      if (ready > 0) return;
      if (ready < 0 && errno != EINTR) throw hung_up();
    }
  }

  Error hung_up() {
    close();
    return lost();
  }

  std::unique_ptr<PGconn, Finish> connection_;
  Statements statements_;
  std::uint64_t prepared_ = 0;
  std::chrono::steady_clock::time_point planned_ = std::chrono::steady_clock::now();
  bool in_exchange_ = false;
};

}  // namespace paidonce::inline v1::detail
