#pragma once
// The system calls of a file store without those that change anything: whatever is done with them, a
// directory stays as it is.

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <paidonce/stores/file/files.hpp>

namespace paidonce_admin {

class ReadOnlyFiles {
 public:
  int open_at(int directory, const char* name, int flags) {
    if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0) return refused();
    // Not even the time of the last access; that is the owner's to ask for, and root's.
    const int quietly = files_.open_at(directory, name, flags | O_NOATIME);
    return quietly >= 0 || errno != EPERM ? quietly : files_.open_at(directory, name, flags);
  }
  ssize_t read(int fd, void* to, std::size_t size, off_t at) { return files_.read(fd, to, size, at); }
  int lock(int fd, int how) { return files_.lock(fd, how); }
  int status(int fd, struct ::stat& status) { return files_.status(fd, status); }
  int status_of(const char* path, struct ::stat& status) { return files_.status_of(path, status); }
  int is_on_network(int fd) { return files_.is_on_network(fd); }
  int list(int fd, std::vector<std::string>& names);
  int close(int fd) { return files_.close(fd); }

  int make_directory(const char*) { return refused(); }
  ssize_t write(int, const void*, std::size_t, off_t) { return refused(); }
  int sync_data(int) { return refused(); }
  int sync(int) { return refused(); }
  int truncate(int, off_t) { return refused(); }
  int rename_at(int, const char*, const char*) { return refused(); }
  int unlink_at(int, const char*) { return refused(); }

 private:
  static int refused() {
    errno = EROFS;
    return -1;
  }

  paidonce::PosixFiles files_;
};

/// By a descriptor of its own, which begins at the first name.
inline int ReadOnlyFiles::list(int fd, std::vector<std::string>& names) {
  const int own = open_at(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return -1;
  const std::unique_ptr<::DIR, int (*)(::DIR*)> open(::fdopendir(own), ::closedir);
  if (!open) {
    ::close(own);
    return -1;
  }
  errno = 0;
  while (const ::dirent* const entry = ::readdir(open.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
    errno = 0;
  }
  return errno == 0 ? 0 : -1;
}

static_assert(paidonce::FilePolicy<ReadOnlyFiles>);

}  // namespace paidonce_admin
