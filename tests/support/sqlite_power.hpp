#pragma once
// The files of a SQLite database on a disk that loses power: what was written is in the cache, which is the
// real file, and what was synced is on the disk, which is kept here. A sync that fails leaves its bytes in
// the cache, marked clean, as Linux does: the next one does not write them either.

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/sqlite_vfs.hpp"

namespace support {

/// Told of each call by a SqliteVfs. Names are durable at once. Thread-safe.
class SqlitePower {
 public:
  void after(const VfsCall& call) {
    const std::lock_guard lock(mutex_);
    if (call.path.empty() || call.path.ends_with("-shm")) return;
    const std::string path(call.path);
    switch (call.does) {
      case VfsCall::Does::open: files_.try_emplace(path); break;
      case VfsCall::Does::write: {
        File& file = files_[path];
        const auto at = static_cast<std::size_t>(call.offset);
        const auto size = static_cast<std::size_t>(call.size);
        file.dirty.emplace_back(at, std::string(static_cast<const char*>(call.bytes), size));
        break;
      }
      case VfsCall::Does::truncate: {
        File& file = files_[path];
        const auto size = static_cast<std::size_t>(call.offset);
        for (auto& [at, bytes] : file.dirty) bytes.resize(std::min(bytes.size(), size > at ? size - at : 0));
        file.disk.resize(std::min(file.disk.size(), size));  // durable at once, like names
        break;
      }
      case VfsCall::Does::sync: {
        File& file = files_[path];
        for (const auto& [at, bytes] : file.dirty) write(file.disk, at, bytes);
        file.dirty.clear();
        break;
      }
      case VfsCall::Does::remove: files_.erase(path); break;
      default: break;
    }
  }

  /// What a failed sync does.
  void forget_unsynced(std::string_view path) {
    const std::lock_guard lock(mutex_);
    if (const auto found = files_.find(std::string(path)); found != files_.end()) found->second.dirty.clear();
  }

  /// Puts the files as the disk has them into another directory. Of what was not synced, some arrives, by
  /// chance, sector by sector.
  void come_back(const std::filesystem::path& directory, std::uint64_t seed) {
    const std::lock_guard lock(mutex_);
    std::mt19937_64 random(seed);
    const auto share = random() % 3;  // none, some, nearly all
    for (const auto& [path, file] : files_) {
      std::string bytes = file.disk;
      for (const auto& [at, unsynced] : file.dirty)
        for (std::size_t sector = 0; sector < unsynced.size(); sector += 512)
          if (random() % 8 < share * 3) write(bytes, at + sector, unsynced.substr(sector, 512));
      std::ofstream(directory / std::filesystem::path(path).filename(), std::ios::binary) << bytes;
    }
  }

 private:
  struct File {
    std::string disk = {};
    std::vector<std::pair<std::size_t, std::string>> dirty = {};
  };
  static void write(std::string& to, std::size_t at, const std::string& bytes) {
    if (to.size() < at + bytes.size()) to.resize(at + bytes.size());
    std::copy(bytes.begin(), bytes.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::mutex mutex_;
  std::map<std::string, File> files_;
};

}  // namespace support
