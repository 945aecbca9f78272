// postgres_fixture start|stop <file>
//
// The PostgreSQL server that the tests of one run of CTest share. `start` leaves its port and directory in
// the file; the server ends with `stop`, or with whoever ran `start`, which is CTest.

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <poll.h>
#include <unistd.h>

#include "support/postgres_server.hpp"

namespace {

/// Whether this process is one of ours still. One that has ended has no command line any more.
bool is_keeper(pid_t id) {
  std::string command;
  std::getline(std::ifstream("/proc/" + std::to_string(id) + "/cmdline"), command, '\0');
  return command.ends_with("server_keeper");
}

void stop(const std::filesystem::path& file) {
  int port = 0;
  std::filesystem::path directory;
  pid_t keeper = 0;
  if (!(std::ifstream(file) >> port >> directory >> keeper)) return;
  if (is_keeper(keeper)) ::kill(keeper, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (is_keeper(keeper) && std::chrono::steady_clock::now() < deadline) ::poll(nullptr, 0, 5);
  if (is_keeper(keeper)) throw std::runtime_error("the server does not end");
  std::filesystem::remove(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::filesystem::path file = argv[2];
  try {
    stop(file);  // of a run that was killed
    if (std::string_view(argv[1]) == "stop") return 0;
    PostgresServer server({{"max_connections", "200"}}, support::Place::memory, ::getppid());
    std::ofstream out(file.string() + ".new");
    out << server.port() << '\n' << server.socket_directory() << '\n' << server.keeper() << '\n';
    out.close();
    std::filesystem::rename(file.string() + ".new", file);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "postgres_fixture: %s\n", error.what());
    return 1;
  }
}
