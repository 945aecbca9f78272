#pragma once
// What SQLite's result codes mean here. Only fixed texts: what sqlite3_errmsg says may hold a row's values.

#include <sqlite3.h>

#include <new>
#include <string>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::detail {

/// Whether a write failed in such a way that nothing that this process has written since its last sync can
/// be trusted to reach the disk: a kernel marks the pages of a failed sync as clean, so that the next sync
/// says nothing about them.
constexpr bool is_durability_failure(int code) noexcept {
  return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC || code == SQLITE_IOERR_WRITE ||
         code == SQLITE_IOERR_TRUNCATE;
}

struct SqliteMeaning {
  errc error;
  const char* text;
};

/// Of an extended result code: https://www.sqlite.org/rescode.html
constexpr SqliteMeaning meaning_of_sqlite(int code) noexcept {
  if (is_durability_failure(code))
    return {errc::store_poisoned,
            "the disk failed a write, which may be stored or not; reopen the store once the disk is well"};
  if (code == SQLITE_CANTOPEN_SYMLINK)
    return {errc::invalid_options, "the database file is a symbolic link: name the file itself"};
  if (code == SQLITE_READONLY_DBMOVED)
    return {errc::store_replaced, "the database file was moved or removed while it was open"};
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {errc::store_busy, "another transaction holds the database; it was waited for in vain"};
    case SQLITE_FULL: return {errc::store_full, "the disk is full, or the database as large as it may be"};
    case SQLITE_TOOBIG: return {errc::store_full, "the record is longer than this connection's limit"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return {
          errc::store_corrupt,
          "the file is damaged, or no SQLite database; restore it from a backup, nothing is repaired here"};
    case SQLITE_CONSTRAINT:
      return {errc::invalid_options, "a constraint or trigger of the database refuses the record"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return {errc::unsafe_config, "the database file or its directory cannot be written"};
    case SQLITE_CANTOPEN:
      return {errc::store_unavailable,
              "the database file, or one that SQLite keeps beside it, cannot be opened"};
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
      return {errc::store_unavailable, "the store's tables are not as this release made them"};
    default: return {errc::store_unavailable, "the database did not do it"};
  }
}

[[noreturn, gnu::cold]] inline void throw_sqlite_error(int code, const char* doing) {
  if ((code & 0xff) == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM) throw std::bad_alloc();
  const SqliteMeaning meaning = meaning_of_sqlite(code);
  throw Error(meaning.error, std::string(doing) + ": " + meaning.text + " (SQLite " + std::to_string(code) +
                                 ", " + sqlite3_errstr(code) + ')');
}

}  // namespace paidonce::inline v1::detail
