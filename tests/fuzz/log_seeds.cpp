// log_seeds <directory>: logs for the fuzzer to begin with, each as the store may leave it.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz/log_input.hpp"
#include "support/log_builder.hpp"

using support::LogBuilder;

namespace {

LogBuilder small() {
  LogBuilder log(512);
  log.put("a", "r");
  log.put("b", "");
  return log;
}

LogBuilder rolled_over() {
  LogBuilder log = small();
  log.roll_over();
  log.erase("a");
  log.group({LogBuilder::frame_of("c"), LogBuilder::frame_of("d")});
  return log;
}

LogBuilder opened_again() {
  LogBuilder log = small();
  log.reopen(2, {LogBuilder::frame_of("b", "")});
  log.put("c");
  log.close();
  return log;
}

LogBuilder trimmed() {
  LogBuilder log = rolled_over();
  log.roll_over();
  log.trim(1);
  log.put("b");
  log.prepare();
  return log;
}

LogBuilder wide() {
  LogBuilder log(512);
  paidonce::Record record;
  record.attempts = 100'000;
  record.note = "note";
  log.group({{support::format::Kind::put, support::packed({"scope", "key"}, record, support::Layout::wide)}});
  return log;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("log_seeds <directory>\n", stderr);
    return 2;
  }
  const std::filesystem::path directory = arguments[1];
  std::filesystem::create_directories(directory);
  const struct {
    const char* name;
    support::FilesByName files;
  } seeds[] = {{"empty", LogBuilder(256).files()},     {"small", small().files()},
               {"rolled_over", rolled_over().files()}, {"opened_again", opened_again().files()},
               {"trimmed", trimmed().files()},         {"wide", wide().files()}};
  for (const auto& seed : seeds)
    for (const unsigned char sealed : {fuzz::nothing, fuzz::heads, fuzz::frames}) {
      const int both = sealed == fuzz::frames ? fuzz::heads | fuzz::frames : sealed;
      const std::string input = fuzz::packed_input(static_cast<unsigned char>(both), seed.files);
      std::ofstream file(directory / (seed.name + std::to_string(both)), std::ios::binary);
      if (!file.write(input.data(), static_cast<std::streamsize>(input.size()))) {
        std::perror(seed.name);
        return 1;
      }
    }
}
