// What a payment costs on PostgreSQL: the guard over its store, beside pgbench and a loop over libpq with the
// two bare statements, in turns on a server of its own. `postgres_benchmark --help` tells what can be chosen.

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/report.hpp"
#include "benchmarks/postgres/bare.hpp"
#include "benchmarks/postgres/figures.hpp"
#include "benchmarks/postgres/guarded.hpp"
#include "benchmarks/postgres/server.hpp"

namespace {

using namespace postgres_benchmark;

struct Options {
  double seconds = 2;
  std::size_t rounds = 5;
  std::vector<std::size_t> threads = {1, 32, 64};
  std::vector<std::string> only;
  std::vector<Combining> combinings;
  std::vector<std::size_t> sizes = {10'000, 200'000, 2'000'000};
  std::size_t expired = 500'000;
  std::size_t churn_rounds = 50, churn_payments = 20'000;

  bool named(const std::string& name) const {
    for (const std::string& prefix : only)
      if (name.starts_with(prefix)) return true;
    return false;
  }
  bool wants(const std::string& name) const { return only.empty() || named(name); }
};

[[noreturn]] void usage(int status) {
  std::printf(
      "postgres_benchmark [options]\n"
      "  --seconds N        of each run (2)\n"
      "  --rounds N         runs of each, in turns (5)\n"
      "  --threads N,...    each with a payment in flight (1,32,64)\n"
      "  --only NAME,...    what begins so: pgbench, libpq, guard, single, select, replay, transaction,\n"
      "                     two_step; and, only where they are named, for they take minutes:\n"
      "                     figure.growth, figure.sweep, figure.churn\n"
      "  --combining LxM,.. also the guard with L lanes and batches of at most M\n"
      "  --sizes N,...      figure.growth: records that are there before (10000,200000,2000000)\n"
      "  --expired N        figure.sweep: records to be swept (500000)\n"
      "  --churn RxN        figure.churn: rounds of N payments (50x20000)\n"
      "The server's files are under $TMPDIR, or /tmp: a disk, no tmpfs.\n");
  std::exit(status);
}

template <class Take>
void for_each_part(std::string_view list, char separator, Take take) {
  while (!list.empty()) {
    const std::size_t end = list.find(separator);
    take(list.substr(0, end));
    if (end == std::string_view::npos) return;
    list.remove_prefix(end + 1);
  }
}

std::vector<std::size_t> numbers(std::string_view list, char separator = ',') {
  std::vector<std::size_t> found;
  for_each_part(list, separator, [&](std::string_view part) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    if (error != std::errc() || end != part.data() + part.size() || number == 0) usage(2);
    found.push_back(number);
  });
  return found;
}
std::vector<std::size_t> two_numbers(std::string_view text) {
  auto found = numbers(text, 'x');
  if (found.size() != 2) usage(2);
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
    else if (name == "--only")
      for_each_part(value, ',', [&](std::string_view part) { options.only.emplace_back(part); });
    else if (name == "--combining")
      for_each_part(value, ',', [&](std::string_view part) {
        const auto both = two_numbers(part);
        options.combinings.push_back({both[0], both[1]});
      });
    else if (name == "--sizes")
      options.sizes = numbers(value);
    else if (name == "--expired")
      options.expired = numbers(value).at(0);
    else if (name == "--churn") {
      const auto both = two_numbers(value);
      options.churn_rounds = both[0], options.churn_payments = both[1];
    } else
      usage(2);
  }
  if (!(options.seconds > 0) || options.rounds == 0) usage(2);
  return options;
}

/// One of those that are compared.
struct Contender {
  std::string name;
  std::function<Run(const Schema&, const Width&, double)> run;
};

template <class Make>
Contender by_peer(std::string name, Make make) {
  return {std::move(name), [make](const Schema& schema, const Width& width, double seconds) {
            const auto peer = make(schema, width);
            return measure(*peer, width, std::chrono::duration<double>(seconds));
          }};
}

std::vector<Contender> all_contenders(const Options& options) {
  using S = const Schema&;
  using W = const Width&;
  std::vector<Contender> all;
  all.push_back({"pgbench", run_pgbench});
  all.push_back(by_peer("libpq", [](S s, W w) { return std::make_unique<LibpqPeer>(s, w); }));
  all.push_back(by_peer("guard", [](S s, W) { return std::make_unique<GuardPeer>(s, Combining{}); }));
  all.push_back(
      by_peer("single", [](S s, W w) { return std::make_unique<GuardPeer>(s, Combining::none(w)); }));
  for (const Combining combining : options.combinings)
    all.push_back(by_peer("guard." + std::to_string(combining.lanes) + "x" + std::to_string(combining.most),
                          [combining](S s, W) { return std::make_unique<GuardPeer>(s, combining); }));
  all.push_back(by_peer("transaction", [](S s, W w) { return std::make_unique<TransactionPeer>(s, w); }));
  all.push_back(
      by_peer("two_step", [](S s, W w) { return std::make_unique<TwoStepPeer>(s, w, Combining{}); }));
  all.push_back(by_peer("two_step.single",
                        [](S s, W w) { return std::make_unique<TwoStepPeer>(s, w, Combining::none(w)); }));
  all.push_back(by_peer("select", [](S s, W w) { return std::make_unique<SelectPeer>(s, w); }));
  all.push_back(by_peer("replay", [](S s, W) { return std::make_unique<ReplayPeer>(s, Combining{}); }));
  all.push_back(
      by_peer("replay.single", [](S s, W w) { return std::make_unique<ReplayPeer>(s, Combining::none(w)); }));
  std::erase_if(all, [&](const Contender& each) { return !options.wants(each.name); });
  return all;
}

/// What was spent on a payment, run by run.
using Shares = std::map<std::pair<std::string, std::string>, std::vector<Counted>>;

void run(PostgresServer& server, const Options& options, const std::vector<Contender>& contenders,
         Report& report, Shares& shares) {
  for (std::size_t round = 0; round < options.rounds; ++round)
    for (const std::size_t threads : options.threads)
      for (std::size_t i = 0; i < contenders.size(); ++i) {
        // Every second round backwards, so that nobody always comes behind the same one.
        const Contender& each = contenders[round % 2 == 0 ? i : contenders.size() - 1 - i];
        const Width width{threads, 0};
        const Schema schema(server);
        const Counted before = counted(server);
        const Run result = each.run(schema, width, options.seconds);
        const Counted spent = counted(server) - before;
        const double payments = result.payments_per_second * options.seconds;
        shares[{each.name, width.name()}].push_back(spent / payments);
        report.add(each.name, width, result);
        std::fprintf(stderr, "round %zu, %zu threads, %s: %.0f\n", round + 1, threads, each.name.c_str(),
                     result.payments_per_second);
      }
}

void print(const Report& report, const Shares& shares) {
  const auto middle = [](const std::vector<Counted>& all, double Counted::*what) {
    std::vector<double> values;
    for (const Counted& each : all) values.push_back(each.*what);
    return median(std::move(values));
  };
  for (const Width& width : report.widths()) {
    std::printf(
        "\n%s threads: payments a second; microseconds a payment (pgbench: its average);\n"
        "spent on one: commits, syncs, bytes of WAL, microseconds of processor time of the server and of the "
        "client\n",
        width.name().c_str());
    std::printf("%-16s %7s %7s %7s %7s %7s %7s %7s %7s %7s %8s %7s\n", "", "pay/s", "p50", "p99", "p99.9",
                "commits", "syncs", "WAL, B", "server", "client", "/pgbench", "/libpq");
    for (const std::string& peer : report.peers()) {
      if (report.runs(peer, width).empty()) continue;
      const auto& all = shares.at({peer, width.name()});
      std::printf("%-16s %7.0f %7.0f %7.0f %7.0f %7.2f %7.2f %7.0f %7.0f %7.0f", peer.c_str(),
                  report.payments(peer, width), report.median_of(peer, width, &Run::p50),
                  report.median_of(peer, width, &Run::p99), report.median_of(peer, width, &Run::p999),
                  middle(all, &Counted::commits), middle(all, &Counted::syncs),
                  middle(all, &Counted::wal_bytes), middle(all, &Counted::server_us),
                  middle(all, &Counted::client_us));
      for (const char* over : {"pgbench", "libpq"}) {
        const auto ratio = report.ratio(peer, width, over, width);
        if (ratio)
          std::printf(" %7.2f", *ratio);
        else
          std::printf(" %7s", "");
      }
      std::printf("\n");
    }
  }
}

/// The ratios that were set as goals, as far as both sides of them ran.
void compare(const Report& report, std::vector<Goal>& goals) {
  for (const Width& width : report.widths()) {
    const auto add = [&](const char* peer, const char* over, double goal) {
      if (const auto ratio = report.ratio(peer, width, over, width))
        goals.push_back({std::string(peer) + " / " + over + ", " + width.name() + " threads", *ratio, goal});
    };
    add("guard", "pgbench", width.threads == 1 ? 1 : width.threads >= 64 ? 3 : 0.95);
    add("guard", "libpq", width.threads == 1 ? 1 : 0.95);
    if (width.threads > 1) add("single", "pgbench", 0.95);
    if (width.threads > 1) add("single", "libpq", 0.95);
    add("transaction", "two_step", 1.7);
    add("transaction", "two_step.single", 1.7);
    add("replay", "select", 0.9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_from(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // figures take minutes
  try {
    const auto server = start_server();
    Report report;
    Shares shares;
    std::vector<Goal> goals;
    run(*server, options, all_contenders(options), report, shares);
    print(report, shares);
    compare(report, goals);
    if (options.named("figure.growth"))
      measure_growth(*server, options.sizes, options.threads, options.rounds, options.seconds, goals);
    if (options.named("figure.sweep"))
      measure_sweep(*server, options.expired, options.threads, options.rounds, goals);
    if (options.named("figure.churn"))
      measure_churn(*server, options.churn_rounds, options.churn_payments, goals);
    print(goals);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "postgres_benchmark: %s\n", failure.what());
    return 1;
  }
}
