#pragma once
// Whether a server can be trusted with payments, and has the store's table. Asked on each new connection:
// after a failover it may be another server.

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/stores/postgres/connection.hpp>
#include <paidonce/stores/postgres/options.hpp>
#include <paidonce/stores/postgres/row.hpp>

namespace paidonce::inline v1::detail {

/// What a server says of itself.
struct PostgresServerFacts {
  std::int64_t version = 0;  ///< server_version_num
  std::string fsync = {}, full_page_writes = {}, synchronous_commit = {};
  std::string read_only = {};  ///< transaction_read_only
  std::string recovery = {};   ///< "t": a standby
};

/// Pure. Throws `unsafe_config`, `store_unavailable`, `unsupported_format`.
inline void check_server(const PostgresServerFacts& facts, UnsafeConfig unsafe) {
  if (facts.version < 130'000)
    throw Error(errc::unsupported_format, "the server is older than PostgreSQL 13: upgrade it");
  if (facts.recovery == "t" || facts.read_only == "on")
    throw Error(errc::store_unavailable,
                "the server is read-only, as a standby is: with several hosts, set "
                "target_session_attrs=read-write in the connection string");
  if (unsafe == UnsafeConfig::accept) return;
  const auto refuse = [](const char* setting) {
    throw Error(errc::unsafe_config,
                std::string("the server has ") + setting +
                    "=off, and forgets payments when it crashes: turn it on, for this role "
                    "at least (PostgresStoreOptions::unsafe accepts it)");
  };
  if (facts.fsync == "off") refuse("fsync");
  if (facts.full_page_writes == "off") refuse("full_page_writes");
  if (facts.synchronous_commit == "off") refuse("synchronous_commit");
}

/// The version of the store's schema; 0 where there is none. The server is one that `check_server` lets pass.
inline std::int64_t check_server(PostgresConnection& connection, const PostgresStoreOptions& options,
                                 PostgresDeadline deadline) {
  const PostgresStatement facts_of{
      PostgresStatement::never, "",
      "SELECT current_setting('server_version_num')::int8, current_setting('fsync'), "
      "current_setting('full_page_writes'), current_setting($2::text), "
      "current_setting('transaction_read_only'), pg_is_in_recovery()::text, "
      "(to_regclass($1::text) IS NOT NULL)::text"};
  const std::string versions = options.schema + ".schema_version";
  PostgresParameters table;
  table.bytes(versions);
  table.bytes("synchronous_commit");  // not in the text: whoever looks for COMMIT there means another one
  const PostgresAnswers answers = connection.run({{facts_of, table}}, deadline);
  answers.expect_done();
  const PGresult* const row = answers.results[0].get();
  PostgresServerFacts facts;
  facts.version = integer_of<std::int64_t>(row, 0, 0);
  facts.fsync = field_of(row, 0, 1);
  facts.full_page_writes = field_of(row, 0, 2);
  facts.synchronous_commit = field_of(row, 0, 3);
  facts.read_only = field_of(row, 0, 4);
  facts.recovery = field_of(row, 0, 5) == "true" ? "t" : "f";
  check_server(facts, options.unsafe);
  if (field_of(row, 0, 6) != "true") return 0;
  const PostgresStatement version_of{PostgresStatement::never, "",
                                     "SELECT max(version)::int8 FROM " + versions + " HAVING count(*) > 0"};
  const PostgresAnswers found = connection.run({{version_of, PostgresParameters()}}, deadline);
  found.expect_done();
  return found.results[0].rows() == 0 ? 0 : integer_of<std::int64_t>(found.results[0].get(), 0, 0);
}

}  // namespace paidonce::inline v1::detail
