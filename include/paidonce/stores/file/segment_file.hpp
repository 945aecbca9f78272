#pragma once
// A segment's file in the making: filled with zeros in steps and synced before it gets its name, since only
// blocks that were written before are written again without the file system's journal.

#include <fcntl.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/stores/file/file_calls.hpp>
#include <paidonce/stores/file/format.hpp>
#include <paidonce/stores/file/options.hpp>

namespace paidonce::inline v1::detail {

/// What direct writes must be aligned to, in memory, in the file and in length.
inline constexpr std::size_t file_block = 4096;

constexpr std::uint64_t block_begin(std::uint64_t at) noexcept { return at / file_block * file_block; }
constexpr std::uint64_t block_end(std::uint64_t at) noexcept { return block_begin(at + file_block - 1); }

/// Memory that direct writes can be made from, all zeros.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<char*>(::operator new(size, std::align_val_t(file_block)))), size_(size) {
    std::memset(data_.get(), 0, size);
  }
  char* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }

 private:
  struct Free {
    void operator()(char* memory) const noexcept { ::operator delete(memory, std::align_val_t(file_block)); }
  };
  std::unique_ptr<char, Free> data_;
  std::size_t size_ = 0;
};

/// How a file is written so that a write is on the disk when it is acknowledged.
enum class SyncBy : std::uint8_t {
  call,   ///< fdatasync behind the writes
  write,  ///< each write goes to the disk by itself, past the page cache (O_DIRECT, O_DSYNC)
  none,   ///< Durability::process_crash
};

template <FilePolicy Files>
struct SegmentFile {
  OpenFile<Files> file = {};
  SyncBy sync_by = SyncBy::call;
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  std::string name = {};
};

/// Makes what was written to the file durable. Throws where that fails; the file is then not to be used any
/// more.
template <FilePolicy Files>
void sync_segment(Files& files, const SegmentFile<Files>& segment) {
  if (segment.sync_by == SyncBy::call && files.sync_data(segment.file.fd()) != 0)
    throw_file_error(errno, "cannot sync " + segment.name);
}

/// Opens a segment that is ready, for writing to the disk: directly where the file system can.
template <FilePolicy Files>
SegmentFile<Files> open_segment(Files& files, int directory, std::uint64_t number, std::uint64_t size,
                                SyncBy sync_by) {
  const int flags = sync_by == SyncBy::write ? O_RDWR | O_DIRECT | O_DSYNC : O_RDWR;
  std::string name = file_format::segment_name(number);
  OpenFile<Files> file = open_file(files, directory, name, flags);
  return {std::move(file), sync_by, number, size, std::move(name)};
}

/// One segment being prepared. Not thread-safe.
template <FilePolicy Files>
class SegmentInTheMaking {
 public:
  static constexpr std::size_t step_size = std::size_t{256} << 10;

  /// Throws where the file cannot be made.
  SegmentInTheMaking(Files& files, int directory, std::uint64_t size, Durability durability)
      : files_(files), directory_(directory), size_(block_end(size)), zeros_(step_size) {
    if (durability == Durability::process_crash) {
      sync_by_ = SyncBy::none;
    } else {
      const int fd = uninterrupted([&] {
        return files_.open_at(directory_, file_format::temporary_name, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT);
      });
      if (fd >= 0)
        file_ = OpenFile<Files>(files_, fd);
      else if (errno == EINVAL)
        sync_by_ = SyncBy::call;
      else
        throw_file_error(errno, std::string("cannot open ") + file_format::temporary_name);
    }
    if (!file_)
      file_ = open_file(files_, directory_, file_format::temporary_name, O_RDWR | O_CREAT | O_TRUNC);
  }

  std::uint64_t size() const noexcept { return size_; }
  std::uint64_t done() const noexcept { return done_; }
  bool filled() const noexcept { return done_ == size_; }

  /// Fills some more. Throws `store_full` where the disk is full, and can be called again later.
  void step() {
    const std::uint64_t left = size_ - done_;
    const std::size_t now = left < step_size ? static_cast<std::size_t>(left) : step_size;
    const FileSizeSignalBlocked no_signal;
    if (done_ == 0 && sync_by_ == SyncBy::write) find_out_whether_direct();
    write(zeros_.data(), now, done_);
    done_ += now;
  }

  /// Ends it where it is filled to: the disk has no more. Throws where that fails too.
  void cut_here() {
    if (uninterrupted([&] { return files_.truncate(file_.fd(), static_cast<off_t>(done_)); }) != 0)
      throw_file_error(errno, std::string("cannot cut ") + file_format::temporary_name);
    size_ = done_;
  }

  /// Puts bytes where the zeros are; in whole blocks.
  void write(const char* from, std::size_t size, std::uint64_t at) {
    write_all(files_, file_.fd(), from, size, at, file_format::temporary_name);
  }

  /// Syncs it, gives it its name for good, replacing a file that has it, and opens it for the log.
  SegmentFile<Files> finish(std::uint64_t number) && {
    if (files_.sync(file_.fd()) != 0)  // whatever the durability: a segment with a name has its size
      throw_file_error(errno, std::string("cannot sync ") + file_format::temporary_name);
    const std::string name = file_format::segment_name(number);
    if (uninterrupted(
            [&] { return files_.rename_at(directory_, file_format::temporary_name, name.c_str()); }) != 0)
      throw_file_error(errno, "cannot rename a segment to " + name);
    sync_directory(files_, directory_);
    return open_segment(files_, directory_, number, size_, sync_by_);
  }

 private:
  /// Some file systems open a file for direct writes and then refuse them.
  void find_out_whether_direct() {
    const ssize_t written =
        uninterrupted([&] { return files_.write(file_.fd(), zeros_.data(), file_block, 0); });
    if (written >= 0 || errno != EINVAL) return;
    file_ = open_file(files_, directory_, file_format::temporary_name, O_RDWR);
    sync_by_ = SyncBy::call;
  }

  Files& files_;
  int directory_;
  SyncBy sync_by_ = SyncBy::write;
  std::uint64_t size_;
  AlignedBuffer zeros_;
  OpenFile<Files> file_;
  std::uint64_t done_ = 0;
};

}  // namespace paidonce::inline v1::detail
