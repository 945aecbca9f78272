#pragma once
// The system calls of a file store, one member each, so that a test can stand in for the file system: fail
// the N-th call, write half, forget what was not synced, or stop the process. A policy is copied into the
// store; its calls are made from several threads.

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <string>
#include <vector>

namespace paidonce::inline v1 {

/// What the policy of a file store must offer. Each call behaves as the POSIX call that it is named after:
/// -1 and errno where it fails, short counts and EINTR included.
template <class F>
concept FilePolicy = std::copy_constructible<F> &&
    requires(F& files, int fd, const char* name, void* to, const void* from, std::size_t size, off_t at,
             struct ::stat& status, std::vector<std::string>& names) {
  { files.open_at(fd, name, fd) } -> std::same_as<int>;
  { files.make_directory(name) } -> std::same_as<int>;
  { files.read(fd, to, size, at) } -> std::same_as<ssize_t>;
  { files.write(fd, from, size, at) } -> std::same_as<ssize_t>;
  { files.sync_data(fd) } -> std::same_as<int>;
  { files.sync(fd) } -> std::same_as<int>;
  { files.truncate(fd, at) } -> std::same_as<int>;
  { files.rename_at(fd, name, name) } -> std::same_as<int>;
  { files.unlink_at(fd, name) } -> std::same_as<int>;
  { files.lock(fd, fd) } -> std::same_as<int>;
  { files.status(fd, status) } -> std::same_as<int>;
  { files.status_of(name, status) } -> std::same_as<int>;
  { files.is_on_network(fd) } -> std::same_as<int>;
  { files.list(fd, names) } -> std::same_as<int>;
  { files.close(fd) } -> std::same_as<int>;
};

/// The operating system's own.
struct PosixFiles {
  /// `directory` may be AT_FDCWD. New files are for their owner alone; a link in place of a file is refused.
  int open_at(int directory, const char* name, int flags) {
    return ::openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  }
  int make_directory(const char* path) { return ::mkdir(path, 0700); }
  ssize_t read(int fd, void* to, std::size_t size, off_t at) { return ::pread(fd, to, size, at); }
  ssize_t write(int fd, const void* from, std::size_t size, off_t at) { return ::pwrite(fd, from, size, at); }
  int sync_data(int fd) { return ::fdatasync(fd); }
  int sync(int fd) { return ::fsync(fd); }
  int truncate(int fd, off_t size) { return ::ftruncate(fd, size); }
  int rename_at(int directory, const char* from, const char* to) {
    return ::renameat(directory, from, directory, to);
  }
  int unlink_at(int directory, const char* name) { return ::unlinkat(directory, name, 0); }
  /// `how` as for flock.
  int lock(int fd, int how) { return ::flock(fd, how); }
  int status(int fd, struct ::stat& status) { return ::fstat(fd, &status); }
  int status_of(const char* path, struct ::stat& status) { return ::stat(path, &status); }
  /// 1: on NFS, SMB, 9P, Ceph or another file system of the network; 0: not.
  int is_on_network(int fd) {
    struct ::statfs where {};
    if (::fstatfs(fd, &where) != 0) return -1;
    // As linux/magic.h and the file systems' own headers number them: NFS, SMB, CIFS, SMB2, 9P, Ceph, AFS,
    // Coda, Lustre, GPFS, GFS2 and OCFS2.
    constexpr unsigned long remote[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42,
                                        0x01021997, 0x00c36400, 0x5346414f, 0x73757245,
                                        0x0bd00bd0, 0x47504653, 0x01161970, 0x7461636f};
    for (const unsigned long type : remote)
      if ((static_cast<unsigned long>(where.f_type) & 0xffffffff) == type) return 1;
    return 0;
  }
  /// The names in a directory, `.` and `..` left out.
  int list(int fd, std::vector<std::string>& names) {
    const int own = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0) return -1;
    ::DIR* const open = ::fdopendir(own);
    if (!open) {
      const int why = errno;
      ::close(own);
      errno = why;
      return -1;
    }
    int why = 0;
    try {
      for (;;) {
        errno = 0;
        const ::dirent* const entry = ::readdir(open);
        if (!entry) break;
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
      }
      why = errno;
    } catch (...) {
      ::closedir(open);
      throw;
    }
    ::closedir(open);
    errno = why;
    return why == 0 ? 0 : -1;
  }
  int close(int fd) { return ::close(fd); }
};

static_assert(FilePolicy<PosixFiles>);

}  // namespace paidonce::inline v1
