#pragma once
// A file policy over files in memory that are only read: a directory is a map of names to bytes. Quick, for
// tests that open a log some thousand times.

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/file/files.hpp>

namespace support {

using FilesByName = std::map<std::string, std::string>;

/// Knows one directory, `directory`, whatever descriptor it is asked for. Reads are short where
/// `longest_read` is set, and every `interrupt_every`-th one is interrupted. Not thread-safe but for reading.
class MemoryFiles {
 public:
  explicit MemoryFiles(const FilesByName& names) : files_(&names) {}

  std::size_t longest_read = SIZE_MAX;
  std::size_t interrupt_every = 0;
  std::size_t bytes_read = 0;
  std::string fails_to_read = {};  ///< a file whose every read fails with EIO

  int open_at(int, const char* name, int flags) {
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0) return fail(EROFS);
    const auto found = files_->find(name);
    if (found == files_->end()) return fail(ENOENT);
    return first_descriptor + static_cast<int>(std::distance(files_->begin(), found));
  }
  ssize_t read(int fd, void* to, std::size_t size, off_t at) {
    if (interrupt_every != 0 && ++reads_ % interrupt_every == 0) return fail(EINTR);
    const auto& [name, bytes] = *std::next(files_->begin(), fd - first_descriptor);
    if (name == fails_to_read) return fail(EIO);
    const auto begin = static_cast<std::size_t>(at);
    if (begin >= bytes.size()) return 0;
    std::size_t count = bytes.size() - begin;
    if (count > size) count = size;
    if (count > longest_read) count = longest_read;
    std::memcpy(to, bytes.data() + begin, count);
    bytes_read += count;
    return static_cast<ssize_t>(count);
  }
  int status(int fd, struct ::stat& status) {
    status = {};
    status.st_mode = S_IFREG | 0600;
    status.st_size = static_cast<off_t>(std::next(files_->begin(), fd - first_descriptor)->second.size());
    return 0;
  }
  int list(int, std::vector<std::string>& names) {
    for (const auto& file : *files_) names.push_back(file.first);
    return 0;
  }
  int close(int) { return 0; }

  int make_directory(const char*) { return fail(EROFS); }
  ssize_t write(int, const void*, std::size_t, off_t) { return fail(EROFS); }
  int sync_data(int) { return fail(EROFS); }
  int sync(int) { return fail(EROFS); }
  int truncate(int, off_t) { return fail(EROFS); }
  int rename_at(int, const char*, const char*) { return fail(EROFS); }
  int unlink_at(int, const char*) { return fail(EROFS); }
  int lock(int, int) { return 0; }
  int status_of(const char*, struct ::stat&) { return fail(ENOENT); }
  int is_on_network(int) { return 0; }

  static constexpr int directory = 3;

 private:
  static constexpr int first_descriptor = 100;
  static int fail(int error) {
    errno = error;
    return -1;
  }

  const FilesByName* files_;
  std::size_t reads_ = 0;
};

static_assert(paidonce::FilePolicy<MemoryFiles>);

}  // namespace support
