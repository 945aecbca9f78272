// The store in memory, and the guard over it, against a plain sharded std::unordered_map in the same process.
//
// What is compared is run in turns, repetition by repetition, so that a machine that slows down slows both;
// the last table gives medians and the ratio of each to its baseline. 1,000,000 keys of 32 bytes, responses
// of 200 bytes, unless the first argument is another number of keys.

#include <benchmark/benchmark.h>
#include <paidonce/paidonce.hpp>

#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace paidonce;

std::size_t key_count = 1'000'000;
constexpr std::size_t hot_reads = 2'000'000;
constexpr int repetitions = 5;

// ---- the baseline, and a store that does nothing
// ------------------------------------------------------------

/// What one would write in an afternoon: 64 mutexes, 64 std::unordered_map.
class PlainMap {
 public:
  using Key = std::string;

  std::optional<Record> find(const std::string& key) {
    Shard& shard = shard_of(key);
    const std::scoped_lock hold(shard.mutex);
    const auto at = shard.records.find(key);
    if (at == shard.records.end()) return std::nullopt;
    return at->second;
  }
  std::optional<Record> insert(const std::string& key, const Record& record) {
    Shard& shard = shard_of(key);
    const std::scoped_lock hold(shard.mutex);
    const auto [at, inserted] = shard.records.try_emplace(key, record);
    if (inserted) return std::nullopt;
    return at->second;
  }
  bool replace(const std::string& key, Version expected, const Record& record) {
    Shard& shard = shard_of(key);
    const std::scoped_lock hold(shard.mutex);
    const auto at = shard.records.find(key);
    if (at == shard.records.end() || at->second.version != expected) return false;
    at->second = record;
    return true;
  }

 private:
  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Record> records;
  };
  Shard& shard_of(const std::string& key) { return (*shards_)[std::hash<std::string>{}(key) % 64]; }

  std::unique_ptr<std::array<Shard, 64>> shards_ = std::make_unique<std::array<Shard, 64>>();
};

/// Holds nothing, refuses nothing: what is left is the guard.
struct NothingStore {
  static constexpr bool local_find = true;
  std::optional<Record> find(const IdempotencyKey&) { return std::nullopt; }
  std::optional<Record> insert(const IdempotencyKey&, const Record&) { return std::nullopt; }
  bool replace(const IdempotencyKey&, Version, const Record&) { return true; }
};

// ---- what is measured
// ---------------------------------------------------------------------------------------

struct Keys {
  Keys() {
    own.reserve(key_count);
    texts.reserve(key_count);
    char text[40];
    for (std::size_t i = 0; i < key_count; ++i) {
      std::snprintf(text, sizeof text, "payment-%08zu-%015zu", i * 2654435761u % 100'000'000, i);
      own.emplace_back("", std::string_view(text, 32));
      texts.emplace_back(text, 32);
    }
  }
  std::vector<IdempotencyKey> own;
  std::vector<std::string> texts;
};

const Keys& keys() {
  static const Keys made;
  return made;
}
/// As a store of that type takes it, so that nobody pays for a conversion.
template <class AnyStore>
const auto& key(std::size_t i) {
  if constexpr (requires { typename AnyStore::Key; })
    return keys().texts[i];
  else
    return keys().own[i];
}

/// The order in which they are read: far from that in which they were written.
std::size_t scattered(std::size_t i) { return (i * 7'368'787 + 12'345) % key_count; }

const std::string response(200, 'r');

Record begun() {
  Record record;
  record.fingerprint = fingerprint("order", 1);
  record.version = 1'700'000'000'000'000;
  record.attempt_id = 0x123456789abcdef;
  record.attempts = 1;
  record.created_at = record.updated_at = Timestamp(Duration(1'700'000'000'000));
  record.lease_until = record.created_at + std::chrono::seconds(30);
  return record;
}
Record completed() {
  Record record = begun();
  record.state = State::succeeded;
  record.version += 1;
  record.expires_at = record.created_at + std::chrono::hours(24);
  record.response = response;
  record.response_format = "text";
  return record;
}

using Figures = std::map<std::string, double>;  // nanoseconds an operation, or bytes

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Runs `work(from, to)` over [0, count) on one thread and notes the processor time of an item: on a machine
/// that does other things too, that is what can be compared.
template <class Work>
void alone(Figures& figures, const std::string& name, std::size_t count, const Work& work) {
  const double cpu = processor_seconds();
  const auto begin = std::chrono::steady_clock::now();
  work(std::size_t{0}, count);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  figures[name + " 1"] = (processor_seconds() - cpu) * 1e9 / static_cast<double>(count);
  figures[name + " 1 wall"] = took.count() / static_cast<double>(count);
}

/// The same on two threads, and wall time: it has the waits in it.
template <class Work>
void together(Figures& figures, const std::string& name, std::size_t count, const Work& work) {
  std::atomic<int> ready{0};
  const auto one = [&](std::size_t from, std::size_t to) {
    ++ready;
    while (ready != 2) std::this_thread::yield();
    work(from, to);
  };
  std::thread other(one, count / 2, count);
  const auto begin = std::chrono::steady_clock::now();
  one(0, count / 2);
  other.join();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  figures[name + " 2"] = took.count() / static_cast<double>(count);
}

template <class AnyStore>
void write_all(AnyStore& store, std::size_t from, std::size_t to) {
  const Record first = begun(), second = completed();
  for (std::size_t i = from; i < to; ++i) {
    if (store.insert(key<AnyStore>(i), first)) std::abort();
    if (!store.replace(key<AnyStore>(i), first.version, second)) std::abort();
  }
}

template <class AnyStore>
void read_all(AnyStore& store, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    const std::optional<Record> found = store.find(key<AnyStore>(scattered(i)));
    if (!found || found->response.size() != response.size()) std::abort();
  }
}

template <class AnyStore>
void read_one(AnyStore& store, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i)
    if (store.find(key<AnyStore>(0))->response.size() != response.size()) std::abort();
}

template <class Guard>
void pay(Guard& guard, const Fingerprint& request, const IdempotencyKey& key) {
  const Outcome<std::string> outcome = guard.execute(key, request, [] { return response; });
  if (!outcome.succeeded() || outcome.response().size() != response.size()) std::abort();
}

template <class Guard>
void pay_all(Guard& guard, std::size_t from, std::size_t to) {
  const Fingerprint request = fingerprint("order", 1);
  for (std::size_t i = from; i < to; ++i) pay(guard, request, keys().own[i]);
}
template <class Guard>
void replay_all(Guard& guard, std::size_t from, std::size_t to) {
  const Fingerprint request = fingerprint("order", 1);
  for (std::size_t i = from; i < to; ++i) pay(guard, request, keys().own[scattered(i)]);
}
template <class Guard>
void replay_one(Guard& guard, std::size_t from, std::size_t to) {
  const Fingerprint request = fingerprint("order", 1);
  for (std::size_t i = from; i < to; ++i) pay(guard, request, keys().own[0]);
}

std::size_t allocated() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

template <class AnyStore>
Figures store_alone(const std::string& name) {
  Figures figures;
  {
    const std::size_t before = allocated();
    AnyStore store;
    alone(figures, name + " write", key_count, [&](auto from, auto to) { write_all(store, from, to); });
    figures[name + " bytes"] = static_cast<double>(allocated() - before) / static_cast<double>(key_count);
    const auto read = [&](auto from, auto to) { read_all(store, from, to); };
    const auto hot = [&](auto from, auto to) { read_one(store, from, to); };
    alone(figures, name + " read", key_count, read);
    together(figures, name + " read", key_count, read);
    alone(figures, name + " hot", hot_reads, hot);
    together(figures, name + " hot", hot_reads, hot);
  }
  AnyStore store;
  together(figures, name + " write", key_count, [&](auto from, auto to) { write_all(store, from, to); });
  return figures;
}

template <class AnyStore>
Figures guarded(const std::string& name) {
  Figures figures;
  const auto pay_with = [](auto& guard) { return [&](auto from, auto to) { pay_all(guard, from, to); }; };
  {
    const std::size_t before = allocated();
    IdempotencyGuard guard{AnyStore{}};
    alone(figures, name + " pay", key_count, pay_with(guard));
    figures[name + " guarded bytes"] =
        static_cast<double>(allocated() - before) / static_cast<double>(key_count);
    const auto replay = [&](auto from, auto to) { replay_all(guard, from, to); };
    const auto hot = [&](auto from, auto to) { replay_one(guard, from, to); };
    alone(figures, name + " replay", key_count, replay);
    together(figures, name + " replay", key_count, replay);
    alone(figures, name + " hot replay", hot_reads, hot);
    together(figures, name + " hot replay", hot_reads, hot);
  }
  IdempotencyGuard guard{AnyStore{}};
  together(figures, name + " pay", key_count, pay_with(guard));
  return figures;
}

Figures guard_alone() {
  Figures figures;
  IdempotencyGuard guard{NothingStore{}};
  const auto work = [&](auto from, auto to) { pay_all(guard, from, to); };
  alone(figures, "guard alone", key_count, work);
  together(figures, "guard alone", key_count, work);
  return figures;
}

// ---- the table
// ----------------------------------------------------------------------------------------------

class Medians {
 public:
  void add(const Figures& figures) {
    for (const auto& [name, figure] : figures) all_[name].push_back(figure);
  }
  double of(const std::string& name) const {
    std::vector<double> sorted = all_.at(name);
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }
  /// The median of the ratios taken repetition by repetition.
  double ratio(const std::string& name, const std::string& baseline) const {
    const auto &mine = all_.at(name), &theirs = all_.at(baseline);
    std::vector<double> sorted;
    for (std::size_t i = 0; i < mine.size(); ++i) sorted.push_back(mine[i] / theirs[i]);
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }

 private:
  std::map<std::string, std::vector<double>> all_;
};

enum class Better { lower, higher };

void row(const Medians& medians, const char* what, const std::string& mine, const std::string& baseline,
         double goal, Better better = Better::lower) {
  // For a speed-up, the other way round: how many times as much in the same time.
  const double ratio =
      better == Better::lower ? medians.ratio(mine, baseline) : medians.ratio(baseline, mine);
  std::printf("%-48s %10.0f %10.0f %8.2f", what, medians.of(mine), medians.of(baseline), ratio);
  if (goal > 0) {
    const bool met = better == Better::lower ? ratio <= goal : ratio >= goal;
    std::printf("   %s %.2f  %s", better == Better::lower ? "<=" : ">=", goal, met ? "met" : "NOT MET");
  }
  std::printf("\n");
}

void limit(const Medians& medians, const char* what, const std::string& mine, double goal) {
  const double figure = medians.of(mine);
  std::printf("%-48s %10.0f %10s %8s   <= %.0f  %s\n", what, figure, "", "", goal,
              figure <= goal ? "met" : "NOT MET");
}

void print(const Medians& medians) {
  std::printf(
      "\n%zu keys, medians of %d; ns an operation (one thread: of processor time), or bytes a record\n",
      key_count, repetitions);
  std::printf("%-48s %10s %10s %8s   goal\n", "", "here", "baseline", "ratio");
  std::printf("-- the store alone, against the plain sharded map\n");
  row(medians, "insert + replace, 1 thread", "store write 1", "plain write 1", 0);
  row(medians, "insert + replace, 2 threads", "store write 2", "plain write 2", 0);
  row(medians, "find, 1 thread", "store read 1", "plain read 1", 0);
  row(medians, "find, 2 threads", "store read 2", "plain read 2", 0);
  row(medians, "find of one hot key, 1 thread", "store hot 1", "plain hot 1", 0);
  row(medians, "find of one hot key, 2 threads", "store hot 2", "plain hot 2", 0);
  row(medians, "bytes a record", "store bytes", "plain bytes", 0);
  std::printf("-- the guard over it, against the plain map's two operations, or its find\n");
  row(medians, "new payment, 1 thread", "store pay 1", "plain write 1", 0.85);
  row(medians, "new payment, 2 threads", "store pay 2", "plain write 2", 0.85);
  row(medians, "replay, 1 thread", "store replay 1", "plain read 1", 0.9);
  row(medians, "replay, 2 threads", "store replay 2", "plain read 2", 0.9);
  row(medians, "replay of one hot key, 2 threads against 1", "store hot replay 2", "store hot replay 1 wall",
      1.3, Better::higher);
  limit(medians, "bytes a record", "store guarded bytes", 360);
  std::printf("-- the guard over a store that does nothing\n");
  limit(medians, "new payment, 1 thread", "guard alone 1", 500);
  row(medians, "new payment, 2 threads against 1", "guard alone 2", "guard alone 1 wall", 0, Better::higher);
}

}  // namespace

/// Google Benchmark runs it, once: it names the repetition that is under way, and takes its options.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc > 1) key_count = std::strtoull(argv[1], nullptr, 10);
  if (key_count < 1000) {
    std::fprintf(stderr, "usage: %s [options of Google Benchmark] [number of keys, 1000 at least]\n",
                 argv[0]);
    return 2;
  }
  keys();
  Medians medians;
  const auto add = [&](const char* name, std::function<Figures()> measure) {
    benchmark::RegisterBenchmark(name,
                                 [&medians, measure = std::move(measure)](benchmark::State& state) {
                                   for (auto _ : state) medians.add(measure());
                                 })
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  };
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    add("plain map", [] { return store_alone<PlainMap>("plain"); });
    add("store", [] { return store_alone<MemoryStore>("store"); });
    add("guard over the store", [] { return guarded<MemoryStore>("store"); });
    add("guard alone", guard_alone);
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  print(medians);
}
