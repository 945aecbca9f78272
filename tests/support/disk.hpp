#pragma once
// A file system in memory that knows what is on its disk and what is only in its page cache, so that a test
// can take the power away. It assumes the worst that POSIX allows: a name is durable only after a sync of its
// directory, also that of a file which was synced itself; names that were not synced may be lost one by one;
// bytes that were not synced arrive in any pieces and in any order; and a failed sync leaves its bytes in the
// cache, marked clean, as Linux does, so that the next sync does not write them either.
//
//   Disk disk;                                   // empty but for its root
//   ... DiskFiles (disk_files.hpp) writes to it ...
//   Disk later = disk.after_power_loss({Loss::Bytes::thirds, Loss::Names::some, seed});

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// What the power going away leaves of what was not synced.
struct Loss {
  enum class Bytes : std::uint8_t {
    none,
    all,
    some,    ///< sector by sector, by chance
    thirds,  ///< of each write the first and the last third, and between them what was there before
    cut,     ///< up to some byte, by chance, and nothing behind it
  };
  enum class Names : std::uint8_t { none, all, some };
  Bytes bytes = Bytes::none;
  Names names = Names::none;
  std::uint64_t seed = 1;
};

/// A plain value: a copy is another file system with the same content. Not safe for several threads by
/// itself; `DiskFiles` locks it.
class Disk {
 public:
  using Inode = std::uint64_t;
  static constexpr std::size_t sector = 512, block = 4096;
  static constexpr Inode root = 1;

  struct Range {
    std::size_t begin = 0, end = 0;
  };
  /// A change of a directory: `removed` goes, `added` appears; either may be empty.
  struct Change {
    std::string removed, added;
    Inode inode = 0;
  };
  struct Node {
    bool is_directory = false;
    std::string cache, disk;      // of a file: what a reader sees, and what is durable
    std::vector<Range> unsynced;  // where they may differ and a sync would write
    std::vector<bool> blocks;     // which have room on the disk
    Inode parent = root;          // of a directory
    std::map<std::string, Inode> names, durable_names;
    std::vector<Change> pending;  // from the durable ones to the others
    std::size_t opened = 0;       // descriptors
    std::map<int, int> locks;     // by descriptor, as flock has them
  };

  Disk() { nodes_[root].is_directory = true; }

  /// Bytes that files may take, in blocks. `unlimited` at first.
  static constexpr std::size_t unlimited = SIZE_MAX;
  void set_capacity(std::size_t bytes) { capacity_ = bytes; }
  std::size_t used() const { return used_; }

  Node& node(Inode inode) { return nodes_.at(inode); }
  const Node& node(Inode inode) const { return nodes_.at(inode); }

  /// 0 where there is none.
  Inode find(Inode directory, std::string_view name) const {
    const Node& in = node(directory);
    const auto found = in.names.find(std::string(name));
    return found == in.names.end() ? 0 : found->second;
  }
  /// Of a path from the root; 0 where there is none.
  Inode find(std::string_view path) const {
    Inode at = root;
    for (const std::string& part : parts(path)) {
      if (!node(at).is_directory || (at = find(at, part)) == 0) return 0;
    }
    return at;
  }
  /// The directory that a path's last part is in, 0 where there is none, and that part.
  std::pair<Inode, std::string> parent_of(std::string_view path) const {
    std::vector<std::string> all = parts(path);
    if (all.empty()) return {0, ""};
    Inode at = root;
    for (std::size_t part = 0; part + 1 < all.size(); ++part)
      if (!node(at).is_directory || (at = find(at, all[part])) == 0) return {0, ""};
    return {at, all.back()};
  }

  Inode create(Inode directory, const std::string& name, bool is_directory) {
    const Inode made = next_++;
    nodes_[made].is_directory = is_directory;
    nodes_[made].parent = directory;
    Node& in = node(directory);
    in.names[name] = made;
    in.pending.push_back({"", name, made});
    return made;
  }
  void unlink(Inode directory, const std::string& name) {
    Node& in = node(directory);
    const Inode gone = in.names.at(name);
    in.names.erase(name);
    in.pending.push_back({name, "", gone});
    forget_if_unused(gone);
  }
  void rename(Inode directory, const std::string& from, const std::string& to) {
    Node& in = node(directory);
    const Inode moved = in.names.at(from);
    const Inode replaced = find(directory, to);
    if (replaced == moved) return;
    in.names.erase(from);
    in.names[to] = moved;
    in.pending.push_back({from, to, moved});
    if (replaced != 0) forget_if_unused(replaced);
  }
  void close(Inode inode) {
    --node(inode).opened;
    forget_if_unused(inode);
  }

  enum class Synced : std::uint8_t { no, at_once };
  /// The bytes written: less than `bytes` where the room ends, and 0 where there is none.
  std::size_t write(Inode inode, std::size_t at, std::string_view bytes, Synced synced) {
    Node& file = node(inode);
    bytes = bytes.substr(0, take_room(file, at, bytes.size()));
    if (bytes.empty()) return 0;
    const std::size_t end = at + bytes.size();
    if (file.cache.size() < end) file.cache.resize(end, '\0');
    file.cache.replace(at, bytes.size(), bytes);
    if (synced == Synced::at_once)
      copy(file, {at, end}, file.disk);
    else
      file.unsynced.push_back({at, end});
    return bytes.size();
  }
  void truncate(Inode inode, std::size_t size) {
    Node& file = node(inode);
    if (size < file.cache.size()) {
      file.unsynced.push_back({size, file.cache.size()});
      const std::size_t first = (size + block - 1) / block;
      for (std::size_t at = first; at < file.blocks.size(); ++at)
        if (file.blocks[at]) used_ -= block;
      if (first < file.blocks.size()) file.blocks.resize(first);
    }
    file.cache.resize(size, '\0');
  }

  /// Of a file: its bytes and its size. Of a directory: its names.
  void sync(Inode inode) {
    Node& node = this->node(inode);
    if (node.is_directory) {
      node.durable_names = node.names;
      node.pending.clear();
      return;
    }
    node.disk.resize(node.cache.size(), '\0');
    for (const Range range : node.unsynced) copy(node, range, node.disk);
    node.unsynced.clear();
  }
  /// Nothing was written, and nobody will.
  void fail_sync(Inode inode) { node(inode).unsynced.clear(); }

  /// Whether everything in the cache is on the disk, too.
  bool is_synced() const {
    for (const auto& [inode, node] : nodes_)
      if (!node.pending.empty() || node.cache != node.disk) return false;
    return true;
  }

  /// The same with no process that has anything open; the cache stays, and what was not synced stays so.
  Disk after_kill() const {
    Disk left = *this;
    for (auto& [inode, node] : left.nodes_) node.opened = 0, node.locks.clear();
    left.drop_unnamed();
    return left;
  }

  Disk after_power_loss(const Loss& loss) const {
    Disk left = *this;
    std::mt19937_64 random(loss.seed);
    for (auto& [inode, node] : left.nodes_) {
      node.opened = 0;
      node.locks.clear();
      if (node.is_directory)
        lose_names(node, loss.names, random);
      else
        lose_bytes(node, loss.bytes, random);
    }
    left.drop_unnamed();
    return left;
  }

 private:
  static std::vector<std::string> parts(std::string_view path) {
    std::vector<std::string> all;
    while (!path.empty()) {
      const std::size_t slash = std::min(path.find('/'), path.size());
      if (slash > 0 && path.substr(0, slash) != ".") all.emplace_back(path.substr(0, slash));
      path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return all;
  }

  /// Copies a range of the cache, as far as the file reaches.
  static void copy(const Node& file, Range range, std::string& to) {
    const std::size_t end = std::min(range.end, file.cache.size());
    if (range.begin >= end) return;
    if (to.size() < end) to.resize(end, '\0');
    to.replace(range.begin, end - range.begin, file.cache, range.begin, end - range.begin);
  }

  /// How many bytes from `at` have room, which they take.
  std::size_t take_room(Node& file, std::size_t at, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t first = at / block, last = (at + size - 1) / block;
    if (file.blocks.size() <= last) file.blocks.resize(last + 1);
    for (std::size_t taken = first; taken <= last; ++taken) {
      if (file.blocks[taken]) continue;
      if (used_ + block > capacity_) return taken == first ? 0 : taken * block - at;
      file.blocks[taken] = true;
      used_ += block;
    }
    return size;
  }

  bool has_name(Inode inode) const {
    for (const auto& [directory, node] : nodes_) {
      for (const auto& [name, named] : node.names)
        if (named == inode) return true;
      for (const auto& [name, named] : node.durable_names)
        if (named == inode) return true;
      for (const Change& change : node.pending)
        if (change.inode == inode) return true;
    }
    return inode == root;
  }
  void release(const Node& file) {
    for (const bool taken : file.blocks)
      if (taken) used_ -= block;
  }
  /// Its room is free as soon as nothing in the cache leads to it; its bytes are kept for a power loss that
  /// brings its name back.
  void forget_if_unused(Inode inode) {
    Node& file = node(inode);
    if (file.opened > 0) return;
    for (const auto& [directory, node] : nodes_)
      for (const auto& [name, named] : node.names)
        if (named == inode) return;
    release(file);
    file.blocks.clear();
    if (!has_name(inode)) nodes_.erase(inode);
  }
  void drop_unnamed() {
    std::vector<Inode> unnamed;
    for (const auto& [inode, node] : nodes_)
      if (!has_name(inode)) unnamed.push_back(inode);
    for (const Inode inode : unnamed) {
      release(nodes_.at(inode));
      nodes_.erase(inode);
    }
    used_ = 0;
    for (auto& [inode, node] : nodes_) {
      node.blocks.assign((node.cache.size() + block - 1) / block, true);
      used_ += node.blocks.size() * block;
    }
  }

  static void lose_names(Node& directory, Loss::Names kept, std::mt19937_64& random) {
    for (const Change& change : directory.pending) {
      if (kept == Loss::Names::none || (kept == Loss::Names::some && random() % 2 == 0)) continue;
      if (!change.removed.empty()) {
        const auto found = directory.durable_names.find(change.removed);
        if (found != directory.durable_names.end() && found->second == change.inode)
          directory.durable_names.erase(found);
      }
      if (!change.added.empty()) directory.durable_names[change.added] = change.inode;
    }
    directory.names = directory.durable_names;
    directory.pending.clear();
  }

  static void lose_bytes(Node& file, Loss::Bytes kept, std::mt19937_64& random) {
    std::string left = file.disk;
    if (kept == Loss::Bytes::all || (kept != Loss::Bytes::none && random() % 2 == 0))
      left.resize(file.cache.size(), '\0');  // the size went ahead of the bytes
    std::size_t first = SIZE_MAX, last = 0;
    for (const Range range : file.unsynced) {
      first = std::min(first, range.begin);
      last = std::max(last, range.end);
    }
    const std::size_t cut = first < last ? first + random() % (last - first) : 0;
    const std::uint64_t coins = random();
    for (const Range range : file.unsynced) {
      const std::size_t third = (range.end - range.begin + 2) / 3;
      switch (kept) {
        case Loss::Bytes::none: break;
        case Loss::Bytes::all: copy(file, range, left); break;
        case Loss::Bytes::thirds:
          copy(file, {range.begin, range.begin + third}, left);
          copy(file, {range.end - third, range.end}, left);
          break;
        case Loss::Bytes::cut: copy(file, {range.begin, std::min(range.end, cut)}, left); break;
        case Loss::Bytes::some:
          for (std::size_t at = range.begin; at < range.end;) {
            const std::size_t end = std::min(range.end, (at / sector + 1) * sector);
            if ((std::mt19937_64(coins + at / sector)() & 1) != 0) copy(file, {at, end}, left);
            at = end;
          }
          break;
      }
    }
    file.cache = file.disk = left;
    file.unsynced.clear();
  }

  std::map<Inode, Node> nodes_;
  Inode next_ = root + 1;
  std::size_t capacity_ = unlimited, used_ = 0;
};

}  // namespace support
