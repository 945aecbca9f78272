#pragma once
// Lets a test act at the Nth change of some files, while a program that changes them runs.

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <system_error>
#include <vector>

#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.hpp"

namespace integration {

/// Counts writes to files, and files that come, go or are renamed in directories, from its construction on.
/// The kernel may tell of several in a row as one.
class Changes {
 public:
  explicit Changes(const std::vector<std::filesystem::path>& watched)
      : events_(checked(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK), "inotify_init1")) {
    for (const auto& path : watched)
      checked(::inotify_add_watch(events_, path.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE),
              "inotify_add_watch");
  }
  ~Changes() { ::close(events_); }
  Changes(const Changes&) = delete;
  Changes& operator=(const Changes&) = delete;

  /// Returns when there were so many, or when the program has ended; whether there were.
  bool await(std::size_t changes, const Process& program) {
    const int ended = checked(static_cast<int>(::syscall(SYS_pidfd_open, program.id(), 0)), "pidfd_open");
    pollfd either[] = {{events_, POLLIN, 0}, {ended, POLLIN, 0}};
    while (seen_ < changes) {
      if (::poll(either, 2, -1) < 0 && errno != EINTR) break;
      read_events();
      if (either[1].revents != 0) break;
    }
    ::close(ended);
    return seen_ >= changes;
  }

 private:
  static int checked(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
  }

  void read_events() {
    alignas(inotify_event) char buffer[4096];
    for (ssize_t size; (size = ::read(events_, buffer, sizeof buffer)) > 0;)
      for (ssize_t at = 0; at < size; ++seen_)
        at += static_cast<ssize_t>(sizeof(inotify_event) +
                                   reinterpret_cast<const inotify_event*>(buffer + at)->len);
  }

  int events_;
  std::size_t seen_ = 0;
};

}  // namespace integration
