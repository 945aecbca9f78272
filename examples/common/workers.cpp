#include "workers.hpp"

#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <map>
#include <stdexcept>
#include <system_error>

namespace common {

namespace {

/// What was started and has not been waited for. None of it outlives this.
class Children {
 public:
  explicit Children(std::vector<std::string> command) : command_(std::move(command)) {
    sigemptyset(&ended_);
    sigaddset(&ended_, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended_, &before_);
  }
  ~Children() {
    for (const auto& [pid, number] : running_) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  void start(unsigned number) {
    std::vector<std::string> command = command_;
    command.push_back(std::to_string(number));
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &before_);
    pid_t pid = 0;
    const int failure = posix_spawn(&pid, "/proc/self/exe", nullptr, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    if (failure != 0) throw std::system_error(failure, std::generic_category(), "starting a worker");
    running_[pid] = number;
  }
  bool empty() const { return running_.empty(); }

  /// Waits until one may have ended, or so long.
  void wait(std::chrono::milliseconds time) const {
    const timespec until{static_cast<time_t>(time.count() / 1000),
                         static_cast<long>(time.count() % 1000 * 1'000'000)};
    sigtimedwait(&ended_, nullptr, &until);
  }
  void kill_one(std::mt19937& random) const {
    auto victim = running_.begin();
    std::advance(victim, std::uniform_int_distribution<std::size_t>(0, running_.size() - 1)(random));
    ::kill(victim->first, SIGKILL);
  }
  /// Those that were killed are started again.
  void replace_the_dead() {
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      const unsigned number = running_.at(pid);
      running_.erase(pid);
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        start(number);
      else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error("worker " + std::to_string(number) + " failed");
    }
  }

 private:
  const std::vector<std::string> command_;
  std::map<pid_t, unsigned> running_;
  sigset_t ended_{}, before_{};
};

}  // namespace

void Workers::run(const std::vector<std::string>& command, unsigned workers, unsigned kills, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> pauses(20, 150);
  Children children(command);
  for (unsigned number = 0; number < workers; ++number) children.start(number);
  for (auto pause = std::chrono::milliseconds(pauses(random)); !children.empty();) {
    const auto before = std::chrono::steady_clock::now();
    children.wait(kills > 0 ? pause : std::chrono::milliseconds(1000));
    children.replace_the_dead();
    pause -= std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
    if (kills == 0 || pause.count() > 0 || children.empty()) continue;
    children.kill_one(random);
    --kills;
    pause = std::chrono::milliseconds(pauses(random));
  }
}

void Workers::end_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) std::_Exit(1);
}

}  // namespace common
