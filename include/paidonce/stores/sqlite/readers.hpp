#pragma once
// A few connections that read, beside the one that writes and beside each other: in a write-ahead log a
// reader waits for nobody, and sees what was committed when its statement began.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/sqlite/connection.hpp>
#include <paidonce/stores/sqlite/options.hpp>
#include <paidonce/stores/sqlite/records.hpp>
#include <paidonce/stores/sqlite/row.hpp>
#include <paidonce/stores/sqlite/statement.hpp>

namespace paidonce::inline v1::detail {

/// Used by one thread at a time.
class SqliteReader {
 public:
  using Page = std::vector<std::pair<std::string, Record>>;

  SqliteReader(const std::string& path, const SqliteStoreOptions& options, SteadyTime deadline)
      : connection_(path, options.vfs, SqliteConnection::Use::reads, deadline),
        find_(connection_.get(), options.table) {}

  void set_deadline(SteadyTime deadline) noexcept { connection_.set_deadline(deadline); }

  std::optional<Record> find(std::string_view key) const { return find_(key); }

  /// Up to `limit` records that the filter lets through, in the order of keys behind `after`, as one snapshot
  /// has them; `after` becomes the last key that was looked at. False: there are no more.
  bool read_page(const ScanFilter& filter, const std::string& table, std::string& after, std::size_t limit,
                 Page& page) {
    const bool unfinished = of_unfinished_alone(filter);
    SqliteStatement& statement = unfinished ? unfinished_ : all_;
    if (!statement.get())
      statement = SqliteStatement(
          connection_.get(),
          "SELECT key, " + std::string(sqlite_record_columns) + " FROM " + table +
              (unfinished ? " INDEXED BY " + table + "_unfinished WHERE state IN (1, 4) AND" : " WHERE") +
              " key > ?1 ORDER BY key");
    SqliteRun run(statement, "scanning the records");
    const std::string from = after;
    run.bind(1, from);
    std::size_t looked_at = 0, bytes = 0;
    while (page.size() < limit && looked_at < most_rows && bytes < most_bytes) {
      if (!run.step()) return false;
      ++looked_at;
      after = run.bytes(0);
      Record record = read_sqlite_record(run, 1);
      bytes += record.response.size() + record.checkpoint.size() + sizeof record;
      if (passes(filter, record)) page.emplace_back(after, std::move(record));
    }
    return true;
  }

 private:
  static constexpr std::size_t most_rows = 256, most_bytes = std::size_t{256} << 10;  // under one snapshot

  static bool of_unfinished_alone(const ScanFilter& filter) {
    for (const State state : filter.states)
      if (state != State::in_progress && state != State::in_doubt) return false;
    return !filter.states.empty();
  }

  SqliteConnection connection_;
  SqliteFind find_;
  SqliteStatement all_, unfinished_;
};

/// Opens them when they are needed. Thread-safe.
class SqliteReaders {
 public:
  SqliteReaders(const std::string& path, const SqliteStoreOptions& options) : path_(path), options_(options) {
    free_.reserve(options.readers);
  }

  /// Calls `read(SqliteReader&)`; throws `store_busy` where none becomes free in time.
  template <class Read>
  auto with(Read&& read) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + options_.busy_timeout;
    Lent lent{*this, take(deadline)};
    lent.reader->set_deadline(deadline);
    return read(*lent.reader);
  }

 private:
  struct Lent {
    SqliteReaders& readers;
    std::unique_ptr<SqliteReader> reader;
    ~Lent() { readers.give_back(std::move(reader)); }
  };

  std::unique_ptr<SqliteReader> take(SteadyTime deadline) {
    {
      std::unique_lock lock(mutex_);
      const auto there_is_one = [&] { return !free_.empty() || opened_ < options_.readers; };
      if (!there_is_one() && !given_back_.wait_until(lock, deadline, there_is_one))
        throw Error(errc::store_busy,
                    "all connections that read are in use; they were waited for in vain: allow for more by "
                    "SqliteStoreOptions::readers");
      if (!free_.empty()) {
        auto reader = std::move(free_.back());
        free_.pop_back();
        return reader;
      }
      ++opened_;
    }
    try {
      return std::make_unique<SqliteReader>(path_, options_, deadline);
    } catch (...) {
      {
        const std::lock_guard lock(mutex_);
        --opened_;
      }
      given_back_.notify_one();
      throw;
    }
  }

  void give_back(std::unique_ptr<SqliteReader> reader) noexcept {
    {
      const std::lock_guard lock(mutex_);
      free_.push_back(std::move(reader));  // has room for all
    }
    given_back_.notify_one();
  }

  const std::string path_;
  const SqliteStoreOptions& options_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  std::vector<std::unique_ptr<SqliteReader>> free_;
  std::size_t opened_ = 0;
};

}  // namespace paidonce::inline v1::detail
