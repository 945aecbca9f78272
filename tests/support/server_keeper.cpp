// server_keeper <directory> <user> <process> <bytes> -- <command>...
//
// Runs a server for a test and takes it down when the test is gone, however it ended. On descriptor 3 it is
// told what to do, a letter each, and answers "<exit status>" or "running" to every one: `r` run the command;
// `w` wait for its end; `i`, `q` send SIGINT or SIGQUIT and wait for the end; `k` kill it and all its
// children with SIGKILL; `?` only answers; `a` answers with the ids of all its processes. When the other end
// of the descriptor is closed the server is shut down and the directory removed; where a process is given
// (not 0), when that process has ended or SIGTERM comes.
//
// Where bytes are given (not 0), <directory>/small is a disk in memory of that size, which only the server's
// processes see and which goes with them; if the kernel lets us: `d` answers with "yes" or "no".
//
// The server runs as the user (`-`: as whoever we are), in a session of its own, its output in
// <directory>/log.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/process_tree.hpp"

namespace {

constexpr int control = 3;

struct Keeper {
  std::filesystem::path directory;
  const ::passwd* user = nullptr;
  std::vector<char*> command;
  pid_t server = -1;
  int status = 0;
  bool has_small_disk = false;

  /// In a namespace of our own: there is nothing to clean up, however we end.
  bool mount_small_disk(const char* bytes) const {
    const std::filesystem::path place = directory / "small";
    std::filesystem::create_directory(place);
    const uid_t uid = user != nullptr ? user->pw_uid : ::getuid();
    const gid_t gid = user != nullptr ? user->pw_gid : ::getgid();
    if (::geteuid() == 0) {
      if (::unshare(CLONE_NEWNS) != 0) return false;
    } else {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
      const auto write = [](const char* file, const std::string& text) { std::ofstream(file) << text; };
      write("/proc/self/setgroups", "deny");
      write("/proc/self/uid_map", std::to_string(uid) + ' ' + std::to_string(uid) + " 1");
      write("/proc/self/gid_map", std::to_string(gid) + ' ' + std::to_string(gid) + " 1");
    }
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string options = "mode=0700,size=" + std::string(bytes) + ",uid=" + std::to_string(uid) +
                                ",gid=" + std::to_string(gid);
    return ::mount("none", place.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }

  void run() {
    reap(0);
    const pid_t keeper = ::getpid();
    server = ::fork();
    if (server != 0) return;
    ::setsid();
    const int log = ::open((directory / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    ::close(log);
    ::close(control);
    ::sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    // What whoever started the tests ignores (nohup does SIGQUIT) a server could not be stopped by.
    for (const int number : {SIGINT, SIGHUP, SIGPIPE, SIGQUIT, SIGTERM}) ::signal(number, SIG_DFL);
    if (user != nullptr &&
        (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) {
      std::perror("server_keeper: becoming another user");
      std::_Exit(126);
    }
    // After the change of user, which forgets it.
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (::getppid() != keeper) std::_Exit(125);
    ::execv(command[0], command.data());
    std::perror(command[0]);
    std::_Exit(127);
  }

  /// Takes note of what ended. The children of a server that died are ours.
  void reap(int how) {
    for (;;) {
      int ended = 0;
      const pid_t child = ::waitpid(-1, &ended, how);
      if (child < 0 && errno == EINTR) continue;
      if (child <= 0) return;
      if (child != server) continue;
      server = -1;
      status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    }
  }

  void end(int signal) {
    if (server > 0 && signal != SIGKILL) {
      ::kill(server, SIGCONT);
      ::kill(server, signal);
    }
    if (signal == SIGKILL) support::kill_tree(::getpid());
    reap(0);
  }

  void remove() {
    // A server that was killed leaves a segment of shared memory, whose id is in the last but one line.
    std::FILE* const pids = std::fopen((directory / "data" / "postmaster.pid").c_str(), "r");
    if (pids != nullptr) {
      char line[512];
      for (int number = 1; std::fgets(line, sizeof line, pids) != nullptr; ++number) {
        int key = 0, id = 0;
        if (number == 7 && std::sscanf(line, "%d %d", &key, &id) == 2) ::shmctl(id, IPC_RMID, nullptr);
      }
      std::fclose(pids);
    }
    if (has_small_disk) ::umount2((directory / "small").c_str(), MNT_DETACH);
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
  }

  void answer(char letter) const {
    std::string text = server > 0 ? "running" : std::to_string(status);
    if (letter == 'd') text = has_small_disk ? "yes" : "no";
    if (letter == 'a') {
      text.assign(1, ' ');  // optimised, g++ 12 warns of an assignment of " "
      for (const pid_t id : support::descendants(::getpid())) text += std::to_string(id) + ' ';
    }
    if (::send(control, text.data(), text.size(), MSG_NOSIGNAL) < 0) return;
  }
};

volatile std::sig_atomic_t told_to_end = 0;

bool has_ended(pid_t process) { return ::kill(process, 0) != 0 && errno == ESRCH; }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7 || std::string_view(argv[5]) != "--") return 2;
  Keeper keeper;
  keeper.directory = argv[1];
  if (std::string_view(argv[2]) != "-") keeper.user = ::getpwnam(argv[2]);
  const pid_t owner = std::atoi(argv[3]);
  for (int at = 6; at < argc; ++at) keeper.command.push_back(argv[at]);
  keeper.command.push_back(nullptr);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  for (const int number : {SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = [](int) { told_to_end = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  if (::chdir("/") != 0) return 2;
  if (std::string_view(argv[4]) != "0") keeper.has_small_disk = keeper.mount_small_disk(argv[4]);

  bool connected = true;
  while (told_to_end == 0 && (connected || (owner != 0 && !has_ended(owner)))) {
    // An owner is looked at twice a second; a command is there at once.
    ::pollfd readable{connected ? control : -1, POLLIN, 0};
    ::poll(&readable, 1, 500);
    keeper.reap(WNOHANG);
    if (readable.revents == 0) continue;
    char letter = 0;
    if (::recv(control, &letter, 1, 0) <= 0) {
      connected = false;
      continue;
    }
    switch (letter) {
      case 'r': keeper.run(); break;
      case 'w': keeper.reap(0); break;
      case 'i': keeper.end(SIGINT); break;
      case 'q': keeper.end(SIGQUIT); break;
      case 'k': keeper.end(SIGKILL); break;
      default: break;
    }
    keeper.answer(letter);
  }
  // At once, and without a checkpoint: nobody needs the data any more.
  if (keeper.server > 0) {
    ::kill(keeper.server, SIGCONT);
    ::kill(keeper.server, SIGQUIT);
    for (int times = 0; times < 400 && keeper.server > 0; ++times) {
      ::poll(nullptr, 0, 5);
      keeper.reap(WNOHANG);
    }
  }
  keeper.end(SIGKILL);
  keeper.remove();
  return 0;
}
