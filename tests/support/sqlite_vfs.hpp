#pragma once
// A SQLite file system between SQLite and the machine's: a test sees each call before it is made and may
// answer it, end the process, or take note of it.
//
//   SqliteVfs vfs("failing", [&](const VfsCall& call) { return call.does == VfsCall::Does::sync ?
//   SQLITE_IOERR_FSYNC
//                                                                                              : SQLITE_OK;
//                                                                                              });
//   SqliteStore store(file, {.vfs = "failing"});

#include <sqlite3.h>

#include <cstring>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace support {

/// What is about to be done.
struct VfsCall {
  enum class Does : std::uint8_t {
    open,
    read,
    write,
    truncate,
    sync,
    lock,
    unlock,
    shm_map,
    shm_lock,
    remove
  };
  Does does = Does::read;
  std::string_view path = {};   // of the file
  sqlite3_int64 offset = 0;     // of read and write; of truncate the new size
  const void* bytes = nullptr;  // of write
  int size = 0;                 // of read and write

  sqlite3_file* file = nullptr;  // of write: the machine's

  /// Writes the first half of what is to be written.
  void write_half() const { file->pMethods->xWrite(file, bytes, size / 2, offset); }
  bool is_log() const { return path.ends_with("-wal"); }
  /// Whether it changes what is on the disk.
  bool changes() const {
    return does == Does::write || does == Does::truncate || does == Does::sync || does == Does::remove;
  }
};

inline const char* to_string(VfsCall::Does does) {
  constexpr const char* names[] = {"open", "read",   "write",   "truncate", "sync",
                                   "lock", "unlock", "shm_map", "shm_lock", "remove"};
  return names[static_cast<int>(does)];
}

/// Registered while it lives, which is longer than any connection that names it. `before` is called by any
/// thread; what it returns other than SQLITE_OK is the call's result, and the call is not made. `after` is
/// told of calls that succeeded.
class SqliteVfs {
 public:
  using Before = std::function<int(const VfsCall&)>;
  using After = std::function<void(const VfsCall&)>;

  SqliteVfs(std::string name, Before before, After after = {})
      : name_(std::move(name)), before_(std::move(before)), after_(std::move(after)) {
    below_ = sqlite3_vfs_find(nullptr);
    vfs_ = *below_;
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + below_->szOsFile;
    vfs_.pAppData = this;
    vfs_.xOpen = &open;
    vfs_.xDelete = &remove;
    if (sqlite3_vfs_register(&vfs_, 0) != SQLITE_OK) throw std::runtime_error("sqlite3_vfs_register");
  }
  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;
  ~SqliteVfs() { sqlite3_vfs_unregister(&vfs_); }

 private:
  struct File {
    sqlite3_file base;
    SqliteVfs* vfs;
    const char* path;  // SQLite keeps it while the file is open
    sqlite3_file* below() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };
  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

  template <class Make>
  int around(const VfsCall& call, const Make& make) {
    if (const int refused = before_ ? before_(call) : SQLITE_OK; refused != SQLITE_OK) return refused;
    const int code = make();
    if (code == SQLITE_OK && after_) after_(call);
    return code;
  }
  template <class Make>
  static int call(sqlite3_file* file, VfsCall::Does does, const Make& make) {
    File& own = of(file);
    return own.vfs->around({.does = does, .path = own.path}, make);
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* got) {
    auto& self = *static_cast<SqliteVfs*>(vfs->pAppData);
    File& own = of(file);
    own.base.pMethods = nullptr;
    own.vfs = &self;
    own.path = path ? path : "";
    return self.around({.does = VfsCall::Does::open, .path = own.path}, [&] {
      const int code = self.below_->xOpen(self.below_, path, own.below(), flags, got);
      if (own.below()->pMethods) own.base.pMethods = &methods();
      return code;
    });
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int sync) {
    auto& self = *static_cast<SqliteVfs*>(vfs->pAppData);
    return self.around({.does = VfsCall::Does::remove, .path = path},
                       [&] { return self.below_->xDelete(self.below_, path, sync); });
  }

  static const sqlite3_io_methods& methods() {
    using Does = VfsCall::Does;
    static const sqlite3_io_methods all = {
        3,
        [](sqlite3_file* file) { return of(file).below()->pMethods->xClose(of(file).below()); },
        [](sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
          File& own = of(file);
          return own.vfs->around({.does = Does::read, .path = own.path, .offset = at, .size = size},
                                 [&] { return own.below()->pMethods->xRead(own.below(), to, size, at); });
        },
        [](sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
          File& own = of(file);
          return own.vfs->around({.does = Does::write,
                                  .path = own.path,
                                  .offset = at,
                                  .bytes = from,
                                  .size = size,
                                  .file = own.below()},
                                 [&] { return own.below()->pMethods->xWrite(own.below(), from, size, at); });
        },
        [](sqlite3_file* file, sqlite3_int64 size) {
          File& own = of(file);
          return own.vfs->around({.does = Does::truncate, .path = own.path, .offset = size},
                                 [&] { return own.below()->pMethods->xTruncate(own.below(), size); });
        },
        [](sqlite3_file* file, int flags) {
          return call(file, Does::sync,
                      [&] { return of(file).below()->pMethods->xSync(of(file).below(), flags); });
        },
        [](sqlite3_file* file, sqlite3_int64* size) {
          return of(file).below()->pMethods->xFileSize(of(file).below(), size);
        },
        [](sqlite3_file* file, int how) {
          return call(file, Does::lock,
                      [&] { return of(file).below()->pMethods->xLock(of(file).below(), how); });
        },
        [](sqlite3_file* file, int how) {
          return call(file, Does::unlock,
                      [&] { return of(file).below()->pMethods->xUnlock(of(file).below(), how); });
        },
        [](sqlite3_file* file, int* reserved) {
          return of(file).below()->pMethods->xCheckReservedLock(of(file).below(), reserved);
        },
        [](sqlite3_file* file, int what, void* about) {
          return of(file).below()->pMethods->xFileControl(of(file).below(), what, about);
        },
        [](sqlite3_file* file) { return of(file).below()->pMethods->xSectorSize(of(file).below()); },
        [](sqlite3_file* file) {
          return of(file).below()->pMethods->xDeviceCharacteristics(of(file).below());
        },
        [](sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
          return call(file, Does::shm_map, [&] {
            return of(file).below()->pMethods->xShmMap(of(file).below(), page, size, extend, memory);
          });
        },
        [](sqlite3_file* file, int at, int count, int flags) {
          const auto lock = [&] {
            return of(file).below()->pMethods->xShmLock(of(file).below(), at, count, flags);
          };
          return (flags & SQLITE_SHM_LOCK) != 0 ? call(file, Does::shm_lock, lock) : lock();
        },
        [](sqlite3_file* file) { of(file).below()->pMethods->xShmBarrier(of(file).below()); },
        [](sqlite3_file* file, int remove) {
          return of(file).below()->pMethods->xShmUnmap(of(file).below(), remove);
        },
        [](sqlite3_file* file, sqlite3_int64 at, int size, void** page) {
          return of(file).below()->pMethods->xFetch(of(file).below(), at, size, page);
        },
        [](sqlite3_file* file, sqlite3_int64 at, void* page) {
          return of(file).below()->pMethods->xUnfetch(of(file).below(), at, page);
        },
    };
    return all;
  }

  std::string name_;
  Before before_;
  After after_;
  sqlite3_vfs* below_ = nullptr;
  sqlite3_vfs vfs_{};
};

}  // namespace support
