// SQLite databases: a read-only connection for each look, so that none is held while nobody looks.

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <paidonce/errors.hpp>
#include <paidonce/stores/sqlite.hpp>

#include "escape.hpp"
#include "exit.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {
namespace {

using paidonce::detail::SqliteRun;
using paidonce::detail::SqliteStatement;
namespace fs = std::filesystem;

/// As SQLite's file names in the form of a URI.
std::string uri_of(const fs::path& file, std::string_view how) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string uri = "file:";
  for (const char letter : file.native()) {
    const auto byte = static_cast<unsigned char>(letter);
    if (std::isalnum(byte) != 0 || letter == '/')
      uri += letter;
    else
      uri.append(1, '%').append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
  }
  return uri.append("?").append(how);
}

/// What of a file changes when its content does.
struct FileState {
  explicit FileState(const fs::path& file) { there = ::stat(file.c_str(), &status) == 0; }
  bool operator==(const FileState& other) const {
    return there == other.there && status.st_ino == other.status.st_ino &&
           status.st_size == other.status.st_size && status.st_mtim.tv_sec == other.status.st_mtim.tv_sec &&
           status.st_mtim.tv_nsec == other.status.st_mtim.tv_nsec;
  }
  bool there = false;
  struct ::stat status {};
};

/// A read-only connection. A database that nobody has open is read as the file that it is, without locks and
/// without the files that SQLite would keep beside it.
class Look {
 public:
  explicit Look(const fs::path& file)
      : file_(file), name_(escaped(file.native())), before_(file), alone_(!somebody_writes()) {
    int code = sqlite3_open_v2(uri_of(file, alone_ ? "mode=ro&immutable=1" : "mode=ro").c_str(), &database_,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
    sqlite3_extended_result_codes(database_, 1);
    sqlite3_busy_timeout(database_, 5000);
    if (code == SQLITE_OK)
      code = sqlite3_exec(database_, "SELECT 1 FROM sqlite_master LIMIT 1", nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return;
    sqlite3_close_v2(database_);
    refuse(code);
  }
  ~Look() { sqlite3_close_v2(database_); }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;

  sqlite3* get() const { return database_; }

  /// To be called after all reading, whether it went well or not. Throws `Refusal{in_use}` where somebody has
  /// opened the database meanwhile: what was read may be of no one moment, and damage may be none.
  void end() const {
    if (alone_ && (somebody_writes() || FileState(file_) != before_)) disturbed();
  }

 private:
  [[noreturn]] void disturbed() const {
    throw Refusal(Exit::in_use,
                  name_ + " was opened or closed by another process while it was read: run this again");
  }
  bool somebody_writes() const {
    return FileState(file_.native() + "-wal").there || FileState(file_.native() + "-journal").there;
  }

  [[noreturn]] void refuse(int code) const {
    end();
    if (!alone_ && !somebody_writes()) disturbed();
    if ((code & 0xff) == SQLITE_NOTADB)
      throw Refusal(Exit::bad_usage, name_ + " is no SQLite database, or its beginning is destroyed");
    if ((code & 0xff) == SQLITE_READONLY || (code & 0xff) == SQLITE_CANTOPEN)
      throw Refusal(
          Exit::failed,
          name_ +
              " cannot be read: what its last process wrote may still stand in the -wal file beside "
              "it, which takes permission to write there; run this as the owner of these files, or "
              "let the service open the database first");
    paidonce::detail::throw_sqlite_error(code, name_.c_str());
  }

  fs::path file_;
  std::string name_;
  FileState before_;
  bool alone_;
  sqlite3* database_ = nullptr;
};

class SqliteReader final : public StoreReader {
 public:
  explicit SqliteReader(const StoreAddress& address) : file_(checked(address.place)), table_(address.table) {
    if (!paidonce::detail::is_plain_sql_name(table_))
      throw Refusal(Exit::bad_usage, "--table: letters, digits and underscores, at most 48");
    std::int64_t version = 0;
    look([&](sqlite3* database) { version = paidonce::detail::sqlite_component_version(database, table_); });
    if (version == 0)
      throw Refusal(Exit::bad_usage, "there is no store in " + name() + ": it has no table " + table_ +
                                         " of this library; --table names another");
    if (version > 1)
      throw Refusal(Exit::bad_usage, "the store in " + name() + " was made by a newer release: use that one");
  }

  const StoreKind& kind() const override {
    static constexpr StoreKind kind = {"sqlite", StoreKind::Use::by_many_at_once, "whose lease is over",
                                       "clock of this machine"};
    return kind;
  }

  About about() const override {
    const auto bytes = [](const FileState& file) {
      return std::to_string(file.there ? file.status.st_size : 0) + " bytes";
    };
    About about;
    about.kind = kind().name;
    about.database = {{"file", file_.native()},
                      {"table", table_},
                      {"size", bytes(FileState(file_))},
                      {"log", bytes(FileState(file_.native() + "-wal"))},
                      {"sqlite", sqlite3_libversion()}};
    return about;
  }

  void each(const Wanted& wanted, const Visit& visit) const override {
    look([&](sqlite3* database) { each(database, wanted, visit); });
  }

  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) const override {
    std::optional<paidonce::Record> record;
    look([&](sqlite3* database) { record = paidonce::detail::SqliteFind(database, table_)(key.bytes()); });
    return record;
  }

  std::string verify() const override {
    std::size_t records = 0;
    look([&](sqlite3* database) {
      const SqliteStatement check(database, "PRAGMA integrity_check(3)");
      SqliteRun run(check, "PRAGMA integrity_check");
      std::string problems;
      while (run.step()) {
        const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(check.get(), 0));
        problems += (problems.empty() ? "" : "; ") + escaped(text ? text : "");
      }
      if (problems != "ok") throw StoreDamaged(name() + ": PRAGMA integrity_check: " + problems);
      each(database, {}, [&](const Entry&) { ++records; });
    });
    return "PRAGMA integrity_check finds nothing; every record can be read: " + std::to_string(records);
  }

  std::unique_ptr<OpenStore> open_for_changes() const override {
    if (!FileState(file_).there) throw Refusal(Exit::bad_usage, name() + " is not there any more");
    paidonce::SqliteStoreOptions options;
    options.table = table_;
    options.max_record_bytes = std::size_t{16} << 20;  // whatever those who pay allow for
    return std::make_unique<OpenStoreOf<paidonce::SqliteStore>>(paidonce::SqliteStore(file_, options));
  }

 private:
  static fs::path checked(const fs::path& place) {
    const std::string name = escaped(place.native());
    std::error_code wrong;
    const fs::file_status status = fs::symlink_status(place, wrong);
    if (fs::is_regular_file(status)) {
      if (::access(place.c_str(), R_OK) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot read " + name);
      return fs::canonical(place);
    }
    if (fs::is_directory(status))
      throw Refusal(Exit::bad_usage, name +
                                         " is a directory; a SQLite store is a file, and the directory of a "
                                         "file store is named as file:DIR");
    if (fs::exists(status))
      throw Refusal(Exit::bad_usage, name + " is no regular file: name the database file itself");
    if (status.type() == fs::file_type::not_found)
      throw Refusal(Exit::bad_usage, "there is no database " + name);
    throw std::system_error(wrong, "cannot look at " + name);
  }

  std::string name() const { return escaped(file_.native()); }

  /// Runs `read(sqlite3*)`; damage is told as such.
  template <class Read>
  void look(Read&& read) const {
    const Look look(file_);
    try {
      read(look.get());
    } catch (const paidonce::Error& error) {
      look.end();
      if (error.code() == paidonce::errc::store_corrupt || error.code() == paidonce::errc::invalid_key)
        throw StoreDamaged(name() + ": " + error.what());
      throw;
    } catch (const StoreDamaged&) {
      look.end();
      throw;
    }
    look.end();
  }

  void each(sqlite3* database, const Wanted& wanted, const Visit& visit) const {
    std::string columns(paidonce::detail::sqlite_record_columns);
    if (wanted.parts == Wanted::Parts::no_response) columns.replace(columns.find(" response,"), 10, " x'',");
    const bool unfinished =
        !wanted.states.empty() && std::all_of(wanted.states.begin(), wanted.states.end(), is_unfinished);
    const std::string from =
        table_ + (unfinished ? " INDEXED BY " + table_ + "_unfinished WHERE state IN (1, 4) AND" : " WHERE") +
        " substr(key, 1, ?1) = ?2 AND (?3 = 0 OR substr(key, -?3) = ?4)";
    const SqliteStatement statement(database, "SELECT key, " + columns + " FROM " + from);
    SqliteRun run(statement, "reading the records");
    const std::string &begins = wanted.key_begins_with, &ends = wanted.key_ends_with;
    run.bind(1, static_cast<std::int64_t>(begins.size())).bind(2, std::string_view(begins));
    run.bind(3, static_cast<std::int64_t>(ends.size())).bind(4, std::string_view(ends));
    while (run.step())
      visit(
          {paidonce::IdempotencyKey::from_bytes(run.bytes(0)), paidonce::detail::read_sqlite_record(run, 1)});
  }

  fs::path file_;
  std::string table_;
};

}  // namespace

std::unique_ptr<StoreReader> look_at_sqlite(const StoreAddress& address) {
  return std::make_unique<SqliteReader>(address);
}

}  // namespace paidonce_admin
