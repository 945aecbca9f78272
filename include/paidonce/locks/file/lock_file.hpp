#pragma once
// The open file behind a FileLock: found, checked, locked byte by byte, and its errors in words.

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/locks/file/byte_locks.hpp>
#include <paidonce/stores/file/options.hpp>

namespace paidonce::inline v1 {

struct FileLockOptions {
  NetworkDirectory network_directory = NetworkDirectory::refused;
};

namespace detail {

/// Thread-safe once made. Whose a byte is within this process is not known here.
template <LockFilePolicy Files>
class LockFile {
 public:
  LockFile(const std::filesystem::path& path, const FileLockOptions& options, Files files)
      : files_(std::move(files)), path_(path) {
    try {
      open(options);
    } catch (...) {
      close();
      throw;
    }
  }
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;
  ~LockFile() { close(); }

  /// Whether the byte is ours now. False: another process has it, or another FileLock.
  bool take(off_t at) {
    const int error = set(at, F_WRLCK) == 0 ? 0 : errno;
    if (error != 0 && error != EAGAIN && error != EACCES) fail(error, "cannot be locked");
    // Asked after the lock is ours: whoever opens the file from now on, while it is there, meets that lock.
    struct ::stat status {};
    const int found = repeat([&] { return files_.status_of(path_.c_str(), status); }) == 0 ? 0 : errno;
    if (found == 0 && status.st_ino == inode_ && status.st_dev == device_) return error == 0;
    if (error == 0) release(at);
    if (found != 0 && found != ENOENT && found != ENOTDIR) fail(found, "cannot be examined");
    refuse(errc::store_replaced, "is no longer the file that was opened: it was removed or replaced",
           "restart all programs that lock it, and keep it where nothing cleans up");
  }

  void release(off_t at) noexcept { set(at, F_UNLCK); }

  /// Gives up the descriptor. The kernel's locks go with the last one: a forked child's costs its parent
  /// none.
  void close() noexcept {
    if (fd_ >= 0) files_.close(std::exchange(fd_, -1));
  }

 private:
  void open(const FileLockOptions& options) {
    if (path_.empty() || path_.native().find('\0') != std::string::npos)
      refuse(errc::invalid_options, "is no name of a file", "name one");
    std::error_code error;
    path_ = std::filesystem::absolute(path_, error);
    if (error) fail(error.value(), "cannot be found from the working directory");
    fd_ = repeat(
        [&] { return files_.open_at(AT_FDCWD, path_.c_str(), O_RDWR | O_CREAT | O_NOCTTY | O_NONBLOCK); });
    if (fd_ < 0) fail(errno, "cannot be opened");
    struct ::stat status {};
    if (repeat([&] { return files_.status(fd_, status); }) != 0) fail(errno, "cannot be examined");
    if (!S_ISREG(status.st_mode))
      refuse(errc::invalid_options, "is no plain file", "name one that is, or none");
    device_ = status.st_dev;
    inode_ = status.st_ino;
    if (options.network_directory == NetworkDirectory::refused) {
      const int is_remote = files_.is_on_network(fd_);
      if (is_remote < 0) fail(errno, "cannot be examined");
      if (is_remote > 0)
        refuse(errc::invalid_options, "is on a network file system, whose locks end with a connection",
               "use a local directory, or set FileLockOptions::network_directory");
    }
    constexpr off_t byte_of_nobody = off_t{1} << 62;
    if (set(byte_of_nobody, F_UNLCK) != 0) fail(errno, "cannot be locked");
  }

  int set(off_t at, short type) noexcept {
    return repeat([&] { return files_.lock_byte(fd_, at, type); });
  }

  /// Calls again when a signal interrupts it; a file system that goes on saying so is not answering.
  template <class Call>
  static int repeat(Call call) {
    int result = -1;
    for (int i = 0; i < 100 && (result = call()) < 0 && errno == EINTR; ++i) {
    }
    return result;
  }

  [[noreturn, gnu::cold]] void refuse(errc code, const char* what, const char* advice) const {
    throw Error(code, std::string("the lock file ") + path_.c_str() + " " + what + "; " + advice);
  }

  [[noreturn, gnu::cold]] void fail(int error, const char* what) const {
    const std::string reason = std::string(what) + ": " + std::generic_category().message(error);
    switch (error) {
      case ELOOP: refuse(errc::invalid_options, "is a symbolic link", "name the file itself");
      case EISDIR: refuse(errc::invalid_options, "is a directory", "name a file in it");
      case ENOENT:
      case ENOTDIR: refuse(errc::invalid_options, reason.c_str(), "make its directory first");
      case EACCES:
      case EPERM:
      case EROFS:
        refuse(errc::lock_unavailable, reason.c_str(), "it must be writable for this user, or its directory");
      case EMFILE:
      case ENFILE:
        refuse(errc::lock_unavailable, reason.c_str(),
               "raise the limit of open files (ulimit -n), or close some");
      case ENOLCK: refuse(errc::lock_unavailable, reason.c_str(), "the system has no room for more locks");
      case EBADF:
        refuse(errc::lock_unavailable, reason.c_str(),
               "some code of this program has closed it: open it again");
      case EINVAL:
      case EOPNOTSUPP:
      case ENOSYS:
        refuse(errc::lock_unavailable, reason.c_str(),
               "neither this kernel nor this file system may have open file description locks");
      default: refuse(errc::lock_unavailable, reason.c_str(), "see to it, then try again");
    }
  }

  Files files_;
  std::filesystem::path path_;
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace detail
}  // namespace paidonce::inline v1
