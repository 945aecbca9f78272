#pragma once
// The database file: made for its owner alone, on a local disk, and still the one that was opened.
//
// No descriptor of the database is ever opened and closed here: closing any takes away all POSIX locks that
// the process has on that file, those of SQLite too (https://www.sqlite.org/howtocorrupt.html, 2.2).

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include <paidonce/digest/random.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/stores/file/files.hpp>

namespace paidonce::inline v1::detail {

class SqliteFile {
 public:
  /// Makes the file where there is none; its directory must be there. Throws `invalid_options` for what
  /// cannot be a database file and `unsafe_config` for one on a network file system.
  explicit SqliteFile(const std::filesystem::path& given) : path_(resolved(given)) {
    const std::string directory = std::filesystem::path(path_).parent_path().string();
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail(errno, "cannot open the directory of the database file");
    const Directory closes{fd};
    if (PosixFiles().is_on_network(fd) == 1)
      throw Error(errc::unsafe_config,
                  path_ +
                      ": the database file is on a network file system, where SQLite's write-ahead log "
                      "does not work: use a local disk, or a store for many hosts");
    struct ::stat status {};
    if (::lstat(path_.c_str(), &status) != 0) {
      if (errno != ENOENT) fail(errno, "cannot look at the database file");
      make(fd);
    } else if (!S_ISREG(status.st_mode)) {
      throw Error(errc::invalid_options,
                  path_ + ": is no regular file; name the database file itself, not a link or directory");
    }
  }

  const std::string& path() const noexcept { return path_; }

  /// To be called once SQLite has opened both the file and its log.
  void remember() {
    if (::stat(path_.c_str(), &own_) != 0 || ::stat(log_path_.c_str(), &log_) != 0) throw_replaced();
  }

  /// Throws `store_replaced` where the path leads to another file by now, or nowhere. Two calls of the
  /// kernel.
  void check_same() const {
    if (!is_same(path_, own_) || !is_same(log_path_, log_)) throw_replaced();
  }

  [[noreturn, gnu::cold]] void throw_replaced() const {
    throw Error(errc::store_replaced,
                path_ +
                    ": the database file, or its write-ahead log, was moved, removed or replaced while it "
                    "was open, so that it is not used any more: put it back, or open the store again");
  }

 private:
  struct Directory {
    int fd;
    ~Directory() { ::close(fd); }
  };

  static std::string resolved(const std::filesystem::path& given) {
    const std::string name = given.filename().string();
    if (given.empty() || given.native().starts_with(':') || given.native().starts_with("file:"))
      throw Error(errc::invalid_options,
                  "a SqliteStore needs the name of a file: a database in memory or a temporary one would "
                  "forget payments, and a URI is not taken");
    if (name.empty() || name == "." || name == ".." ||
        given.native().find('\0') != std::filesystem::path::string_type::npos)
      throw Error(errc::invalid_options, "a SqliteStore needs the name of a file, not of a directory");
    std::error_code failed;
    const std::filesystem::path parent = std::filesystem::canonical(
        given.has_parent_path() ? given.parent_path() : std::filesystem::path("."), failed);
    if (failed)
      throw Error(errc::store_unavailable, given.string() +
                                               ": the directory of the database file cannot be found (" +
                                               failed.message() + "); make it first");
    return (parent / name).string();
  }

  /// Under another name first, closed before anybody else can have it open, and with its mode whatever the
  /// umask: SQLite gives the log and its index the mode of the database file.
  void make(int directory) const {
    const std::string fresh = path_ + ".new-" + std::to_string(random_u64());
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) fail(errno, "cannot make the database file");
    int why = ::fchmod(fd, 0600) == 0 && ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (why == 0 && ::link(fresh.c_str(), path_.c_str()) != 0 && errno != EEXIST) why = errno;
    ::unlink(fresh.c_str());
    if (why == EPERM || why == EOPNOTSUPP)
      throw Error(errc::store_unavailable,
                  path_ +
                      ": this file system cannot link files: make an empty database file of mode 0600 "
                      "there yourself, or use another file system");
    if (why != 0) fail(why, "cannot make the database file");
    if (::fsync(directory) != 0) fail(errno, "cannot sync the directory of the database file");
  }

  static bool is_same(const std::string& path, const struct ::stat& own) {
    struct ::stat now {};
    if (::stat(path.c_str(), &now) == 0) return now.st_dev == own.st_dev && now.st_ino == own.st_ino;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    throw Error(errc::store_unavailable, "cannot look at the database file");
  }

  [[noreturn, gnu::cold]] void fail(int why, const char* what) const {
    const errc code = why == ENOSPC || why == EDQUOT                  ? errc::store_full
                      : why == EROFS || why == EACCES || why == EPERM ? errc::unsafe_config
                                                                      : errc::store_unavailable;
    throw Error(code, path_ + ": " + what + " (" + std::generic_category().message(why) + ')');
  }

  std::string path_, log_path_ = path_ + "-wal";
  struct ::stat own_ {
  }, log_{};
};

}  // namespace paidonce::inline v1::detail
