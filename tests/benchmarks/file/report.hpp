#pragma once
// What the rounds gave: medians, ratios taken round by round, tables, JSON and a plot.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/file/measure.hpp"

namespace file_benchmark {

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// All runs of a peer at a width, in the order of the rounds.
class Report {
 public:
  using Place = std::pair<std::string, std::string>;  // peer, width

  void add(const std::string& peer, const Width& width, const Run& run) {
    if (std::find(widths_.begin(), widths_.end(), width) == widths_.end()) widths_.push_back(width);
    if (std::find(peers_.begin(), peers_.end(), peer) == peers_.end()) peers_.push_back(peer);
    runs_[{peer, width.name()}].push_back(run);
  }
  const std::vector<Width>& widths() const { return widths_; }
  const std::vector<std::string>& peers() const { return peers_; }

  double median_of(const std::string& peer, const Width& width, double Run::*what) const {
    std::vector<double> values;
    for (const Run& run : runs(peer, width)) values.push_back(run.*what);
    return median(std::move(values));
  }
  double payments(const std::string& peer, const Width& width) const {
    return median_of(peer, width, &Run::payments_per_second);
  }
  /// Of the peers whose names begin so, the one with the highest median.
  std::optional<std::string> best(const std::string& prefix, const Width& width) const {
    std::optional<std::string> best;
    for (const std::string& peer : peers_)
      if (peer.starts_with(prefix) && !runs(peer, width).empty())
        if (!best || payments(peer, width) > payments(*best, width)) best = peer;
    return best;
  }
  /// The median of the rounds' ratios of payments a second; nothing where one of them did not run.
  std::optional<double> ratio(const std::string& peer, const Width& width, const std::string& over,
                              const Width& over_width) const {
    const auto& above = runs(peer, width);
    const auto& below = runs(over, over_width);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(above.size(), below.size()); ++i)
      if (below[i].payments_per_second > 0)
        ratios.push_back(above[i].payments_per_second / below[i].payments_per_second);
    if (ratios.empty()) return std::nullopt;
    return median(std::move(ratios));
  }
  const std::vector<Run>& runs(const std::string& peer, const Width& width) const {
    static const std::vector<Run> none;
    const auto at = runs_.find({peer, width.name()});
    return at == runs_.end() ? none : at->second;
  }

  void print() const {
    for (const Width& width : widths_) {
      std::printf("\n%s%s: payments a second; microseconds a payment; payments a second of a thread\n",
                  width.name().c_str(), width.in_flight != 0 ? ", one thread" : " threads");
      std::printf("%-26s %9s %9s %9s %9s %9s %9s %7s %7s %7s\n", "", "pay/s", "p50", "p99", "p99.9",
                  "slowest", "fastest", "/sqlite", "/log", "/bare");
      const auto column = [&](const std::string& peer, const std::string& prefix) {
        const auto over = best(prefix, width);
        const auto found = over ? ratio(peer, width, *over, width) : std::nullopt;
        if (found)
          std::printf(" %7.2f", *found);
        else
          std::printf(" %7s", "");
      };
      for (const std::string& peer : peers_) {
        if (runs(peer, width).empty()) continue;
        std::printf("%-26s %9.0f %9.0f %9.0f %9.0f %9.0f %9.0f", peer.c_str(), payments(peer, width),
                    median_of(peer, width, &Run::p50), median_of(peer, width, &Run::p99),
                    median_of(peer, width, &Run::p999), median_of(peer, width, &Run::slowest),
                    median_of(peer, width, &Run::fastest));
        column(peer, "sqlite");
        column(peer, "log.");
        column(peer, "bare.");
        std::printf("\n");
      }
    }
  }

 private:
  std::vector<Width> widths_;
  std::vector<std::string> peers_;
  std::map<Place, std::vector<Run>> runs_;
};

/// A figure beside its goal.
struct Goal {
  std::string what;
  double figure = 0;
  double goal = 0;
  enum class Better { higher, lower } better = Better::higher;

  bool met() const { return better == Better::higher ? figure >= goal : figure <= goal; }
};

inline void print(const std::vector<Goal>& goals) {
  if (goals.empty()) return;
  std::printf("\n%-72s %9s   goal\n", "", "figure");
  for (const Goal& goal : goals)
    std::printf("%-72s %9.2f   %s %-6.4g %s\n", goal.what.c_str(), goal.figure,
                goal.better == Goal::Better::higher ? ">=" : "<=", goal.goal, goal.met() ? "met" : "NOT MET");
}

inline void write_json(const std::filesystem::path& path, const Report& report,
                       const std::vector<Goal>& goals) {
  std::ofstream out(path);
  out << "{\"runs\": [";
  const char* comma = "";
  for (const std::string& peer : report.peers())
    for (const Width& width : report.widths())
      for (const Run& run : report.runs(peer, width)) {
        out << comma << "\n  {\"peer\": \"" << peer << "\", \"threads\": " << width.threads
            << ", \"in_flight\": " << width.in_flight
            << ", \"payments_per_second\": " << run.payments_per_second << ", \"p50_us\": " << run.p50
            << ", \"p99_us\": " << run.p99 << ", \"p999_us\": " << run.p999
            << ", \"slowest_thread\": " << run.slowest << ", \"fastest_thread\": " << run.fastest << "}";
        comma = ",";
      }
  out << "\n], \"goals\": [";
  comma = "";
  for (const Goal& goal : goals) {
    out << comma << "\n  {\"what\": \"" << goal.what << "\", \"figure\": " << goal.figure
        << ", \"goal\": " << goal.goal << ", \"met\": " << (goal.met() ? "true" : "false") << "}";
    comma = ",";
  }
  out << "\n]}\n";
}

/// Writes a script of gnuplot and its data, and runs it where gnuplot is there. False where it is not.
inline bool plot(const std::filesystem::path& folder, const Report& report) {
  std::vector<Width> widths;
  for (const Width& width : report.widths())
    if (width.in_flight == 0) widths.push_back(width);
  if (widths.empty()) return true;
  std::filesystem::create_directories(folder);
  const std::filesystem::path script = folder / "file_benchmark.gp";
  std::ofstream out(script);
  out << "set terminal svg size 900,600 background 'white'\n"
         "set output '"
      << (folder / "file_benchmark.svg").string()
      << "'\n"
         "set title 'New payments a second: two durable writes, a response of 200 bytes'\n"
         "set xlabel 'threads'\nset ylabel 'payments a second'\n"
         "set logscale xy\nset key outside right\nset grid\nset xtics (";
  for (std::size_t i = 0; i < widths.size(); ++i) out << (i ? ", " : "") << widths[i].threads;
  out << ")\n";
  std::string lines;
  std::size_t number = 0;
  for (const std::string& peer : report.peers()) {
    std::string data;
    for (const Width& width : widths)
      if (!report.runs(peer, width).empty())
        data += std::to_string(width.threads) + " " + std::to_string(report.payments(peer, width)) + "\n";
    if (data.empty()) continue;
    const std::string name = "$data" + std::to_string(number++);
    out << name << " << EOD\n" << data << "EOD\n";
    const bool ours = peer.starts_with("guard");
    lines += (lines.empty() ? "plot " : ", \\\n     ") + name + " with linespoints linewidth " +
             (ours ? "3" : "1") + " title '" + peer + "' noenhanced";
  }
  out << lines << "\n";
  out.close();
  return std::system(("gnuplot '" + script.string() + "'").c_str()) == 0;
}

}  // namespace file_benchmark
