#pragma once
// A server that a test runs: as an unprivileged user, in a directory of its own, gone when the test is gone,
// also where the test is killed. By the program server_keeper.

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include <sys/types.h>

namespace support {

/// The user that servers run as: `postgres` or `nobody` where the test is root, which PostgreSQL refuses to
/// be; else empty, for whoever runs the test.
std::string unprivileged_user();

enum class Place {
  memory,  ///< in /dev/shm where that has room: a process that is killed loses nothing there, and a sync
           ///< costs nothing
  disk,    ///< in $TMPDIR or /tmp: for measurements
};

/// A directory of that user's, empty, mode 0700. Whoever takes it removes it.
std::filesystem::path make_directory_for_server(Place place = Place::memory);

/// A port of the loopback interface that nobody listens on, which no other test that asks here is given as
/// long as the reservation lives; below those that the kernel gives away by itself.
class ReservedPort {
 public:
  ReservedPort();
  ~ReservedPort();
  ReservedPort(const ReservedPort&) = delete;
  ReservedPort& operator=(const ReservedPort&) = delete;
  int number() const noexcept { return number_; }

 private:
  int number_ = 0, held_ = -1;
};

/// Runs `command[0]` (a path), waits for it, and throws std::runtime_error with what it wrote unless it ends
/// with 0. As the unprivileged user.
void run_to_end(const std::vector<std::string>& command);

class KeptProcess {
 public:
  /// Takes the directory, and does not start anything yet. Where `until` is a process (not 0), the server
  /// lives as long as that one, and not only as long as this object.
  /// Where `small_disk` is given (not 0), a disk of so many bytes is made for it: see small_disk().
  KeptProcess(std::filesystem::path directory, const std::vector<std::string>& command, pid_t until = 0,
              std::size_t small_disk = 0);
  /// Shuts down at once, and removes the directory.
  ~KeptProcess();
  KeptProcess(const KeptProcess&) = delete;
  KeptProcess& operator=(const KeptProcess&) = delete;

  void run();
  /// Its exit status, or 128 and the number of a signal, once all of its processes have ended.
  int wait();
  /// SIGINT, SIGQUIT: waits until all processes have ended. SIGKILL: of all processes.
  void end(int signal);
  bool running();
  /// All processes of the server.
  std::vector<pid_t> processes();
  /// A directory on a disk of its own, which only the server's processes see; empty where the kernel lets
  /// nobody but the machine's administrator have one.
  std::filesystem::path small_disk();
  /// What it wrote: the last 2000 bytes.
  std::string log() const;

  const std::filesystem::path& directory() const noexcept { return directory_; }
  pid_t keeper() const noexcept { return keeper_; }
  /// Whether it was given a process to live as long as.
  bool outlives() const noexcept { return outlives_; }

 private:
  std::string ask(char letter);

  std::filesystem::path directory_;
  bool outlives_ = false;
  pid_t keeper_ = -1;
  int control_ = -1;
  std::mutex mutex_;
};

}  // namespace support
