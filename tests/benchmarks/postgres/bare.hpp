#pragma once
// What the guard is set against: the two bare statements, an INSERT and an UPDATE of the store's own table,
// with rows of the same size, whose values are parameters of prepared statements.

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <libpq-fe.h>

#include "benchmarks/file/payment.hpp"
#include "benchmarks/postgres/server.hpp"

namespace postgres_benchmark {

/// `value(i)` is the text of the value of that column, from 0. Times of expiry are those of the server, so
/// that their index grows as it does with real ones.
template <class Value>
std::string bare_insert(const std::string& schema, Value value) {
  std::string values = value(0);
  for (int column = 1; column < paidonce::detail::postgres_column_count; ++column)
    values += ", " + value(column);
  return "INSERT INTO " + schema + ".payments (" + std::string(paidonce::detail::postgres_columns) +
         ") VALUES (" + values + ") ON CONFLICT (key) DO NOTHING";
}
template <class Value>
std::string bare_update(const std::string& schema, Value value) {
  return "UPDATE " + schema + ".payments SET version = " + value(1) +
         " + 1, state = 2, updated_at = " + value(6) + ", lease_until = " + value(7) +
         ", expires_at = (extract(epoch FROM now()) * 1000)::bigint, response = " + value(13) +
         ", response_format = " + value(14) + " WHERE key = " + value(0) + " AND version = " + value(1);
}

/// A connection that prepares a few statements and runs them, with binary parameters.
class BareConnection {
 public:
  explicit BareConnection(const std::string& conninfo)
      : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
    if (PQstatus(connection_.get()) != CONNECTION_OK)
      throw std::runtime_error(PQerrorMessage(connection_.get()));
  }
  void prepare(const char* name, const std::string& text) {
    check(PQprepare(connection_.get(), name, text.c_str(), 0, nullptr));
  }
  /// How many rows came or were changed.
  int run(const char* name, const paidonce::detail::PostgresParameters& given) {
    return check(PQexecPrepared(connection_.get(), name, given.count(), given.values(), given.lengths(),
                                given.formats(), 1));
  }
  PGconn* native() { return connection_.get(); }

 private:
  int check(PGresult* result) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> owned(result, &PQclear);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
      throw std::runtime_error(PQerrorMessage(connection_.get()));
    return status == PGRES_TUPLES_OK ? PQntuples(result) : std::atoi(PQcmdTuples(result));
  }
  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

/// A thread and a connection for each payment in flight.
class LibpqPeer final : public Peer {
 public:
  LibpqPeer(const Schema& schema, const Width& width) {
    for (std::size_t i = 0; i < width.threads; ++i) {
      connections_.push_back(std::make_unique<BareConnection>(schema.server().conninfo()));
      const auto parameter = [](int column) { return "$" + std::to_string(column + 1); };
      connections_.back()->prepare("begin", bare_insert(schema.name(), parameter));
      // Its own numbers: parameters that are not used have no type.
      connections_.back()->prepare("end", bare_update(schema.name(), [](int column) -> std::string {
                                     switch (column) {
                                       case 0: return "$1";
                                       case 1: return "$2";
                                       case 6: return "$3";
                                       case 7: return "$4";
                                       case 13: return "$5";
                                       default: return "$6";
                                     }
                                   }));
    }
  }
  void pay(Lane& lane) override {
    BareConnection& connection = *connections_[lane.number()];
    const paidonce::Record first = begun(), second = completed();
    std::string fingerprint;
    lane.pay_one_by_one([&](std::uint64_t id) {
      const paidonce::IdempotencyKey key = key_of(id);
      paidonce::detail::PostgresParameters row, changed;
      paidonce::detail::add_row(row, key.bytes(), first, fingerprint);
      changed.bytes(key.bytes());
      for (const auto number : {static_cast<std::int64_t>(first.version),
                                static_cast<std::int64_t>(second.updated_at.time_since_epoch().count()),
                                static_cast<std::int64_t>(second.lease_until.time_since_epoch().count())})
        changed.integer(number);
      changed.bytes(second.response);
      changed.bytes(second.response_format);
      if (connection.run("begin", row) != 1 || connection.run("end", changed) != 1)
        throw std::runtime_error("a bare payment did not succeed");
    });
  }

 private:
  std::vector<std::unique_ptr<BareConnection>> connections_;
};

/// pgbench: one process, an event loop for each processor, a connection for each payment in flight.
inline Run run_pgbench(const Schema& schema, const Width& width, double seconds) {
  const auto file = std::filesystem::temp_directory_path() / (schema.name() + ".pgbench");
  struct Remove {
    const std::filesystem::path& path;
    ~Remove() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  } const remove{file};
  // Variables are parameters with -M prepared; an empty one cannot be given, and stands as what it is.
  const std::vector<std::pair<std::string, std::string>> columns = {
      {":id", "lpad(:id::text, 33, '0')::bytea"},
      {"version", "1700000000000000"},
      {"state", "1"},
      {"attempt", "81985529216486895"},
      {"attempts", "1"},
      {"created", "1700000000000"},
      {"updated", "1700000000000"},
      {"lease", "1700000030000"},
      {"expires", "0"},
      {"fingerprint", std::string(33, 'f')},
      {"''", "''"},
      {"''", "''"},
      {"''", "''"},
      {"response", response()},
      {"format", "text"},
      {"''", "''"}};
  std::string defined;
  for (const auto& [name, value] : columns)
    if (std::isalpha(static_cast<unsigned char>(name[0]))) defined += " -D " + name + "=" + value;
  const auto value = [&](int column) {
    const auto& [name, text] = columns.at(static_cast<std::size_t>(column));
    if (!std::isalpha(static_cast<unsigned char>(name[0]))) return text;
    const bool is_text = column == 9 || column >= 13;
    return ":" + name + (is_text ? "::text::bytea" : "::bigint");
  };
  const auto inserted = [&](int column) {  // the response comes later
    return column == 13 || column == 14 ? std::string("''") : value(column);
  };
  std::ofstream(file) << "\\set id random(1, 9223372036854775807)\n"
                      << bare_insert(schema.name(), inserted) << ";\n"
                      << bare_update(schema.name(), value) << ";\n";
  const std::string clients = std::to_string(width.threads);
  const std::string command = "'" + postgres_program("pgbench").string() + "' -n -M prepared -c " + clients +
                              " -j " + std::to_string(std::min<std::size_t>(width.threads, 2)) + " -T " +
                              std::to_string(static_cast<int>(std::ceil(seconds))) + defined + " -f '" +
                              file.string() + "' '" + schema.server().conninfo() + "' 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> said(::popen(command.c_str(), "r"), &::pclose);
  if (!said) throw std::runtime_error("pgbench cannot be run");
  std::string text;
  for (std::array<char, 512> line; std::fgets(line.data(), line.size(), said.get());) text += line.data();
  const auto number_behind = [&](const char* words) {
    const std::size_t at = text.find(words);
    if (at == std::string::npos) throw std::runtime_error("pgbench failed:\n" + text);
    return std::strtod(text.c_str() + at + std::string_view(words).size(), nullptr);
  };
  Run run;
  run.payments_per_second = number_behind("tps = ");
  run.p50 = number_behind("latency average = ") * 1000;
  return run;
}

}  // namespace postgres_benchmark
