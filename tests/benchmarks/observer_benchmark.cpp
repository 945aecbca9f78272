// What an observer adds to a payment: the same payments through guards that differ in their observer alone,
// over a store in memory and over one that does nothing.
//
//   observer_benchmark [number of payments for each guard; 200,000]
//
// The guards take turns, 2,000 payments at a time, so that a machine that slows down slows all of them, and
// each turn is compared with the turn beside it: the medians of the differences are printed, in nanoseconds
// of processor time a payment. The order of the guards, and of the making of their stores, is drawn anew each
// time: where a store lies in memory, and who pays a key first, is worth more than what is measured.
//
//   observer_benchmark once none|metrics
//
// pays 20,000 times and ends: for tools that count instructions, as valgrind --tool=callgrind.

#include <paidonce/observe/metrics.hpp>
#include <paidonce/observe/observers.hpp>
#include <paidonce/paidonce.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace paidonce;

constexpr std::size_t turn = 2000;
constexpr int rounds = 12;
constexpr double goal = 60;

const std::string response(200, 'r');
std::vector<IdempotencyKey> keys;

/// Holds nothing, refuses nothing: what is left is the guard.
struct NothingStore {
  static constexpr bool local_find = true;
  std::optional<Record> find(const IdempotencyKey&) { return std::nullopt; }
  std::optional<Record> insert(const IdempotencyKey&, const Record&) { return std::nullopt; }
  bool replace(const IdempotencyKey&, Version, const Record&) { return true; }
};

/// Has the clock read and looks at nothing.
struct Readings {
  static constexpr bool measures_time = true;
  template <class Event>
  void on(const Event&) const noexcept {}
};

double processor_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

template <class Guard>
double pay(Guard& guard, std::size_t from, std::size_t count) {
  const Fingerprint request = fingerprint("order", 1);
  const double begin = processor_nanoseconds();
  for (std::size_t i = from; i < from + count; ++i) {
    const Outcome<std::string> outcome = guard.execute(keys[i], request, [] { return response; });
    if (!outcome.succeeded()) std::abort();
  }
  return (processor_nanoseconds() - begin) / static_cast<double>(count);
}

double median(std::vector<double> all) {
  const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
  std::nth_element(all.begin(), middle, all.end());
  return *middle;
}

template <class S>
void measure(const char* name) {
  constexpr std::size_t guards = 4;
  std::array<std::vector<double>, guards> cost;
  std::array<std::size_t, guards> order = {0, 1, 2, 3};
  std::minstd_rand random;
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    std::array<std::unique_ptr<S>, guards> stores;
    for (const std::size_t which : order) stores[which] = std::make_unique<S>();
    Metrics metrics, composed;
    IdempotencyGuard none{*stores[0], KeyedMutex{}, SystemClock{}, GuardOptions{}};
    IdempotencyGuard timed{*stores[1], KeyedMutex{}, SystemClock{}, GuardOptions{}, Readings{}};
    IdempotencyGuard counted{*stores[2], KeyedMutex{}, SystemClock{}, GuardOptions{}, metrics};
    IdempotencyGuard both{*stores[3], KeyedMutex{}, SystemClock{}, GuardOptions{},
                          Observers{composed, NoObserver{}}};
    for (std::size_t at = 0; at < keys.size(); at += turn) {
      std::array<double, guards> took{};
      std::shuffle(order.begin(), order.end(), random);
      for (const std::size_t which : order) {
        took[which] = which == 0   ? pay(none, at, turn)
                      : which == 1 ? pay(timed, at, turn)
                      : which == 2 ? pay(counted, at, turn)
                                   : pay(both, at, turn);
      }
      cost[0].push_back(took[0]);
      for (std::size_t i = 1; i < guards; ++i) cost[i].push_back(took[i] - took[0]);
    }
    if (metrics.snapshot().succeeded() != keys.size()) std::abort();
  }
  const double metrics = median(cost[2]);
  std::printf("%-18s %8.0f %+16.1f %+10.1f %+22.1f   <= %.0f  %s\n", name, median(cost[0]), median(cost[1]),
              metrics, median(cost[3]), goal, metrics <= goal ? "met" : "NOT MET");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool once = argc == 3 && std::string_view(argv[1]) == "once";
  std::size_t count = once ? 20'000 : argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
  count = count / turn * turn;
  if (count == 0 || (argc > 2 && !once)) {
    std::fprintf(stderr, "usage: %s [payments, 2000 at least] | once none|metrics\n", argv[0]);
    return 2;
  }
  keys.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    char text[40];
    std::snprintf(text, sizeof text, "payment-%08zu-%015zu", i * 2654435761u % 100'000'000, i);
    keys.emplace_back("", std::string_view(text, 32));
  }
  if (once) {
    Metrics metrics;
    if (std::string_view(argv[2]) == "metrics") {
      IdempotencyGuard guard{NothingStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{}, metrics};
      pay(guard, 0, count);
    } else {
      IdempotencyGuard guard{NothingStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{}};
      pay(guard, 0, count);
    }
    return 0;
  }
  std::printf("%-18s %8s %16s %10s %22s   goal\n", "ns a payment", "none", "clock readings", "metrics",
              "metrics in Observers");
  measure<MemoryStore>("MemoryStore");
  measure<NothingStore>("nothing stored");
}
