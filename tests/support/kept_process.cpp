#include "support/kept_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace support {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Whether another user can come to what is in a directory.
bool is_passable(std::filesystem::path directory) {
  for (directory = std::filesystem::canonical(directory);; directory = directory.parent_path()) {
    struct ::stat status {};
    if (::stat(directory.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
    if (directory == directory.root_path()) return true;
  }
}

bool is_free(int port) {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = ::bind(probe, reinterpret_cast<const ::sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return bound;
}

/// A socket whose abstract name is ours while it is open: -1 where another process has it.
int hold_name(const std::string& name) {
  const int held = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const auto size = static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(held, reinterpret_cast<const ::sockaddr*>(&address), size) == 0) return held;
  ::close(held);
  return -1;
}

std::string end_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (text.size() > 2000) text.erase(0, text.size() - 2000);
  return text;
}

}  // namespace

std::string unprivileged_user() {
  if (::geteuid() != 0) return "";
  for (const char* const name : {"postgres", "nobody"})
    if (::getpwnam(name) != nullptr) return name;
  throw std::runtime_error("this is root, and there is neither a user \"postgres\" nor \"nobody\" to run as");
}

std::filesystem::path make_directory_for_server(Place place) {
  const std::string user = unprivileged_user();
  std::filesystem::path where = std::filesystem::temp_directory_path();
  if (!user.empty() && !is_passable(where)) where = "/tmp";
  std::error_code none;
  const std::filesystem::path memory = "/dev/shm";
  // A container often has 64 MB there, which one server fills.
  if (place == Place::memory && ::access(memory.c_str(), W_OK) == 0 &&
      std::filesystem::space(memory, none).available > (std::uintmax_t{1} << 30U) && !none)
    where = memory;
  std::string name = (where / "paidonce-server-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail(name);
  if (!user.empty()) {
    const ::passwd* const who = ::getpwnam(user.c_str());
    if (::chown(name.c_str(), who->pw_uid, who->pw_gid) != 0) fail(name);
  }
  return name;
}

ReservedPort::ReservedPort() {
  std::random_device random;
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int port = 20'000 + static_cast<int>(random() % 12'000);
    held_ = hold_name("paidonce-port-" + std::to_string(port));
    if (held_ < 0) continue;
    if (is_free(port)) {
      number_ = port;
      return;
    }
    ::close(held_);
  }
  throw std::runtime_error("no port of the loopback interface is free");
}

ReservedPort::~ReservedPort() {
  if (held_ >= 0) ::close(held_);
}

void run_to_end(const std::vector<std::string>& command) {
  KeptProcess process(make_directory_for_server(), command);
  process.run();
  if (process.wait() != 0) throw std::runtime_error(command[0] + " failed:\n" + process.log());
}

KeptProcess::KeptProcess(std::filesystem::path directory, const std::vector<std::string>& command,
                         pid_t until, std::size_t small_disk)
    : directory_(std::move(directory)) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) fail("socketpair");
  const std::string user = unprivileged_user();
  std::vector<std::string> all{SERVER_KEEPER,         directory_.string(),        user.empty() ? "-" : user,
                               std::to_string(until), std::to_string(small_disk), "--"};
  all.insert(all.end(), command.begin(), command.end());
  std::vector<char*> arguments;
  for (std::string& argument : all) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  // Nothing of ours stays open in it: whoever waits for the end of our output is not to wait for a server.
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string log = (directory_ / "keeper").string();
  posix_spawn_file_actions_adddup2(&actions, ends[1], 3);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const int failure = ::posix_spawn(&keeper_, SERVER_KEEPER, &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  control_ = ends[0];
  outlives_ = until != 0;
  try {
    if (failure != 0) throw std::system_error(failure, std::generic_category(), SERVER_KEEPER);
    ask('?');
  } catch (...) {
    // Nobody keeps it.
    ::close(control_);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
    throw;
  }
}

KeptProcess::~KeptProcess() {
  ::close(control_);
  if (outlives_) return;
  while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::string KeptProcess::ask(char letter) {
  const std::lock_guard lock(mutex_);
  char answer[65536];
  if (::send(control_, &letter, 1, MSG_NOSIGNAL) != 1) fail("server_keeper has ended");
  ssize_t size = 0;
  do size = ::recv(control_, answer, sizeof answer, 0);
  while (size < 0 && errno == EINTR);
  if (size <= 0) fail("server_keeper has ended");
  return {answer, static_cast<std::size_t>(size)};
}

void KeptProcess::run() { ask('r'); }

int KeptProcess::wait() { return std::stoi(ask('w')); }

void KeptProcess::end(int signal) { ask(signal == SIGINT ? 'i' : signal == SIGQUIT ? 'q' : 'k'); }

bool KeptProcess::running() { return ask('?') == "running"; }

std::vector<pid_t> KeptProcess::processes() {
  std::istringstream ids(ask('a'));
  std::vector<pid_t> found;
  for (pid_t id = 0; ids >> id;) found.push_back(id);
  return found;
}

std::filesystem::path KeptProcess::small_disk() { return ask('d') == "yes" ? directory_ / "small" : ""; }

std::string KeptProcess::log() const { return end_of(directory_ / "log"); }

}  // namespace support
