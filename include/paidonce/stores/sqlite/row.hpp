#pragma once
// A record as a row, and back.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// In the order in which rows are written and read, behind the key.
inline constexpr std::string_view sqlite_record_columns =
    "fingerprint, state, version, attempt_id, attempts, created_at, updated_at, lease_until, expires_at, "
    "amount, description, checkpoint, response, response_format, note";

/// Binds a record to the parameters from `first` on. Both outlive the run.
class SqliteRow {
 public:
  static constexpr int columns = 15;

  explicit SqliteRow(const Record& record) noexcept : record_(record) {
    fingerprint_[0] = static_cast<char>(record.fingerprint.algorithm());
    std::memcpy(fingerprint_.data() + 1, record.fingerprint.digest().data(), fingerprint_.size() - 1);
  }
  SqliteRow(const SqliteRow&) = delete;
  SqliteRow& operator=(const SqliteRow&) = delete;

  void bind(SqliteRun& run, int first) const {
    run.bind(first, std::string_view(fingerprint_.data(), fingerprint_.size()))
        .bind(first + 1, static_cast<std::int64_t>(record_.state))
        .bind(first + 2, static_cast<std::int64_t>(record_.version))
        .bind(first + 3, static_cast<std::int64_t>(record_.attempt_id))
        .bind(first + 4, static_cast<std::int64_t>(record_.attempts));
    int at = first + 5;
    for (const Timestamp time :
         {record_.created_at, record_.updated_at, record_.lease_until, record_.expires_at})
      run.bind(at++, static_cast<std::int64_t>(time.time_since_epoch().count()));
    for (const std::string* text : {&record_.amount, &record_.description, &record_.checkpoint,
                                    &record_.response, &record_.response_format, &record_.note})
      run.bind(at++, std::string_view(*text));
  }

 private:
  const Record& record_;
  std::array<char, 33> fingerprint_;
};

/// The record in the columns from `first` on of the row that the run is at. Throws `store_corrupt` for what
/// no release has written, `unsupported_format` for a fingerprint of a newer one.
inline Record read_sqlite_record(SqliteRun& run, int first) {
  const auto damaged = [] {
    throw Error(errc::store_corrupt, "a stored record has a value that no release of paidonce has written");
  };
  Record record;
  const std::string_view print = run.bytes(first);
  std::array<std::byte, 32> digest;
  if (print.size() != 1 + digest.size()) damaged();
  std::memcpy(digest.data(), print.data() + 1, digest.size());
  record.fingerprint = Fingerprint::from_digest(
      static_cast<FingerprintAlgorithm>(static_cast<unsigned char>(print[0])), digest);
  const std::int64_t state = run.integer(first + 1);
  const std::int64_t attempts = run.integer(first + 4);
  if (state < 1 || state > 5 || attempts < 0 || attempts > std::int64_t{UINT32_MAX}) damaged();
  record.state = static_cast<State>(state);
  record.version = static_cast<Version>(run.integer(first + 2));
  record.attempt_id = static_cast<std::uint64_t>(run.integer(first + 3));
  record.attempts = static_cast<std::uint32_t>(attempts);
  int at = first + 5;
  for (Timestamp* time : {&record.created_at, &record.updated_at, &record.lease_until, &record.expires_at})
    *time = Timestamp(Duration(run.integer(at++)));
  for (std::string* text : {&record.amount, &record.description, &record.checkpoint, &record.response,
                            &record.response_format, &record.note})
    text->assign(run.bytes(at++));
  return record;
}

}  // namespace paidonce::inline v1::detail
