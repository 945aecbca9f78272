#pragma once
// A file policy around another one, in which a chosen call fails, does half of its work, or is the last one
// of the process.
//
//   FaultPlan plan;
//   plan.inject({.call = FileCall::write, .at = 3, .does = FileFault::Does::fails, .error = ENOSPC});
//   FaultyFiles files(PosixFiles(), plan);

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/file/files.hpp>

namespace support {

enum class FileCall : std::uint8_t {
  open_at,
  make_directory,
  read,
  write,
  sync_data,
  sync,
  truncate,
  rename_at,
  unlink_at,
  lock,
  status,
  status_of,
  is_on_network,
  list,
  close,
};
inline constexpr std::size_t file_calls = 15;

inline const char* to_string(FileCall call) {
  constexpr std::array<const char*, file_calls> names = {
      "open_at",   "make_directory", "read",   "write",     "sync_data",     "sync", "truncate", "rename_at",
      "unlink_at", "lock",           "status", "status_of", "is_on_network", "list", "close"};
  return names.at(static_cast<std::size_t>(call));
}

struct FileFault {
  static constexpr std::size_t for_ever = SIZE_MAX;
  enum class Does : std::uint8_t {
    fails,         ///< with `error`, having done nothing; a sync has lost its bytes
    does_half,     ///< of a write or a read, and says so; other calls are made as ever
    dies_before,   ///< the process ends before the call is carried out
    dies_halfway,  ///< of a write: half of it was carried out; else as `dies_before`
    dies_within,   ///< of a write: it is in the cache, but O_DSYNC has not synced it; else as `dies_before`
    dies_after,    ///< it was carried out, and nobody was told
  };
  std::optional<FileCall> call = {};  ///< calls of this kind are counted; all of them where empty
  std::size_t at = 1;                 ///< the first one that is hit
  std::size_t times = 1;              ///< and so many in all
  Does does = Does::fails;
  int error = EIO;
};

/// Counts calls, and knows which of them are hit. Copies share their counts.
class FaultPlan {
 public:
  FaultPlan() : state_(std::make_shared<State>()) {}

  /// Forgets all counts and what was injected before.
  void inject(const FileFault& fault) {
    const std::lock_guard lock(state_->mutex);
    *state_->fault = fault;
    state_->is_set = true;
    state_->counts = {};
    state_->hits = 0;
  }
  void clear() {
    const std::lock_guard lock(state_->mutex);
    state_->is_set = false;
    state_->counts = {};
    state_->hits = 0;
  }
  /// What dying is; by default every later call fails with EIO and does nothing, as if nobody made it.
  void on_death(std::function<void()> die) { state_->die = std::move(die); }

  std::size_t hits() const {
    const std::lock_guard lock(state_->mutex);
    return state_->hits;
  }
  bool dead() const {
    const std::lock_guard lock(state_->mutex);
    return state_->dead;
  }
  std::size_t count(FileCall call) const {
    const std::lock_guard lock(state_->mutex);
    return state_->counts[static_cast<std::size_t>(call)];
  }
  std::size_t count() const {
    const std::lock_guard lock(state_->mutex);
    return total();
  }

  // For FaultyFiles:

  /// What the next call of a kind does; empty: what it always does.
  std::optional<FileFault> next(FileCall call) {
    const std::lock_guard lock(state_->mutex);
    if (state_->dead) return FileFault{.does = FileFault::Does::fails, .error = EIO};
    ++state_->counts[static_cast<std::size_t>(call)];
    const FileFault& fault = *state_->fault;
    if (!state_->is_set || (fault.call && *fault.call != call)) return std::nullopt;
    const std::size_t number = fault.call ? state_->counts[static_cast<std::size_t>(call)] : total();
    if (number < fault.at || number - fault.at >= fault.times) return std::nullopt;
    ++state_->hits;
    // Threads that come after the last call of a process must not get through any more.
    if (fault.does >= FileFault::Does::dies_before) state_->dead = true;
    return fault;
  }
  void die() {
    if (state_->die) state_->die();
  }

 private:
  struct State {
    mutable std::mutex mutex;
    std::unique_ptr<FileFault> fault = std::make_unique<FileFault>();
    bool is_set = false, dead = false;
    std::array<std::size_t, file_calls> counts = {};
    std::size_t hits = 0;
    std::function<void()> die = {};
  };
  std::size_t total() const {
    std::size_t sum = 0;
    for (const std::size_t count : state_->counts) sum += count;
    return sum;
  }

  std::shared_ptr<State> state_;
};

template <paidonce::FilePolicy Under>
class FaultyFiles {
 public:
  FaultyFiles(Under under, FaultPlan plan) : under_(std::move(under)), plan_(std::move(plan)) {}

  int open_at(int directory, const char* name, int flags) {
    return plain(FileCall::open_at, [&] { return under_.open_at(directory, name, flags); });
  }
  int make_directory(const char* path) {
    return plain(FileCall::make_directory, [&] { return under_.make_directory(path); });
  }
  ssize_t read(int fd, void* to, std::size_t size, off_t at) {
    const auto fault = plan_.next(FileCall::read);
    if (fault && fault->does == FileFault::Does::does_half) size = half_of(size);
    return carry_out(fault, [&] { return under_.read(fd, to, size, at); });
  }
  ssize_t write(int fd, const void* from, std::size_t size, off_t at) {
    const auto fault = plan_.next(FileCall::write);
    if (fault) {
      const std::size_t half = half_of(size);
      switch (fault->does) {
        case FileFault::Does::does_half: return under_.write(fd, from, half, at);
        case FileFault::Does::dies_halfway: write_unsynced(fd, from, half, at); break;
        case FileFault::Does::dies_within: write_unsynced(fd, from, size, at); break;
        default: break;
      }
    }
    return carry_out(fault, [&] { return under_.write(fd, from, size, at); });
  }
  int sync_data(int fd) {
    return sync_call(FileCall::sync_data, fd, [&] { return under_.sync_data(fd); });
  }
  int sync(int fd) {
    return sync_call(FileCall::sync, fd, [&] { return under_.sync(fd); });
  }
  int truncate(int fd, off_t size) {
    return plain(FileCall::truncate, [&] { return under_.truncate(fd, size); });
  }
  int rename_at(int directory, const char* from, const char* to) {
    return plain(FileCall::rename_at, [&] { return under_.rename_at(directory, from, to); });
  }
  int unlink_at(int directory, const char* name) {
    return plain(FileCall::unlink_at, [&] { return under_.unlink_at(directory, name); });
  }
  int lock(int fd, int how) {
    return plain(FileCall::lock, [&] { return under_.lock(fd, how); });
  }
  int status(int fd, struct ::stat& status) {
    return plain(FileCall::status, [&] { return under_.status(fd, status); });
  }
  int status_of(const char* path, struct ::stat& status) {
    return plain(FileCall::status_of, [&] { return under_.status_of(path, status); });
  }
  int is_on_network(int fd) {
    return plain(FileCall::is_on_network, [&] { return under_.is_on_network(fd); });
  }
  int list(int fd, std::vector<std::string>& names) {
    return plain(FileCall::list, [&] { return under_.list(fd, names); });
  }
  /// A close that fails has closed nevertheless, as on Linux.
  int close(int fd) {
    const auto fault = plan_.next(FileCall::close);
    if (fault && fault->does == FileFault::Does::fails && !plan_.dead()) under_.close(fd);
    return carry_out(fault, [&] { return under_.close(fd); });
  }

 private:
  template <class Call>
  int plain(FileCall kind, const Call& call) {
    return carry_out(plan_.next(kind), call);
  }
  template <class Call>
  int sync_call(FileCall kind, int fd, const Call& call) {
    const auto fault = plan_.next(kind);
    if constexpr (requires { under_.fail_sync(fd); })
      if (fault && fault->does == FileFault::Does::fails && fault->error != EINTR && !plan_.dead())
        under_.fail_sync(fd);
    return carry_out(fault, call);
  }
  /// In whole sectors where all of it is: direct writes have no others.
  static std::size_t half_of(std::size_t size) {
    const std::size_t half = (size + 1) / 2;
    return size % 512 == 0 ? (half + 511) / 512 * 512 : half;
  }
  void write_unsynced(int fd, const void* from, std::size_t size, off_t at) {
    if constexpr (requires { under_.write_unsynced(fd, from, size, at); })
      static_cast<void>(under_.write_unsynced(fd, from, size, at));
    else
      static_cast<void>(under_.write(fd, from, size, at));
  }
  template <class Call>
  auto carry_out(const std::optional<FileFault>& fault, const Call& call) -> decltype(call()) {
    if (!fault || fault->does == FileFault::Does::does_half) return call();
    if (fault->does == FileFault::Does::dies_after) call();
    if (fault->does != FileFault::Does::fails) plan_.die();
    errno = fault->error;
    return -1;
  }

  Under under_;
  FaultPlan plan_;
};

static_assert(paidonce::FilePolicy<FaultyFiles<paidonce::PosixFiles>>);

}  // namespace support
