#pragma once
// Servers that the tests of one run of CTest share: a program starts them, `<fixture> start <file>`, leaves
// in the file where they are, and ends them, `<fixture> stop <file>`. They end with whoever ran `start`, too,
// which is CTest. Tests find the files in the directory that the environment's PAIDONCE_SERVERS names;
// without it a process starts servers of its own.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace support {

struct FixtureServer {
  int port = 0;
  std::filesystem::path directory = {};
  pid_t keeper = 0;
};

/// A fixture's main(). `start` makes servers that live as long as that process.
int run_fixture(int argc, char** argv, const std::function<std::vector<FixtureServer>(pid_t until)>& start);

/// The servers in the file "<kind>.server"; empty where this run has no fixtures. std::runtime_error where it
/// has fixtures, and not this one: the program has to say so in paidonce_test(...).
std::vector<FixtureServer> of_fixture(const std::string& kind);

}  // namespace support
