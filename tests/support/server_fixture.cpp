#include "support/server_fixture.hpp"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include <poll.h>
#include <unistd.h>

namespace support {
namespace {

/// Whether this process is one of ours still. One that has ended has no command line any more.
bool is_keeper(pid_t id) {
  std::string command;
  std::getline(std::ifstream("/proc/" + std::to_string(id) + "/cmdline"), command, '\0');
  return command.ends_with("server_keeper");
}

std::vector<FixtureServer> read(const std::filesystem::path& file) {
  std::vector<FixtureServer> servers;
  std::ifstream in(file);
  for (FixtureServer server; in >> server.port >> server.directory >> server.keeper;)
    servers.push_back(server);
  return servers;
}

void stop(const std::filesystem::path& file) {
  const std::vector<FixtureServer> servers = read(file);
  for (const FixtureServer& server : servers)
    if (is_keeper(server.keeper)) ::kill(server.keeper, SIGTERM);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (const FixtureServer& server : servers) {
    while (is_keeper(server.keeper) && std::chrono::steady_clock::now() < deadline) ::poll(nullptr, 0, 5);
    if (is_keeper(server.keeper)) throw std::runtime_error("the server does not end");
  }
  std::filesystem::remove(file);
}

}  // namespace

int run_fixture(int argc, char** argv, const std::function<std::vector<FixtureServer>(pid_t until)>& start) {
  if (argc != 3) return 2;
  const std::filesystem::path file = argv[2];
  try {
    stop(file);  // of a run that was killed
    if (std::string_view(argv[1]) == "stop") return 0;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream out(file.string() + ".new");
    for (const FixtureServer& server : start(::getppid()))
      out << server.port << '\n' << server.directory << '\n' << server.keeper << '\n';
    out.close();
    std::filesystem::rename(file.string() + ".new", file);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
    return 1;
  }
}

std::vector<FixtureServer> of_fixture(const std::string& kind) {
  const char* const directory = std::getenv("PAIDONCE_SERVERS");
  if (directory == nullptr) return {};
  std::vector<FixtureServer> servers = read(std::filesystem::path(directory) / (kind + ".server"));
  if (servers.empty())
    throw std::runtime_error("the fixture left no server in " + std::string(directory) + '/' + kind +
                             ".server: does paidonce_test(...) ask for it?");
  return servers;
}

}  // namespace support
