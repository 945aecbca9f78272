// What a durable payment costs: the guard over a file store, beside SQLite, RocksDB and hand-written logs on
// the same disk, in turns. `file_benchmark --help` tells what can be chosen.

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/file/log_peers.hpp"
#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/report.hpp"
#include "benchmarks/file/store_figures.hpp"
#include "benchmarks/file/store_peers.hpp"
#include "benchmarks/file/survey_figures.hpp"
#ifdef PAIDONCE_BENCHMARK_SQLITE
#include "benchmarks/file/sqlite_peer.hpp"
#endif
#ifdef PAIDONCE_BENCHMARK_ROCKSDB
#include "benchmarks/file/rocksdb_peer.hpp"
#endif

namespace {

using namespace file_benchmark;

struct Options {
  double seconds = 2;
  std::size_t rounds = 5;
  std::vector<std::size_t> threads = {1, 8, 32, 128};
  std::vector<std::size_t> in_flight = {32, 512};
  std::filesystem::path directory = std::filesystem::current_path();
  std::filesystem::path plots = PAIDONCE_BENCHMARK_PLOTS;
  std::vector<std::string> only;
  std::filesystem::path json;

  bool wants(const std::string& name) const {
    if (only.empty()) return true;
    for (const std::string& prefix : only)
      if (name.starts_with(prefix)) return true;
    return false;
  }
};

[[noreturn]] void usage(int status) {
  std::printf(
      "file_benchmark [options]\n"
      "  --seconds N       of each run (2)\n"
      "  --rounds N        runs of each peer, in turns (5)\n"
      "  --threads N,...   (1,8,32,128)\n"
      "  --in-flight N,... payments in flight from one thread, by callbacks (32,512)\n"
      "  --dir DIR         where the files go: a disk, no tmpfs (the current directory)\n"
      "  --only NAME,...   what begins so: sqlite, rocksdb, bare.thread.direct, log, guard, store, "
      "callbacks,\n"
      "                    figure.replay, figure.opening, figure.compaction, figure.survey\n"
      "  --json FILE       writes every run\n"
      "  --plots DIR       where the plot goes (the build folder)\n");
  std::exit(status);
}

template <class Take>
void for_each_part(std::string_view list, Take take) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    take(list.substr(0, comma));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

std::vector<std::size_t> numbers(std::string_view list) {
  std::vector<std::size_t> found;
  for_each_part(list, [&](std::string_view part) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size() || number == 0) usage(2);
    found.push_back(number);
  });
  return found;
}

Options options_from(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help") usage(0);
    if (i + 1 == argc) usage(2);
    const char* const value = argv[++i];
    if (name == "--seconds")
      options.seconds = std::strtod(value, nullptr);
    else if (name == "--rounds")
      options.rounds = std::strtoull(value, nullptr, 10);
    else if (name == "--threads")
      options.threads = numbers(value);
    else if (name == "--in-flight")
      options.in_flight = numbers(value);
    else if (name == "--dir")
      options.directory = value;
    else if (name == "--plots")
      options.plots = value;
    else if (name == "--only")
      for_each_part(value, [&](std::string_view part) { options.only.emplace_back(part); });
    else if (name == "--json")
      options.json = value;
    else
      usage(2);
  }
  if (!(options.seconds > 0) || options.rounds == 0) usage(2);
  return options;
}

/// An empty directory that goes when this goes.
class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& parent)
      : path_(parent / ("file_benchmark." + std::to_string(::getpid()))) {
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

std::vector<Entry> all_entries() {
  std::vector<Entry> entries;
#ifdef PAIDONCE_BENCHMARK_SQLITE
  entries.push_back({"sqlite", "SQLite, WAL, FULL, a connection per thread", false,
                     [](const Setup& setup) { return std::make_unique<SqlitePeer>(setup); }});
#else
  std::printf("SQLite was not there when this was built, and is left out\n");
#endif
#ifdef PAIDONCE_BENCHMARK_ROCKSDB
  entries.push_back({"rocksdb", "RocksDB, synced writes", false,
                     [](const Setup& setup) { return std::make_unique<RocksdbPeer>(setup); }});
#else
  std::printf("RocksDB was not there when this was built, and is left out\n");
#endif
  for (Entry& entry : log_entries()) entries.push_back(std::move(entry));
  for (Entry& entry : store_entries()) entries.push_back(std::move(entry));
  return entries;
}

void run(const Options& options, const std::vector<Entry>& entries, Report& report) {
  std::vector<Width> widths;
  for (const std::size_t threads : options.threads) widths.push_back({threads, 0});
  for (const std::size_t in_flight : options.in_flight) widths.push_back({1, in_flight});
  for (std::size_t round = 0; round < options.rounds; ++round)
    for (const Width& width : widths)
      for (std::size_t i = 0; i < entries.size(); ++i) {
        // Every second round backwards, so that nobody always comes behind the same one.
        const Entry& entry = entries[round % 2 == 0 ? i : entries.size() - 1 - i];
        if (entry.by_callbacks != (width.in_flight != 0)) continue;
        const Scratch scratch(options.directory);
        const auto peer = entry.make({scratch.path(), width});
        const Run result = measure(*peer, width, std::chrono::duration<double>(options.seconds));
        report.add(entry.name, width, result);
        std::fprintf(stderr, "round %zu, %s, %s: %.0f\n", round + 1, width.name().c_str(), entry.name.c_str(),
                     result.payments_per_second);
      }
}

/// The ratios that were set as goals, as far as both sides of them ran.
void compare(const Report& report, std::vector<Goal>& goals) {
  const auto add = [&](const std::string& what, const std::string& peer, const Width& width,
                       const std::optional<std::string>& over, const Width& over_width, double goal) {
    const auto ratio = over ? report.ratio(peer, width, *over, over_width) : std::nullopt;
    if (ratio) goals.push_back({what + " / " + *over + ", " + over_width.name(), *ratio, goal});
  };
  const auto named = [](const char* name) { return std::optional<std::string>(name); };
  for (const Width& width : report.widths()) {
    const std::size_t threads = width.threads;
    if (width.in_flight != 0) {
      const Width blocking{32, 0};
      add("callbacks, " + width.name(), "callbacks", width, named("guard"), blocking,
          width.in_flight >= 512 ? 4 : 1.7);
      add("callbacks, " + width.name(), "callbacks", width, report.best("bare.callbacks", width), width, 0.6);
      continue;
    }
    add("guard", "guard", width, report.best("log.", width), width, threads > 32 ? 0.8 : 0.9);
    add("guard", "guard", width, report.best("bare.", width), width, 0.55);
    add("guard", "guard", width, named("sqlite"), width, threads >= 32 ? 30 : threads >= 8 ? 7 : 1.4);
    if (threads >= 32) add("guard", "guard", width, named("rocksdb"), width, threads > 32 ? 6 : 4);
    if (report.runs("guard", width).empty()) continue;
    if (threads == 32)
      goals.push_back({"guard, 32 threads: p99.9 in microseconds",
                       report.median_of("guard", width, &Run::p999), 5000, Goal::Better::lower});
    if (threads > 1)
      goals.push_back(
          {"guard, " + width.name() + " threads: slowest / fastest",
           report.median_of("guard", width, &Run::slowest) / report.median_of("guard", width, &Run::fastest),
           0.5});
  }
}

void measure_figures(const Options& options, std::vector<Goal>& goals) {
  const auto measure = [&](const char* name, const auto& figure) {
    if (!options.wants(name)) return;
    const Scratch scratch(options.directory);
    figure(scratch.path());
  };
  using Path = std::filesystem::path;
  measure("figure.replay", [&](const Path& path) { measure_replay(path, options.rounds, goals); });
  measure("figure.opening", [&](const Path& path) { measure_opening(path, options.rounds, goals); });
  measure("figure.compaction",
          [&](const Path& path) { measure_compaction(path, options.rounds, options.seconds, goals); });
  measure("figure.survey",
          [&](const Path& path) { measure_survey(path, options.rounds, options.seconds, goals); });
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_from(argc, argv);
  try {
    std::vector<Entry> entries;
    for (Entry& entry : all_entries())
      if (options.wants(entry.name)) entries.push_back(std::move(entry));
    Report report;
    std::vector<Goal> goals;
    run(options, entries, report);
    report.print();
    compare(report, goals);
    measure_figures(options, goals);
    print(goals);
    if (!options.json.empty()) write_json(options.json, report, goals);
    if (!plot(options.plots, report)) std::printf("gnuplot is not there: no plot was drawn\n");
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "file_benchmark: %s\n", failure.what());
    return 1;
  }
}
