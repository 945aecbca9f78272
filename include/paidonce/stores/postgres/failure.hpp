#pragma once
// What an error of the server means, by its SQLSTATE. A server's own text can hold keys and payloads, and is
// never passed on. https://www.postgresql.org/docs/current/errcodes-appendix.html

#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::detail {

/// What becomes of the statement that failed. Nothing of it, or of its transaction, has happened.
enum class PostgresVerdict : std::uint8_t {
  repeat,  ///< it met others, by chance: repeat it
  locked,  ///< a row was held by somebody else's transaction for too long
  leave,   ///< the session is of no more use: the server goes down, or may no longer write
  refuse,  ///< this statement will not do
};

constexpr PostgresVerdict verdict_of(std::string_view sqlstate) noexcept {
  if (sqlstate == "40001" || sqlstate == "40P01") return PostgresVerdict::repeat;
  if (sqlstate == "55P03") return PostgresVerdict::locked;
  const std::string_view kind = sqlstate.substr(0, 2);
  if (kind == "08" || sqlstate == "25006" || sqlstate == "25P03" || sqlstate == "57P01" ||
      sqlstate == "57P02" || sqlstate == "57P03" || sqlstate == "57P04" || sqlstate == "57P05" ||
      sqlstate == "26000" || sqlstate == "42P05")
    return PostgresVerdict::leave;
  return PostgresVerdict::refuse;
}

/// The error for callers: a fixed text and the SQLSTATE.
inline Error postgres_error(std::string_view sqlstate) {
  const auto error = [&](errc code, const char* text) {
    return Error(code, std::string(text) + " (SQLSTATE " + std::string(sqlstate) + ")");
  };
  const std::string_view kind = sqlstate.substr(0, 2);
  if (sqlstate == "40001" || sqlstate == "40P01")
    return error(errc::store_busy, "the server undid the statement because of others beside it: repeat it");
  if (sqlstate == "55P03")
    return error(errc::store_busy,
                 "another transaction holds the record for longer than PostgresStoreOptions::lock_timeout");
  if (sqlstate == "57014")
    return error(errc::store_unavailable,
                 "the statement was cancelled: by the server's statement_timeout, or by a person");
  if (sqlstate == "25006")
    return error(errc::store_unavailable,
                 "the server is read-only: with several hosts, set target_session_attrs=read-write");
  if (sqlstate == "25P03") return error(errc::store_unavailable, "the transaction lay idle for too long");
  if (sqlstate == "26000" || sqlstate == "42P05")
    return error(
        errc::store_unavailable,
        "prepared statements are not kept between transactions, as behind pgbouncer before 1.21: set "
        "PostgresStoreOptions::statements to Statements::unnamed");
  if (sqlstate == "53100" || kind == "54") return error(errc::store_full, "the server has no room for it");
  if (sqlstate == "42501")
    return error(
        errc::invalid_options,
        "the role lacks a privilege on the store's schema: the page on PostgresStore lists the GRANTs, and "
        "migrate() needs CREATE on the database or on the schema");
  if (sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "3F000")
    return error(errc::invalid_options,
                 "the store's schema is not what this release needs: call PostgresStore::migrate()");
  if (sqlstate == "25P02")
    return error(errc::store_unavailable,
                 "a statement of the transaction had failed before: it was rolled back");
  if (verdict_of(sqlstate) == PostgresVerdict::leave || kind == "53" || kind == "58")
    return error(errc::store_unavailable, "the server goes down, or lacks resources");
  return error(errc::store_unavailable, "the server refused the statement");
}

}  // namespace paidonce::inline v1::detail
