#pragma once
// What the write-ahead log holds when a database is opened may be only in the kernel's cache: written by a
// process that died before its sync, or whose sync failed, after which the kernel takes the pages for clean
// and no later sync writes them. SQLite serves it as committed nevertheless. So it is written again, as it
// is, and synced, before anything of it is served here.

#include <sqlite3.h>

#include <algorithm>
#include <vector>

#include <paidonce/stores/sqlite/sqlite_error.hpp>

namespace paidonce::inline v1::detail {

/// To be called within BEGIN IMMEDIATE, so that nobody appends to the log meanwhile. By SQLite's own handle
/// of the file. Costs what reading and writing the log once does.
inline void sync_log_anew(sqlite3* database) {
  const char* const doing = "syncing the write-ahead log";
  const auto check = [&](int code) {
    if (code != SQLITE_OK) throw_sqlite_error(code, doing);
  };
  sqlite3_file* log = nullptr;
  check(sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log));
  if (!log || !log->pMethods) return;
  sqlite3_int64 size = 0;
  check(log->pMethods->xFileSize(log, &size));
  if (size == 0) return;
  std::vector<char> room(std::size_t{64} << 10);  // SQLite writes less than 128 KiB at once
  for (sqlite3_int64 at = 0; at < size;) {
    const auto part = static_cast<int>(std::min(size - at, static_cast<sqlite3_int64>(room.size())));
    check(log->pMethods->xRead(log, room.data(), part, at));
    check(log->pMethods->xWrite(log, room.data(), part, at));
    at += part;
  }
  check(log->pMethods->xSync(log, SQLITE_SYNC_NORMAL));
}

}  // namespace paidonce::inline v1::detail
