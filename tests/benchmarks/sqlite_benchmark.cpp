// What a durable payment costs in a SQLite database: the store and the guard over it, beside a connection for
// each thread, in turns on the same disk. `sqlite_benchmark --help` tells what can be chosen.

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/report.hpp"
#include "benchmarks/file/sqlite_peer.hpp"
#include "benchmarks/sqlite/figures.hpp"
#include "benchmarks/sqlite/peers.hpp"

namespace {

using namespace sqlite_benchmark;

struct Options {
  double seconds = 2;
  std::size_t rounds = 5;
  std::vector<std::size_t> threads = {1, 8, 32};
  std::filesystem::path directory = std::filesystem::current_path();
  std::string only;
};

[[noreturn]] void usage(int status) {
  std::printf(
      "sqlite_benchmark [options]\n"
      "  --seconds N    of each run (2)\n"
      "  --rounds N     runs of each peer, in turns (5)\n"
      "  --threads N    one number of threads (1, 8 and 32)\n"
      "  --dir DIR      where the files go: a disk, no tmpfs (the current directory)\n"
      "  --only NAME    what begins so: sqlite, bare.table, store, guard, transaction\n"
      "  --growth 1     instead: payments beside 10,000 to 2,000,000 records; takes minutes and 2 GB\n"
      "  --sweep 1      instead: payments beside a sweep of 500,000 expired records\n");
  std::exit(status);
}

class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& parent)
      : path_(parent / ("sqlite_benchmark." + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

template <class P>
Entry entry(const char* name) {
  return {name, name, false, [](const Setup& setup) { return std::make_unique<P>(setup); }};
}

void compare(const Report& report, std::vector<Goal>& goals) {
  const auto add = [&](const char* peer, const char* over, const Width& width, double goal) {
    if (const auto ratio = report.ratio(peer, width, over, width))
      goals.push_back({std::string(peer) + " / " + over + ", " + width.name(), *ratio, goal});
  };
  for (const Width& width : report.widths()) {
    if (width.threads == 1) {
      add("store", "bare.table", width, 0.9);
      add("guard", "bare.table", width, 0.9);
      add("transaction", "guard", width, 1.7);
    } else {
      add("guard", "bare.table", width, width.threads >= 32 ? 5 : 2);
      add("guard", "sqlite", width, width.threads >= 32 ? 5 : 2);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  bool growth = false, sweep = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--help" || i + 1 == argc) usage(name == "--help" ? 0 : 2);
    const char* const value = argv[i + 1];
    if (name == "--seconds")
      options.seconds = std::strtod(value, nullptr);
    else if (name == "--rounds")
      options.rounds = std::strtoull(value, nullptr, 10);
    else if (name == "--threads")
      options.threads = {std::strtoull(value, nullptr, 10)};
    else if (name == "--dir")
      options.directory = value;
    else if (name == "--only")
      options.only = value;
    else if (name == "--growth")
      growth = true;
    else if (name == "--sweep")
      sweep = true;
    else
      usage(2);
  }
  if (!(options.seconds > 0) || options.rounds == 0 || options.threads[0] == 0) usage(2);
  try {
    std::vector<Goal> goals;
    if (growth || sweep) {
      const Scratch scratch(options.directory);
      (growth ? measure_growth : measure_sweep)(scratch.path(), options.seconds, goals);
    }
    if (!growth && !sweep) {
      const std::vector<Entry> entries = {entry<SqlitePeer>("sqlite"), entry<BarePeer>("bare.table"),
                                          entry<StorePeer>("store"), entry<GuardPeer>("guard"),
                                          entry<TransactionPeer>("transaction")};
      Report report;
      for (std::size_t round = 0; round < options.rounds; ++round)
        for (const std::size_t threads : options.threads)
          for (std::size_t i = 0; i < entries.size(); ++i) {
            // Every second round backwards, so that nobody always comes behind the same one.
            const Entry& each = entries[round % 2 == 0 ? i : entries.size() - 1 - i];
            if (!each.name.starts_with(options.only)) continue;
            const Scratch scratch(options.directory);
            const Width width{threads, 0};
            const auto peer = each.make({scratch.path(), width});
            report.add(each.name, width,
                       measure(*peer, width, std::chrono::duration<double>(options.seconds)));
          }
      report.print();
      compare(report, goals);
    }
    print(goals);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "sqlite_benchmark: %s\n", failure.what());
    return 1;
  }
}
