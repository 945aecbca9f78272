#pragma once
// Moves the write-ahead log into the database file from time to time, so that it stays short.

#include <sqlite3.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace paidonce::inline v1::detail {

/// As SQLite's own automatic checkpoint, on the commit that makes the log long enough; but one that a reader
/// of an old snapshot has held up is tried again after as many pages more, not with each commit, for a try
/// sorts the whole log. Belongs to one connection, and outlives it.
class SqliteCheckpoints {
 public:
  explicit SqliteCheckpoints(std::size_t pages) noexcept : every_(pages), at_(pages) {}
  SqliteCheckpoints(const SqliteCheckpoints&) = delete;
  SqliteCheckpoints& operator=(const SqliteCheckpoints&) = delete;

  void attach(sqlite3* database) noexcept { sqlite3_wal_hook(database, &committed, this); }

  struct Counts {
    std::uint64_t log_pages = 0, complete = 0, held_up = 0, failed = 0;
  };
  Counts counts() const noexcept {
    return {log_pages_.load(std::memory_order_relaxed), complete_.load(std::memory_order_relaxed),
            held_up_.load(std::memory_order_relaxed), failed_.load(std::memory_order_relaxed)};
  }

 private:
  /// The commit is durable by now, and a checkpoint that fails takes nothing away from it: the log is kept,
  /// and all of it moved again by the next one.
  static int committed(void* self, sqlite3* database, const char* name, int pages) noexcept {
    if (std::strcmp(name, "main") == 0)
      static_cast<SqliteCheckpoints*>(self)->move(database, static_cast<std::size_t>(pages));
    return SQLITE_OK;
  }

  void move(sqlite3* database, std::size_t pages) noexcept {
    if (pages < log_pages_.load(std::memory_order_relaxed)) at_ = every_;  // it has begun anew
    log_pages_.store(pages, std::memory_order_relaxed);
    if (pages < at_) return;
    int in_log = 0, moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(database, "main", SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    if (code == SQLITE_OK && in_log == moved) {
      at_ = every_;
      complete_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    at_ = pages + every_;
    const bool others = code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY;
    (others ? held_up_ : failed_).fetch_add(1, std::memory_order_relaxed);
  }

  const std::size_t every_;
  std::size_t at_;  // pages of the log at the next try
  std::atomic<std::uint64_t> log_pages_{0}, complete_{0}, held_up_{0}, failed_{0};
};

}  // namespace paidonce::inline v1::detail
