// What a payment costs on Redis: the guard over its store, beside a bare loop over hiredis that calls the
// same scripts; duplicates that a cache answers, beside MemoryStore; a queue's worker, beside plain threads.
// In turns, on a server of its own. `redis_benchmark --help` tells what can be chosen.

#include <algorithm>
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
#include "benchmarks/redis/bare.hpp"
#include "benchmarks/redis/guarded.hpp"
#include "benchmarks/redis/server.hpp"
#include "benchmarks/redis/worker.hpp"

namespace {

using namespace redis_benchmark;

struct Options {
  double seconds = 2;
  std::size_t rounds = 5;
  std::vector<std::size_t> threads = {1, 8, 32, 64, 128};
  std::vector<std::string> only;
  std::vector<Combining> combinings;
  std::string fsync = "everysec";
  std::size_t messages = 20'000, memory_messages = 100'000;

  bool wants(const std::string& name) const {
    for (const std::string& prefix : only)
      if (name.starts_with(prefix)) return true;
    return only.empty();
  }
};

[[noreturn]] void usage(int status) {
  std::printf(
      "redis_benchmark [options]\n"
      "  --seconds N        of each run (2)\n"
      "  --rounds N         runs of each, in turns (5)\n"
      "  --threads N,...    each with a payment in flight (1,8,32,64,128)\n"
      "  --only NAME,...    what begins so: pay.bare, pay.guard, pay.single, pay.lock; replay.bare,\n"
      "                     replay.guard, replay.single; hot.memory, hot.cached, many.memory, many.cached;\n"
      "                     queue.redis.plain, queue.redis.worker, queue.memory.plain, queue.memory.worker\n"
      "  --combining LxM,.. also the guard with L lanes and batches of at most M\n"
      "  --fsync always     syncs before each answer (everysec)\n"
      "  --messages N,M     in the queue: over Redis (20000), in memory (100000)\n"
      "The server's log is under $TMPDIR, or /tmp: a disk, no tmpfs.\n");
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
std::vector<std::size_t> two_numbers(std::string_view text, char separator) {
  auto found = numbers(text, separator);
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
        const auto both = two_numbers(part, 'x');
        options.combinings.push_back({both[0], both[1]});
      });
    else if (name == "--fsync")
      options.fsync = value;
    else if (name == "--messages") {
      const auto both = two_numbers(value, ',');
      options.messages = both[0], options.memory_messages = both[1];
    } else
      usage(2);
  }
  if (!(options.seconds > 0) || options.rounds == 0) usage(2);
  return options;
}

/// What one run gave, and what was spent on all of it.
struct Measured {
  Run run;
  Counted spent;
};

/// One of those that are compared. `run` makes what it needs before the time begins.
struct Contender {
  std::string name;
  std::function<Measured(Server&, const std::string& prefix, const Width&)> run;
};

/// The difference of what was counted, for each of `payments`, or of those that were made in `seconds`.
template <class Do>
Measured count(Server& server, std::size_t payments, double seconds, Do run) {
  const Counted before = counted(server.redis());
  Measured measured;
  measured.run = run();
  const Counted after = counted(server.redis());
  measured.spent = (after - before) / (payments != 0 ? static_cast<double>(payments)
                                                     : measured.run.payments_per_second * seconds);
  return measured;
}

template <class Make>
Contender by_peer(std::string name, double seconds, Make make) {
  return {std::move(name), [=](Server& server, const std::string& prefix, const Width& width) {
            const auto peer = make(server, prefix, width);
            return count(server, 0, seconds,
                         [&] { return measure(*peer, width, std::chrono::duration<double>(seconds)); });
          }};
}

std::vector<Contender> all_contenders(const Options& options) {
  using S = Server&;
  using P = const std::string&;
  using W = const Width&;
  std::vector<Contender> all;
  const auto add = [&](const char* name, auto make) { all.push_back(by_peer(name, options.seconds, make)); };
  const auto guard = [](Combining combining) {
    return [combining](S s, P p, W) {
      return std::make_unique<GuardPeer<RedisGuard>>(open_store(s, p, combining));
    };
  };
  add("pay.bare", [](S s, P p, W w) { return std::make_unique<BarePeer>(s, p, w); });
  add("pay.single", [=](S s, P p, W w) { return guard(Combining::none(w))(s, p, w); });
  add("pay.guard", guard({}));
  for (const Combining each : options.combinings)
    add(("pay.guard." + std::to_string(each.lanes) + "x" + std::to_string(each.most)).c_str(), guard(each));
  add("pay.lock", [](S s, P p, W w) {
    paidonce::RedisLockOptions lock;
    lock.prefix = p;
    lock.connection.connections = w.threads;
    return std::make_unique<GuardPeer<LockedGuard>>(open_store(s, p, {}),
                                                    paidonce::RedisLock(s.redis().uri(), lock));
  });
  add("replay.bare", [](S s, P p, W w) { return std::make_unique<BareReplayPeer>(s, p, w); });
  add("replay.single", [](S s, P p, W w) {
    return std::make_unique<ReplayPeer<RedisGuard>>(replayed_keys, open_store(s, p, Combining::none(w)));
  });
  add("replay.guard", [](S s, P p, W) {
    return std::make_unique<ReplayPeer<RedisGuard>>(replayed_keys, open_store(s, p, {}));
  });
  for (const auto& [name, keys] : {std::pair("hot", std::uint64_t{1}), std::pair("many", replayed_keys)}) {
    add((std::string(name) + ".memory").c_str(), [keys = keys](S, P, W) {
      return std::make_unique<ReplayPeer<MemoryGuard>>(keys, paidonce::MemoryStore());
    });
    add((std::string(name) + ".cached").c_str(), [keys = keys](S s, P p, W) {
      return std::make_unique<ReplayPeer<CachedGuard>>(
          keys, paidonce::CachedStore<paidonce::RedisStore>(open_store(s, p, {})));
    });
  }
  const auto queue = [&](const char* name, auto open, std::size_t messages, auto make) {
    all.push_back({name, [=](S s, P p, W w) {
                     const auto over = open(s, p);
                     const auto made = make(*over, messages);
                     return count(s, messages, 0, [&] { return made->run(w); });
                   }});
  };
  const auto redis = [](S s, P p) { return std::make_unique<RedisGuard>(open_store(s, p, {})); };
  const auto memory = [](S, P) { return std::make_unique<MemoryGuard>(paidonce::MemoryStore()); };
  const auto plain = []<class G>(G& over, std::size_t messages) {
    return std::make_unique<PlainThreads<G>>(over, messages);
  };
  const auto worker = []<class G>(G& over, std::size_t messages) {
    return std::make_unique<WorkerQueue<G>>(over, messages);
  };
  queue("queue.redis.plain", redis, options.messages, plain);
  queue("queue.redis.worker", redis, options.messages, worker);
  queue("queue.memory.plain", memory, options.memory_messages, plain);
  queue("queue.memory.worker", memory, options.memory_messages, worker);
  std::erase_if(all, [&](const Contender& each) { return !options.wants(each.name); });
  return all;
}

using Shares = std::map<std::pair<std::string, std::string>, std::vector<Counted>>;

void run(Server& server, const Options& options, const std::vector<Contender>& contenders, Report& report,
         Shares& shares) {
  for (std::size_t round = 0; round < options.rounds; ++round)
    for (const std::size_t threads : options.threads)
      for (std::size_t i = 0; i < contenders.size(); ++i) {
        // Every second round backwards, so that nobody always comes behind the same one.
        const Contender& each = contenders[round % 2 == 0 ? i : contenders.size() - 1 - i];
        const Width width{threads, 0};
        server.empty();
        const Measured result = each.run(server, RedisServer::fresh_prefix("bench"), width);
        shares[{each.name, width.name()}].push_back(result.spent);
        report.add(each.name, width, result.run);
        std::fprintf(stderr, "round %zu, %zu threads, %s: %.0f\n", round + 1, threads, each.name.c_str(),
                     result.run.payments_per_second);
      }
}

double middle(const std::vector<Counted>& all, double Counted::*what) {
  std::vector<double> values;
  for (const Counted& each : all) values.push_back(each.*what);
  return median(std::move(values));
}

void print(const Report& report, const Shares& shares) {
  for (const Width& width : report.widths()) {
    std::printf(
        "\n%s threads: payments a second, the slowest and fastest run; microseconds a payment;\n"
        "spent on one: script calls, commands within them, arrivals at the server; microseconds within "
        "scripts, "
        "of processor time of the server and of the client; %% of the machine that others took\n",
        width.name().c_str());
    std::printf("%-20s %8s %8s %8s %7s %7s %7s %6s %6s %6s %7s %7s %7s %5s\n", "", "pay/s", "min", "max",
                "p50", "p99", "p99.9", "calls", "inner", "reads", "script", "server", "client", "other");
    for (const std::string& peer : report.peers()) {
      const std::vector<Run>& runs = report.runs(peer, width);
      if (runs.empty()) continue;
      const auto [least, most] = std::minmax_element(
          runs.begin(), runs.end(),
          [](const Run& a, const Run& b) { return a.payments_per_second < b.payments_per_second; });
      const std::vector<Counted>& all = shares.at({peer, width.name()});
      std::vector<double> others;
      for (const Counted& each : all) others.push_back(each.others() * 100);
      std::printf(
          "%-20s %8.0f %8.0f %8.0f %7.0f %7.0f %7.0f %6.2f %6.2f %6.3f %7.1f %7.1f %7.1f %5.0f\n",
          peer.c_str(), report.payments(peer, width), least->payments_per_second, most->payments_per_second,
          report.median_of(peer, width, &Run::p50), report.median_of(peer, width, &Run::p99),
          report.median_of(peer, width, &Run::p999), middle(all, &Counted::scripts),
          middle(all, &Counted::commands) - middle(all, &Counted::scripts), middle(all, &Counted::arrivals),
          middle(all, &Counted::script_us), middle(all, &Counted::server_us),
          middle(all, &Counted::client_us), median(std::move(others)));
    }
  }
}

/// Medians of the rounds' ratios, with the least and the greatest, beside the goals that were set: of
/// payments a second, and of what client and server spend on one, which other programs disturb less.
void compare(const Report& report, const Shares& shares) {
  std::printf("\n%-48s %6s %6s %6s   %-16s %6s %6s %6s\n", "round by round", "rate", "min", "max", "goal",
              "spent", "min", "max");
  const auto print = [](std::vector<double> ratios) {
    const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf(" %6.2f %6.2f %6.2f", median(ratios), *least, *most);
    return median(ratios);
  };
  for (const Width& width : report.widths()) {
    const auto add = [&](const char* peer, const char* over, std::optional<double> goal) {
      const auto &above = report.runs(peer, width), &below = report.runs(over, width);
      std::vector<double> rates, spent;
      for (std::size_t i = 0; i < std::min(above.size(), below.size()); ++i) {
        rates.push_back(above[i].payments_per_second / below[i].payments_per_second);
        const auto us = [&](const char* of) {
          const Counted& each = shares.at({of, width.name()})[i];
          return each.server_us + each.client_us;
        };
        spent.push_back(us(peer) / us(over));
      }
      if (rates.empty()) return;
      std::printf("%-48s", (std::string(peer) + " / " + over + ", " + width.name() + " threads").c_str());
      const double rate = print(std::move(rates));
      std::string judged;
      if (goal) judged = "  >= " + std::to_string(*goal).substr(0, 4) + (rate >= *goal ? " met" : " NOT MET");
      std::printf(" %-18s", judged.c_str());
      print(std::move(spent));
      std::printf("\n");
    };
    const bool wide = width.threads >= 32;
    add("pay.single", "pay.bare", width.threads == 32 ? std::optional(0.95) : std::nullopt);
    add("pay.guard", "pay.bare", wide ? std::optional(2.0) : std::nullopt);
    add("replay.single", "replay.bare", {});
    add("replay.guard", "replay.bare", {});
    add("hot.cached", "hot.memory", 1);
    add("many.cached", "many.memory", 1);
    add("pay.lock", "pay.guard", {});
    add("queue.redis.worker", "queue.redis.plain", 0.95);
    add("queue.memory.worker", "queue.memory.plain", {});
  }
  std::vector<double> others;
  for (const auto& [name, all] : shares)
    for (const Counted& each : all) others.push_back(each.others() * 100);
  const auto [least, most] = std::minmax_element(others.begin(), others.end());
  if (!others.empty())
    std::printf(
        "\nother programs took %.0f%% of the machine (%.0f to %.0f); from a tenth on, rates mean little\n",
        median(others), *least, *most);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = options_from(argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // figures take minutes
  try {
    Server server(options.fsync);
    Report report;
    Shares shares;
    run(server, options, all_contenders(options), report, shares);
    print(report, shares);
    compare(report, shares);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "redis_benchmark: %s\n", failure.what());
    return 1;
  }
}
