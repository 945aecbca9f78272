#pragma once
// What can be chosen when a SQLite store is opened, and what it tells of itself.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

struct SqliteStoreOptions {
  /// How long a call waits for whoever writes to the file at the moment, in this process or another, before
  /// it throws `store_busy`. 1 ms to 1 hour.
  Duration busy_timeout{5000};
  /// Most bytes of one record's response and checkpoint together; a write beyond it throws `store_full`. At
  /// most 16 MiB.
  std::size_t max_record_bytes = std::size_t{1} << 20;
  /// Most operations of concurrent callers that share one transaction. 1 to 1024.
  std::size_t max_batch = 64;
  /// Connections that read beside the one that writes, opened when they are needed. 1 to 64.
  std::size_t readers = 4;
  /// Pages of the write-ahead log (of 4 KiB, as a rule) after which a commit also moves them into the
  /// database file. The log stays at about that, unless somebody reads the same snapshot for long. 64 to
  /// 1,000,000.
  std::size_t checkpoint_pages = 1000;
  /// The table, a plain name: letters, digits and underscores, not beginning with a digit, nor with
  /// `sqlite_`; at most 48 bytes. Stores of different names in one file know nothing of each other.
  std::string table = "paidonce_payments";
  /// Name of the virtual file system, as sqlite3_vfs_register knows it; empty for SQLite's default.
  std::string vfs = {};
};

/// A look at a store, each figure as it was at some moment during the call.
struct SqliteStoreStats {
  std::uint64_t operations = 0;           ///< writes asked for since opening, in transactions not counted
  std::uint64_t batches = 0;              ///< transactions that these shared
  std::uint64_t waiting = 0;              ///< that wait for their batch at the moment
  std::uint64_t transactions = 0;         ///< committed by `transact`
  std::uint64_t log_pages = 0;            ///< of the write-ahead log, after the last commit of this handle
  std::uint64_t checkpoints = 0;          ///< that moved all of the log into the database file
  std::uint64_t held_up_checkpoints = 0;  ///< that could not, for a reader of an old snapshot, as a rule
  std::uint64_t failed_checkpoints = 0;   ///< by an error of the disk, as a rule; they are tried again
};

namespace detail {

/// Whether a name can stand in SQL as it is.
constexpr bool is_plain_sql_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > 48 || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name)
    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
      return false;
  constexpr std::string_view reserved = "sqlite_";
  if (name.size() < reserved.size()) return true;
  for (std::size_t i = 0; i < reserved.size(); ++i)
    if ((name[i] | 0x20) != (reserved[i] | 0x20)) return true;
  return false;
}

/// Throws `invalid_options`, naming the option.
inline void check(const SqliteStoreOptions& options) {
  const auto refuse = [](const char* why) { throw Error(errc::invalid_options, why); };
  if (options.busy_timeout < Duration(1) || options.busy_timeout > Duration(3'600'000))
    refuse("SqliteStoreOptions::busy_timeout must be from 1 ms to 1 hour");
  if (options.max_record_bytes == 0 || options.max_record_bytes > std::size_t{16} << 20)
    refuse("SqliteStoreOptions::max_record_bytes must be from 1 to 16 MiB");
  if (options.max_batch == 0 || options.max_batch > 1024)
    refuse("SqliteStoreOptions::max_batch must be from 1 to 1024");
  if (options.readers == 0 || options.readers > 64)
    refuse("SqliteStoreOptions::readers must be from 1 to 64");
  if (options.checkpoint_pages < 64 || options.checkpoint_pages > 1'000'000)
    refuse("SqliteStoreOptions::checkpoint_pages must be from 64 to 1,000,000");
  if (!is_plain_sql_name(options.table))
    refuse("SqliteStoreOptions::table must be a plain name: letters, digits and underscores, at most 48");
}

/// Throws `store_full` for what is longer than the options allow, `invalid_options` where the texts that a
/// caller passes along are.
inline void check_lengths(const Record& record, const SqliteStoreOptions& options) {
  constexpr std::size_t most_texts = std::size_t{16} << 10;
  const std::size_t most = options.max_record_bytes;
  if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
    throw Error(errc::store_full, "the response and checkpoint of a record have " +
                                      std::to_string(record.response.size() + record.checkpoint.size()) +
                                      " bytes, more than SqliteStoreOptions::max_record_bytes, which is " +
                                      std::to_string(most) + ": store less, or allow for more");
  if (record.amount.size() + record.description.size() > most_texts)
    throw Error(errc::invalid_options,
                "CallOptions::amount and description have more than 16 KiB together: shorten them");
  if (record.response_format.size() + record.note.size() > most_texts)
    throw Error(errc::store_full, "the format and note of a record have more than 16 KiB together");
}

}  // namespace detail
}  // namespace paidonce::inline v1
