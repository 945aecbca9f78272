// PostgreSQL databases, read in transactions that may change nothing: a role that may only SELECT is enough.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres.hpp>

#include "escape.hpp"
#include "exit.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {
namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;
using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

/// Whether what libpq says of a connection that failed could show a part of a password: of one that stands in
/// the address, or that a sign out of place has made a host, a port or an option of.
bool may_hold_password(std::string_view address) {
  if (address.find("pass") != std::string_view::npos) return true;
  const std::size_t begin = address.find("://");
  if (begin == std::string_view::npos) return false;
  const std::string_view rest = address.substr(begin + 3);
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos)
    return rest.substr(0, at).find_first_of(":/@?") != std::string_view::npos;
  const std::size_t colon = rest.find(':');
  return colon != std::string_view::npos &&
         rest.substr(colon + 1, rest.find_first_of("/?") - colon - 1).find_first_not_of("0123456789") !=
             std::string_view::npos;
}

/// In one line.
std::string line_of(std::string_view message) {
  while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
  std::string line;
  for (const char letter : message)
    if (letter == '\n')
      line += "; ";
    else if (letter != '\t')
      line += letter;
  return escaped(line);
}

/// Throws `Refusal{failed}`, without the address.
Connection connected(const std::string& address) {
  paidonce::detail::hosts_of(address);  // throws where libpq cannot read it, and tells nothing of it
  // Those before dbname are defaults: what the address says of them counts.
  const char* const names[] = {
      "fallback_application_name", "connect_timeout",  "keepalives_idle", "keepalives_interval",
      "keepalives_count",          "tcp_user_timeout", "dbname",          nullptr};
  const char* const values[] = {"paidonce_admin", "10", "10", "5", "3", "30000", address.c_str(), nullptr};
  Connection connection(PQconnectdbParams(names, values, 1), PQfinish);
  if (PQstatus(connection.get()) == CONNECTION_OK) {
    PQsetNoticeReceiver(
        connection.get(), [](void*, const PGresult*) {}, nullptr);
    return connection;
  }
  throw Refusal(
      Exit::failed,
      "the server cannot be reached: " +
          (may_hold_password(address)
               ? "why is not told, since the address holds a password; in PGPASSWORD or ~/.pgpass it "
                 "would be safe, and the reason shown"
               : line_of(PQerrorMessage(connection.get()))));
}

class PostgresReader final : public StoreReader {
 public:
  explicit PostgresReader(const StoreAddress& address)
      : address_(address.place), schema_(checked_schema(address.schema)), connection_(connected(address_)) {
    const paidonce::Timestamp before = paidonce::SystemClock{}.now();
    const Result facts = query(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8, "
        "current_setting('server_version'), "
        "pg_total_relation_size(to_regclass('" +
        schema_ + ".payments'))::int8");
    const paidonce::Timestamp after = paidonce::SystemClock{}.now();
    const auto server = paidonce::Timestamp(paidonce::Duration(number(facts, 0)));
    clock_ = StoreClock(server - (before + (after - before) / 2));
    server_ = PQgetvalue(facts.get(), 0, 1);
    if (PQgetisnull(facts.get(), 0, 2)) no_store();
    size_ = number(facts, 2);
    const Result version =
        query("SELECT coalesce(max(version), 0)::int8 FROM " + schema_ + ".schema_version");
    if (number(version, 0) > paidonce::detail::postgres_schema_version)
      throw Refusal(Exit::bad_usage,
                    "the store in schema " + schema_ + " was made by a newer release: use that one");
    if (number(version, 0) == 0) no_store();
  }

  const StoreKind& kind() const override {
    static constexpr StoreKind kind = {"postgres", StoreKind::Use::by_many_at_once, "whose lease is over",
                                       "clock of the server"};
    return kind;
  }
  StoreClock clock() const override { return clock_; }

  About about() const override {
    const PGconn* const from = connection_.get();
    const auto text = [](const char* name) { return std::string(name ? name : ""); };
    About about;
    about.kind = kind().name;
    about.database = {{"host", text(PQhost(from))},
                      {"port", text(PQport(from))},
                      {"database", text(PQdb(from))},
                      {"user", text(PQuser(from))},
                      {"schema", schema_},
                      {"size", std::to_string(size_) + " bytes"},
                      {"server", "PostgreSQL " + server_}};
    return about;
  }

  void each(const Wanted& wanted, const Visit& visit) const override {
    std::string columns(paidonce::detail::postgres_columns);
    if (wanted.parts == Wanted::Parts::no_response)
      columns.replace(columns.find(" response,"), 10, " ''::bytea,");
    std::string where = "substring(key FOR " + std::to_string(wanted.key_begins_with.size()) +
                        ") = $1::bytea AND substring(key FROM octet_length(key) - " +
                        std::to_string(wanted.key_ends_with.size()) + " + 1) = $2::bytea";
    for (std::size_t at = 0; at < wanted.states.size(); ++at)
      where += (at == 0 ? " AND state IN (" : ", ") + std::to_string(static_cast<int>(wanted.states[at]));
    if (!wanted.states.empty()) where += ")";
    read("SELECT " + columns + " FROM " + schema_ + ".payments WHERE " + where,
         {wanted.key_begins_with, wanted.key_ends_with}, visit);
  }

  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) const override {
    std::optional<paidonce::Record> record;
    read("SELECT " + std::string(paidonce::detail::postgres_columns) + " FROM " + schema_ +
             ".payments WHERE key = $1::bytea",
         {std::string(key.bytes())}, [&](const Entry& entry) { record = entry.record; });
    return record;
  }

  std::string verify() const override {
    throw Refusal(Exit::bad_usage,
                  "verify is not for PostgreSQL, which has a program of its own for that: pg_amcheck "
                  "--install-missing --heapallindexed --table " +
                      schema_ + ".payments DATABASE");
  }

  std::unique_ptr<OpenStore> open_for_changes() const override {
    paidonce::PostgresStoreOptions options;
    options.schema = schema_;
    options.lanes = 1;
    options.connections = 2;
    options.connect_timeout = paidonce::Duration(10'000);
    options.statement_timeout = paidonce::Duration(60'000);
    options.statements = paidonce::Statements::unnamed;  // of any pooler
    options.max_record_bytes = std::size_t{16} << 20;    // whatever those who pay allow for
    return std::make_unique<OpenStoreOf<paidonce::PostgresStore>>(paidonce::PostgresStore(address_, options));
  }

 private:
  static std::string checked_schema(const std::string& name) {
    if (paidonce::detail::is_plain_identifier(name)) return name;
    throw Refusal(Exit::bad_usage, "--schema: 1 to 63 lower-case letters, digits and underscores");
  }

  [[noreturn]] void no_store() const {
    throw Refusal(Exit::bad_usage, "there is no store in the schema " + schema_ +
                                       " of this database: --schema names another, PostgresStore::migrate() "
                                       "or docs/stores/postgres_schema.sql makes one");
  }

  std::int64_t number(const Result& result, int column) const {
    return paidonce::detail::integer_of<std::int64_t>(result.get(), 0, column);
  }

  void check(const PGresult* result) const {
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_SINGLE_TUPLE) return;
    const char* const field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view sqlstate = field ? field : "08006";
    if (sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "3F000") no_store();
    if (sqlstate == "42501")
      throw Refusal(Exit::bad_usage, "this role may not read the store: GRANT USAGE ON SCHEMA " + schema_ +
                                         "; GRANT SELECT ON ALL TABLES IN SCHEMA " + schema_);
    throw paidonce::detail::postgres_error(sqlstate);
  }

  /// One statement, in a transaction that may change nothing.
  Result query(const std::string& sql) const {
    begin();
    Result result(PQexecParams(connection_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1),
                  PQclear);
    check(result.get());
    end();
    return result;
  }

  /// The same, of records, which are visited as they come.
  void read(const std::string& sql, const std::vector<std::string>& parameters, const Visit& visit) const {
    PGconn* const on = connection_.get();
    std::vector<const char*> values;
    std::vector<int> lengths, formats(parameters.size(), 1);
    for (const std::string& parameter : parameters) {
      values.push_back(parameter.data());
      lengths.push_back(static_cast<int>(parameter.size()));
    }
    begin();
    if (PQsendQueryParams(on, sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                          lengths.data(), formats.data(), 1) != 1 ||
        PQsetSingleRowMode(on) != 1)
      throw paidonce::detail::postgres_error("08006");
    while (Result row = Result(PQgetResult(on), PQclear)) {
      check(row.get());
      for (int at = 0; at < PQntuples(row.get()); ++at) visit(entry_of(row.get(), at));
    }
    end();
  }

  void begin() const { run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); }
  void end() const { run("COMMIT"); }
  void run(const char* sql) const {
    const Result result(PQexec(connection_.get(), sql), PQclear);
    check(result.get());
  }

  static Entry entry_of(const PGresult* result, int row) {
    try {
      return {paidonce::IdempotencyKey::from_bytes(paidonce::detail::field_of(result, row, 0)),
              paidonce::detail::record_of(result, row, 0)};
    } catch (const paidonce::Error& error) {
      if (error.code() == paidonce::errc::store_corrupt || error.code() == paidonce::errc::invalid_key)
        throw StoreDamaged(error.what());
      throw;
    }
  }

  std::string address_, schema_;
  Connection connection_;
  StoreClock clock_;
  std::string server_ = {};
  std::int64_t size_ = 0;
};

}  // namespace

std::unique_ptr<StoreReader> look_at_postgres(const StoreAddress& address) {
  return std::make_unique<PostgresReader>(address);
}

}  // namespace paidonce_admin
