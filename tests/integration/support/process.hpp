#pragma once
// Programs that a test starts, and a directory of its own for their files.

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/scratch_directory.hpp"

namespace integration {

using TemporaryDirectory = ScratchDirectory;

inline std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A running program. One thread may wait for it while others send signals, as long as they know that it has
/// not been waited for yet.
class Process {
 public:
  /// `out`, `err` and `in` are descriptors that become its standard output, error and input. `environment` is
  /// added to ours.
  Process(const std::vector<std::string>& command, int out, int err,
          const std::vector<std::string>& environment = {}, int in = STDIN_FILENO) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (in != STDIN_FILENO) posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    std::vector<char*> arguments, variables;
    for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
    for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
    arguments.push_back(nullptr);
    variables.push_back(nullptr);
    const int failure =
        ::posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), variables.data());
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) throw std::system_error(failure, std::generic_category(), command[0]);
  }
  ~Process() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }

  /// Returns when it has ended; its status is still to be had, and its number is not given to another
  /// process.
  void wait_without_reaping() const {
    siginfo_t info;
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
  }

  /// Its exit status, or 128 and the number of the signal that ended it, as a shell has it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
};

struct Finished {
  int status = -1;
  std::string out, err;
};

/// Runs a program to its end. `in` is its standard input.
inline Finished run(const std::vector<std::string>& command, int in = STDIN_FILENO) {
  const TemporaryDirectory files;
  const auto open = [&](const char* name) {
    return ::open((files / name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  };
  const int out = open("out"), err = open("err");
  Finished finished;
  {
    Process process(command, out, err, {}, in);
    finished.status = process.wait();
  }
  ::close(out);
  ::close(err);
  finished.out = content_of(files / "out");
  finished.err = content_of(files / "err");
  return finished;
}

}  // namespace integration
