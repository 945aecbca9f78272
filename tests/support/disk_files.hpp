#pragma once
// The file policy of one process over a `Disk`.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/stores/file/files.hpp>

#include "support/disk.hpp"

namespace support {

/// A disk and who has its files open. Copies of a `DiskFiles` share both, as threads of a process do; a
/// second `DiskFiles` of the same `Machine` is another process.
struct Machine {
  explicit Machine(Disk disk_of_it = {}) : disk(std::move(disk_of_it)) {}
  std::mutex mutex;
  Disk disk;
  int next_descriptor = 1000;
  bool on_network = false;
  enum class Direct : std::uint8_t { works, is_not_opened, is_not_written };
  Direct direct = Direct::works;  ///< what becomes of O_DIRECT
};

class DiskFiles {
 public:
  explicit DiskFiles(std::shared_ptr<Machine> machine)
      : process_(std::make_shared<Process>(std::move(machine))) {}

  int open_at(int directory, const char* name, int flags) {
    const std::lock_guard lock(mutex());
    if ((flags & O_DIRECT) != 0 && process_->machine->direct == Machine::Direct::is_not_opened)
      return fail(EINVAL);
    Disk::Inode in = Disk::root;
    std::string last;
    Disk::Inode inode = 0;
    const std::string_view path = name;
    if (directory == AT_FDCWD) {
      inode = disk().find(path);
      std::tie(in, last) = disk().parent_of(path);
    } else {
      const Open* const opened = descriptor(directory);
      if (!opened) return fail(EBADF);
      in = opened->inode;
      if (!disk().node(in).is_directory) return fail(ENOTDIR);
      last = path;
      inode = path == "." ? in : path == ".." ? disk().node(in).parent : disk().find(in, path);
    }
    if (inode != 0 && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return fail(EEXIST);
    if (inode == 0) {
      if (in == 0 || (flags & O_CREAT) == 0) return fail(ENOENT);
      inode = disk().create(in, last, false);
    }
    Disk::Node& node = disk().node(inode);
    if ((flags & O_DIRECTORY) != 0 && !node.is_directory) return fail(ENOTDIR);
    if (node.is_directory && (flags & O_ACCMODE) != O_RDONLY) return fail(EISDIR);
    if ((flags & O_TRUNC) != 0) disk().truncate(inode, 0);
    ++node.opened;
    const int made = process_->machine->next_descriptor++;
    process_->open[made] = {inode, flags};
    return made;
  }

  int make_directory(const char* path) {
    const std::lock_guard lock(mutex());
    if (disk().find(path) != 0) return fail(EEXIST);
    const auto [in, last] = disk().parent_of(path);
    if (in == 0) return fail(ENOENT);
    disk().create(in, last, true);
    return 0;
  }

  ssize_t read(int fd, void* to, std::size_t size, off_t at) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened) return fail(EBADF);
    if (is_misaligned(*opened, to, size, at)) return fail(EINVAL);
    const std::string& bytes = disk().node(opened->inode).cache;
    const auto begin = static_cast<std::size_t>(at);
    if (begin >= bytes.size()) return 0;
    size = std::min(size, bytes.size() - begin);
    std::memcpy(to, bytes.data() + begin, size);
    return static_cast<ssize_t>(size);
  }
  ssize_t write(int fd, const void* from, std::size_t size, off_t at) {
    const Open* const opened = descriptor_locked(fd);
    const bool at_once = opened && (opened->flags & O_DSYNC) != 0;
    return write_to(fd, from, size, at, at_once ? Disk::Synced::at_once : Disk::Synced::no);
  }
  /// As a write that the power loss comes in the middle of: O_DSYNC has not synced it yet.
  ssize_t write_unsynced(int fd, const void* from, std::size_t size, off_t at) {
    return write_to(fd, from, size, at, Disk::Synced::no);
  }

  int sync_data(int fd) { return sync(fd); }
  int sync(int fd) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened) return fail(EBADF);
    disk().sync(opened->inode);
    return 0;
  }
  /// What a sync that fails with EIO leaves.
  void fail_sync(int fd) {
    const std::lock_guard lock(mutex());
    if (const Open* const opened = descriptor(fd)) disk().fail_sync(opened->inode);
  }
  int truncate(int fd, off_t size) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened || (opened->flags & O_ACCMODE) == O_RDONLY) return fail(EBADF);
    disk().truncate(opened->inode, static_cast<std::size_t>(size));
    return 0;
  }

  int rename_at(int directory, const char* from, const char* to) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(directory);
    if (!opened) return fail(EBADF);
    if (disk().find(opened->inode, from) == 0) return fail(ENOENT);
    disk().rename(opened->inode, from, to);
    return 0;
  }
  int unlink_at(int directory, const char* name) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(directory);
    if (!opened) return fail(EBADF);
    if (disk().find(opened->inode, name) == 0) return fail(ENOENT);
    disk().unlink(opened->inode, name);
    return 0;
  }

  int lock(int fd, int how) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened) return fail(EBADF);
    auto& locks = disk().node(opened->inode).locks;
    if ((how & LOCK_UN) != 0) {
      locks.erase(fd);
      return 0;
    }
    for (const auto& [other, kind] : locks)
      if (other != fd && ((how & LOCK_EX) != 0 || kind == LOCK_EX)) return fail(EWOULDBLOCK);
    locks[fd] = how & ~LOCK_NB;
    return 0;
  }

  int status(int fd, struct ::stat& status) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened) return fail(EBADF);
    describe(opened->inode, status);
    return 0;
  }
  int status_of(const char* path, struct ::stat& status) {
    const std::lock_guard lock(mutex());
    const Disk::Inode inode = disk().find(path);
    if (inode == 0) return fail(ENOENT);
    describe(inode, status);
    return 0;
  }
  int is_on_network(int) { return process_->machine->on_network ? 1 : 0; }
  int list(int fd, std::vector<std::string>& names) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened) return fail(EBADF);
    for (const auto& [name, inode] : disk().node(opened->inode).names) names.push_back(name);
    return 0;
  }
  int close(int fd) {
    const std::lock_guard lock(mutex());
    const auto found = process_->open.find(fd);
    if (found == process_->open.end()) return fail(EBADF);
    const Disk::Inode inode = found->second.inode;
    process_->open.erase(found);
    disk().node(inode).locks.erase(fd);
    disk().close(inode);
    return 0;
  }

  std::size_t open_descriptors() const {
    const std::lock_guard lock(process_->machine->mutex);
    return process_->open.size();
  }

 private:
  struct Open {
    Disk::Inode inode = 0;
    int flags = 0;
  };
  struct Process {
    explicit Process(std::shared_ptr<Machine> on) : machine(std::move(on)) {}
    std::shared_ptr<Machine> machine;
    std::map<int, Open> open;
  };

  static int fail(int error) {
    errno = error;
    return -1;
  }
  std::mutex& mutex() { return process_->machine->mutex; }
  Disk& disk() { return process_->machine->disk; }
  const Open* descriptor(int fd) {
    const auto found = process_->open.find(fd);
    return found == process_->open.end() ? nullptr : &found->second;
  }
  const Open* descriptor_locked(int fd) {
    const std::lock_guard lock(mutex());
    return descriptor(fd);
  }
  static bool is_misaligned(const Open& opened, const void* bytes, std::size_t size, off_t at) {
    return (opened.flags & O_DIRECT) != 0 &&
           (reinterpret_cast<std::uintptr_t>(bytes) | size | static_cast<std::size_t>(at)) % Disk::sector !=
               0;
  }
  ssize_t write_to(int fd, const void* from, std::size_t size, off_t at, Disk::Synced synced) {
    const std::lock_guard lock(mutex());
    const Open* const opened = descriptor(fd);
    if (!opened || (opened->flags & O_ACCMODE) == O_RDONLY) return fail(EBADF);
    if (is_misaligned(*opened, from, size, at)) return fail(EINVAL);
    if ((opened->flags & O_DIRECT) != 0 && process_->machine->direct == Machine::Direct::is_not_written)
      return fail(EINVAL);
    const std::size_t written = disk().write(opened->inode, static_cast<std::size_t>(at),
                                             {static_cast<const char*>(from), size}, synced);
    if (written == 0 && size > 0) return fail(ENOSPC);
    return static_cast<ssize_t>(written);
  }
  void describe(Disk::Inode inode, struct ::stat& status) {
    const Disk::Node& node = disk().node(inode);
    status = {};
    status.st_dev = 77;
    status.st_ino = inode;
    status.st_nlink = 1;
    status.st_mode = node.is_directory ? S_IFDIR | 0700 : S_IFREG | 0600;
    status.st_size = static_cast<off_t>(node.cache.size());
    status.st_blksize = static_cast<blksize_t>(Disk::block);
    status.st_blocks = static_cast<blkcnt_t>((node.cache.size() + 511) / 512);
  }

  std::shared_ptr<Process> process_;
};

static_assert(paidonce::FilePolicy<DiskFiles>);

}  // namespace support
