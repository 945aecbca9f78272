#pragma once
// The server that is measured: its own, with its log on a disk. What it counted meanwhile says where the time
// went.

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>

#include <paidonce/stores/redis.hpp>

#include "benchmarks/file/measure.hpp"
#include "support/kept_process.hpp"
#include "support/redis_server.hpp"

namespace redis_benchmark {

using namespace file_benchmark;

/// A directory on a disk that the server may write to.
class DiskDirectory {
 public:
  DiskDirectory() : path_(support::make_directory_for_server(support::Place::disk)) {}
  ~DiskDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  DiskDirectory(const DiskDirectory&) = delete;
  DiskDirectory& operator=(const DiskDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  const std::filesystem::path path_;
};

/// With a log that is never rewritten, so that no run pays for another's.
class Server {
 public:
  explicit Server(const std::string& fsync)
      : server_({{"appendonly", "yes"},
                 {"appendfsync", fsync},
                 {"auto-aof-rewrite-percentage", "0"},
                 {"dir", directory_.path().string()}}) {}
  RedisServer& redis() { return server_; }
  /// What earlier runs have written is gone.
  void empty() { server_.command({"FLUSHALL"}); }

 private:
  const DiskDirectory directory_;
  RedisServer server_;
};

/// Microseconds and counts since the server, this process, or the machine was started.
struct Counted {
  double scripts = 0;     ///< called by clients
  double commands = 0;    ///< by clients and scripts, these included
  double arrivals = 0;    ///< reads of sockets that brought something
  double script_us = 0;   ///< within scripts
  double server_us = 0;   ///< processor time of the server
  double client_us = 0;   ///< and of this process
  double machine_us = 0;  ///< and of all processes on all processors
  double wall_us = 0;

  template <class Combine>
  static Counted each(const Counted& a, Combine combine) {
    Counted made;
    for (double Counted::*const what :
         {&Counted::scripts, &Counted::commands, &Counted::arrivals, &Counted::script_us, &Counted::server_us,
          &Counted::client_us, &Counted::machine_us, &Counted::wall_us})
      made.*what = combine(a.*what, what);
    return made;
  }
  friend Counted operator-(const Counted& a, const Counted& b) {
    return each(a, [&](double value, double Counted::*what) { return value - b.*what; });
  }
  friend Counted operator/(const Counted& a, double payments) {
    return each(a, [&](double value, double Counted::*) { return value / payments; });
  }
  /// What other programs took of the machine, from 0 to 1.
  double others() const {
    const auto processors = static_cast<double>(::sysconf(_SC_NPROCESSORS_ONLN));
    return std::max(0.0, machine_us - server_us - client_us) / (processors * wall_us);
  }
};

inline double ticks_to_us(double ticks) { return ticks * 1e6 / static_cast<double>(::sysconf(_SC_CLK_TCK)); }

inline double processor_time_of(RedisServer& server) {
  double ticks = 0;
  for (const pid_t pid : server.processes()) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(in, text)) continue;
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int i = 3; i < 14; ++i) fields >> skipped;
    double user = 0, system = 0;
    fields >> user >> system;
    ticks += user + system;
  }
  return ticks_to_us(ticks);
}

inline double processor_time_here() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  double us = 0;
  for (const timeval& time : {used.ru_utime, used.ru_stime})
    us += static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  return us;
}

inline double processor_time_of_all() {
  std::ifstream in("/proc/stat");
  std::string name;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0, steal = 0;
  in >> name >> user >> nice >> system >> idle >> waiting >> irq >> softirq >> steal;
  return ticks_to_us(user + nice + system + irq + softirq + steal);
}

/// The number behind `name` in a line of INFO.
inline double number_behind(std::string_view line, std::string_view name) {
  const std::size_t at = line.find(name);
  double number = 0;
  if (at != line.npos) std::from_chars(line.data() + at + name.size(), line.data() + line.size(), number);
  return number;
}

inline Counted counted(RedisServer& server) {
  Counted now;
  std::istringstream lines(server.command({"INFO", "all"}).text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("total_reads_processed:")) now.arrivals = number_behind(line, ":");
    if (!line.starts_with("cmdstat_")) continue;
    const double calls = number_behind(line, "calls=");
    now.commands += calls;
    if (!line.starts_with("cmdstat_evalsha:")) continue;
    now.scripts = calls;
    now.script_us = number_behind(line, "usec=");
  }
  now.server_us = processor_time_of(server);
  now.client_us = processor_time_here();
  now.machine_us = processor_time_of_all();
  now.wall_us = std::chrono::duration<double, std::micro>(Clock::now().time_since_epoch()).count();
  return now;
}

}  // namespace redis_benchmark
