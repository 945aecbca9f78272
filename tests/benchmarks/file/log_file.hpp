#pragma once
// Where the hand-written logs put their groups of frames: files that hold zeros from their first byte to
// their last before they are used, so that a sync has no block to allocate and no size to write.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace file_benchmark {

/// How a group reaches the disk.
enum class Sync : std::uint8_t {
  data,    ///< write, then fdatasync
  direct,  ///< one write past the page cache that returns when it is durable: O_DIRECT | O_DSYNC
};

inline constexpr std::size_t block_size = 4096;
inline constexpr std::size_t segment_size = std::size_t{64} << 20;

/// Memory that O_DIRECT takes.
class BlockBuffer {
 public:
  explicit BlockBuffer(std::size_t size)
      : size_(size), bytes_(static_cast<char*>(std::aligned_alloc(block_size, size))) {
    if (!bytes_) throw std::bad_alloc();
    std::memset(bytes_.get(), 0, size);
  }
  char* data() const { return bytes_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  std::size_t size_;
  std::unique_ptr<char, Free> bytes_;
};

/// A file that is filled with zeros step by step.
class ZeroedFile {
 public:
  ZeroedFile(const std::filesystem::path& path, Sync sync) {
    const int how = sync == Sync::direct ? O_DIRECT | O_DSYNC : 0;
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | how, 0600);
    filler_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_DIRECT);
    if (fd_ < 0 || filler_ < 0) throw std::system_error(errno, std::generic_category(), path.string());
    if (const int why = ::posix_fallocate(fd_, 0, segment_size); why != 0)
      throw std::system_error(why, std::generic_category(), path.string());
  }
  ~ZeroedFile() {
    ::close(fd_);
    ::close(filler_);
  }
  ZeroedFile(const ZeroedFile&) = delete;
  ZeroedFile& operator=(const ZeroedFile&) = delete;

  /// Whether it is full of zeros now.
  bool fill(const BlockBuffer& zeros) {
    write(filler_, zeros.data(), zeros.size(), filled_);
    filled_ += zeros.size();
    if (filled_ < segment_size) return false;
    if (::fdatasync(filler_) != 0) throw std::system_error(errno, std::generic_category(), "fdatasync");
    return true;
  }
  std::size_t filled() const { return filled_; }

  void write(const char* from, std::size_t size, std::size_t at) { write(fd_, from, size, at); }
  void sync() {
    if (::fdatasync(fd_) != 0) throw std::system_error(errno, std::generic_category(), "fdatasync");
  }

 private:
  static void write(int fd, const char* from, std::size_t size, std::size_t at) {
    while (size != 0) {
      const ssize_t done = ::pwrite(fd, from, size, static_cast<off_t>(at));
      if (done < 0) throw std::system_error(errno, std::generic_category(), "pwrite");
      from += done, at += static_cast<std::size_t>(done), size -= static_cast<std::size_t>(done);
    }
  }

  int fd_ = -1, filler_ = -1;
  std::size_t filled_ = 0;
};

/// One file, zeroed before the time begins, over and over: what no store could do.
class BareFiles {
 public:
  BareFiles(const std::filesystem::path& directory, Sync sync) : file_(directory / "log", sync) {
    const BlockBuffer zeros(std::size_t{1} << 20);
    while (!file_.fill(zeros)) {
    }
  }
  ZeroedFile& current() { return file_; }
  void used(std::size_t) {}
  void next() {}

 private:
  ZeroedFile file_;
};

/// A row of files. A thread fills the next one while the current one is written, in steps, as fast as that is
/// used up.
class PreparedFiles {
 public:
  PreparedFiles(std::filesystem::path directory, Sync sync)
      : directory_(std::move(directory)), sync_(sync), zeros_(step), current_(made()) {
    while (!current_->fill(zeros_)) {
    }
    thread_ = std::thread([this] { prepare(); });
  }
  ~PreparedFiles() {
    {
      const std::scoped_lock hold(mutex_);
      ends_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  ZeroedFile& current() { return *current_; }
  /// So far has the current file been written.
  void used(std::size_t size) {
    if (size < told_ + step / 2) return;
    told_ = size;
    {
      const std::scoped_lock hold(mutex_);
      used_ = size;
    }
    wake_.notify_all();
  }
  /// Goes on with the next file, for which this waits if it must.
  void next() {
    std::unique_lock hold(mutex_);
    used_ = segment_size;
    told_ = 0;
    wake_.notify_all();
    wake_.wait(hold, [&] { return ready_ != nullptr; });
    current_ = std::move(ready_);
    used_ = 0;
    hold.unlock();
    wake_.notify_all();
  }

 private:
  static constexpr std::size_t step = std::size_t{256} << 10;

  std::unique_ptr<ZeroedFile> made() {
    return std::make_unique<ZeroedFile>(directory_ / ("log." + std::to_string(number_++)), sync_);
  }
  void prepare() {
    std::unique_ptr<ZeroedFile> file;
    for (;;) {
      {
        std::unique_lock hold(mutex_);
        // A quarter ahead.
        wake_.wait(hold, [&] {
          return ends_ || (!ready_ && (!file || file->filled() <= used_ + used_ / 4 + 4 * step));
        });
        if (ends_) return;
      }
      if (!file) file = made();
      if (!file->fill(zeros_)) continue;
      {
        const std::scoped_lock hold(mutex_);
        ready_ = std::move(file);
      }
      wake_.notify_all();
    }
  }

  const std::filesystem::path directory_;
  const Sync sync_;
  const BlockBuffer zeros_;
  std::size_t number_ = 0;
  std::unique_ptr<ZeroedFile> current_;
  std::size_t told_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::size_t used_ = 0;
  std::unique_ptr<ZeroedFile> ready_;
  bool ends_ = false;
  std::thread thread_;
};

/// Gathers frames and makes them durable together. For one thread at a time.
template <class Files>
class GroupWriter {
 public:
  GroupWriter(const std::filesystem::path& directory, Sync sync)
      : sync_(sync), files_(directory, sync), buffer_(std::size_t{4} << 20) {}

  void add(std::string_view frame) {
    if (used_ + frame.size() > buffer_.size()) commit();
    std::memcpy(buffer_.data() + used_, frame.data(), frame.size());
    used_ += frame.size();
  }

  /// When it returns, all that was added is on the disk.
  void commit() {
    if (at_ + buffer_.size() > segment_size) {
      files_.next();
      std::memmove(buffer_.data(), buffer_.data() + carried_, used_ - carried_);
      used_ -= carried_;
      at_ = carried_ = 0;
    }
    if (sync_ == Sync::data) {
      files_.current().write(buffer_.data(), used_, at_);
      files_.current().sync();
      at_ += used_;
      used_ = 0;
    } else {
      // Whole blocks; the last one is written again with what follows in it.
      const std::size_t blocks = (used_ + block_size - 1) / block_size * block_size;
      std::memset(buffer_.data() + used_, 0, blocks - used_);
      files_.current().write(buffer_.data(), blocks, at_);
      const std::size_t whole = used_ / block_size * block_size;
      carried_ = used_ - whole;
      std::memcpy(buffer_.data(), buffer_.data() + whole, carried_);
      at_ += whole;
      used_ = carried_;
    }
    files_.used(at_);
  }

 private:
  const Sync sync_;
  Files files_;
  BlockBuffer buffer_;
  std::size_t used_ = 0;
  std::size_t carried_ = 0;  // of that, what is on the disk already
  std::size_t at_ = 0;       // of the buffer's begin, in the file
};

}  // namespace file_benchmark
