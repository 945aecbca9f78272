#pragma once
// libpq for tests that talk to a server themselves.

#include <memory>
#include <string>
#include <vector>

#include <libpq-fe.h>

/// One connection, connected or not; ends with it.
class Pq {
 public:
  explicit Pq(const std::string& conninfo) : handle_(PQconnectdb(conninfo.c_str()), &PQfinish) {}

  bool ok() const { return PQstatus(handle_.get()) == CONNECTION_OK; }
  std::string message() const { return PQerrorMessage(handle_.get()); }
  PGconn* handle() const { return handle_.get(); }

  struct Answer {
    ExecStatusType status = PGRES_FATAL_ERROR;
    std::string sqlstate = {}, value = {};  ///< the first column of the first row
    bool ok() const { return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK; }
  };
  /// By the simple protocol.
  Answer query(const std::string& sql) { return answer(PQexec(handle_.get(), sql.c_str())); }
  /// By the extended one, unnamed.
  Answer query(const std::string& sql, const std::vector<std::string>& parameters) {
    std::vector<const char*> values;
    for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
    return answer(PQexecParams(handle_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                               values.data(), nullptr, nullptr, 0));
  }

 private:
  static Answer answer(PGresult* result) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> owned(result, &PQclear);
    Answer answer{PQresultStatus(result)};
    if (const char* const state = PQresultErrorField(result, PG_DIAG_SQLSTATE)) answer.sqlstate = state;
    if (PQntuples(result) > 0 && PQnfields(result) > 0) answer.value = PQgetvalue(result, 0, 0);
    return answer;
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> handle_;
};
