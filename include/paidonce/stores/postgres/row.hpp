#pragma once
// A record as a row of the table: its columns, as parameters and as results.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <libpq-fe.h>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/postgres/parameters.hpp>

namespace paidonce::inline v1::detail {

/// The columns, in the order in which all statements name them, the key first.
inline constexpr std::string_view postgres_columns =
    "key, version, state, attempt_id, attempts, created_at, updated_at, lease_until, expires_at, "
    "fingerprint, "
    "amount, description, checkpoint, response, response_format, note";
inline constexpr int postgres_column_count = 16;

/// Calls `column(value)` for each column behind the key: with std::int64_t, std::int16_t (the state), and
/// std::string_view. Unsigned numbers are stored as the signed ones with the same bits.
template <class Column>
void for_each_column(const Record& record, std::string& fingerprint, Column&& column) {
  fingerprint.assign(1, static_cast<char>(record.fingerprint.algorithm()));
  const auto& digest = record.fingerprint.digest();
  fingerprint.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  const auto millis = [](Timestamp time) {
    return static_cast<std::int64_t>(time.time_since_epoch().count());
  };
  column(static_cast<std::int64_t>(record.version));
  column(static_cast<std::int16_t>(record.state));
  column(static_cast<std::int64_t>(record.attempt_id));
  column(static_cast<std::int64_t>(record.attempts));
  column(millis(record.created_at));
  column(millis(record.updated_at));
  column(millis(record.lease_until));
  column(millis(record.expires_at));
  column(std::string_view(fingerprint));
  for (const std::string* text : {&record.amount, &record.description, &record.checkpoint, &record.response,
                                  &record.response_format, &record.note})
    column(std::string_view(*text));
}

/// $1 to $16. `fingerprint` is room that outlives the parameters.
inline void add_row(PostgresParameters& parameters, std::string_view key, const Record& record,
                    std::string& fingerprint) {
  parameters.bytes(key);
  for_each_column(record, fingerprint, [&](auto value) {
    if constexpr (std::is_same_v<decltype(value), std::string_view>)
      parameters.bytes(value);
    else
      parameters.integer(value);
  });
}

/// A field of a result; `store_corrupt` where the table does not have the form that it was given.
inline std::string_view field_of(const PGresult* result, int row, int column) {
  if (column >= PQnfields(result) || PQgetisnull(result, row, column))
    throw Error(errc::store_corrupt, "a stored record lacks a column");
  return {PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))};
}

template <class Integer>
Integer integer_of(const PGresult* result, int row, int column) {
  const std::string_view bytes = field_of(result, row, column);
  if (bytes.size() != sizeof(Integer))
    throw Error(errc::store_corrupt, "a column of a stored record has another width");
  return network_to<Integer>(bytes.data());
}

/// The record in the columns from `first` on, which is the key's.
inline Record record_of(const PGresult* result, int row, int first) {
  Record record;
  int column = first;
  const auto number = [&] { return integer_of<std::int64_t>(result, row, ++column); };
  record.version = static_cast<Version>(number());
  const auto state = integer_of<std::int16_t>(result, row, ++column);
  if (state < 1 || state > 5)
    throw Error(errc::store_corrupt, "a stored record has a state that does not exist");
  record.state = static_cast<State>(state);
  record.attempt_id = static_cast<std::uint64_t>(number());
  const std::int64_t attempts = number();
  if (attempts < 0 || attempts > std::int64_t{UINT32_MAX})
    throw Error(errc::store_corrupt, "a stored record has an impossible number of attempts");
  record.attempts = static_cast<std::uint32_t>(attempts);
  for (Timestamp* time : {&record.created_at, &record.updated_at, &record.lease_until, &record.expires_at})
    *time = Timestamp(Duration(number()));
  const std::string_view fingerprint = field_of(result, row, ++column);
  std::array<std::byte, 32> digest;
  if (fingerprint.size() != 1 + digest.size())
    throw Error(errc::store_corrupt, "a stored fingerprint has another length");
  std::memcpy(digest.data(), fingerprint.data() + 1, digest.size());
  record.fingerprint = Fingerprint::from_digest(
      static_cast<FingerprintAlgorithm>(static_cast<unsigned char>(fingerprint[0])), digest);
  for (std::string* text : {&record.amount, &record.description, &record.checkpoint, &record.response,
                            &record.response_format, &record.note})
    *text = field_of(result, row, ++column);
  return record;
}

}  // namespace paidonce::inline v1::detail
