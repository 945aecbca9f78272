#pragma once
// What tells one life of one process on this machine from every other: the kernel's boot id, the process's
// number and the moment it began. A number alone is given out again. And what a process has opened.

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <string>
#include <string_view>

#include <paidonce/digest/sha256.hpp>
#include <paidonce/stores/file/format.hpp>

namespace paidonce::inline v1::detail {

inline std::string read_small_file(const char* path) {
  std::string text;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char part[512];
  for (ssize_t got; (got = ::read(fd, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(got));
  ::close(fd);
  return text;
}

/// Zeros, which prove nothing, where the system does not say (no /proc).
inline file_format::ProcessId this_process() {
  file_format::ProcessId id{};
  std::string life = read_small_file("/proc/sys/kernel/random/boot_id");
  const std::string stat = read_small_file("/proc/self/stat");
  // The name of the program, in parentheses, may hold spaces; the start time is the 20th field behind it.
  std::size_t at = stat.rfind(')');
  for (int field = 0; field < 20 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (life.empty() || at == std::string::npos) return id;
  life += stat.substr(0, stat.find(' '));
  life += stat.substr(at, stat.find(' ', at + 1) - at);
  Sha256 digest;
  digest.update(life);
  const auto bytes = digest.finish();
  std::memcpy(id.data(), bytes.data(), id.size());
  return id;
}

/// Whether this process, or one that it was forked from, has had this store open before. From now on it has.
/// Never freed, and without a lock that a fork could leave locked. Throws std::bad_alloc.
inline bool opened_before(const file_format::StoreId& store) {
  struct Opened {
    file_format::StoreId store;
    const Opened* before;
  };
  static std::atomic<const Opened*> last{nullptr};
  const Opened* seen = last.load();
  for (const Opened* at = seen; at; at = at->before)
    if (at->store == store) return true;
  Opened* const opened = new Opened{store, seen};
  while (!last.compare_exchange_weak(opened->before, opened)) {
  }
  return false;
}

}  // namespace paidonce::inline v1::detail
