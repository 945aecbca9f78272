// What an observer adds to a payment: the same payments through guards that differ in their observer alone,
// over a store in memory and over one that does nothing.
//
//   observer_benchmark [number of payments for each guard; 100,000]
//
// The guards take turns, 500 payments at a time, so that a machine that slows down slows all of them, and
// each turn is compared with the turns beside it: what is printed are medians of the differences, in
// nanoseconds of processor time a payment. The order of the guards, and of the making of their stores, is
// drawn anew each time. Where the compiler puts a guard's code is worth as much as what is measured, so there
// are three guards of each kind, of different types: the figure is the mean of the three, behind it are the
// lowest and the highest.
//
//   observer_benchmark once none|metrics|composed
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
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace paidonce;

constexpr std::size_t turn = 500;
constexpr int rounds = 8;
constexpr std::size_t kinds = 3, copies = 3;
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

/// One kind of observer each, in types of their own.
template <std::size_t Copy>
struct Silent : NoObserver {};
template <std::size_t Copy>
struct Readings : NoObserver {
  static constexpr bool measures_time = true;
};
template <std::size_t Copy>
struct Counting : Metrics {};

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

/// A guard of any type, and its store.
template <class S, class O>
struct Payer {
  S store;
  O observer;
  IdempotencyGuard<S&, KeyedMutex, SystemClock, O&> guard{store, KeyedMutex{}, SystemClock{}, GuardOptions{},
                                                          observer};
};

template <class S, std::size_t Copy>
void make(std::array<std::function<double(std::size_t)>, kinds * copies>& payers, std::size_t which) {
  const auto add = [&](auto payer) {
    payers[which] = [payer](std::size_t from) { return pay(payer->guard, from, turn); };
  };
  if (which % copies != Copy) return;
  if (which / copies == 0) add(std::make_shared<Payer<S, Silent<Copy>>>());
  if (which / copies == 1) add(std::make_shared<Payer<S, Readings<Copy>>>());
  if (which / copies == 2) add(std::make_shared<Payer<S, Counting<Copy>>>());
}

template <class S>
void measure(const char* name) {
  constexpr std::size_t guards = kinds * copies;
  std::array<std::vector<double>, guards> cost;
  std::array<std::size_t, guards> order;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::minstd_rand random;
  for (int round = 0; round < rounds; ++round) {
    std::array<std::function<double(std::size_t)>, guards> payers;
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t which : order) {
      make<S, 0>(payers, which);
      make<S, 1>(payers, which);
      make<S, 2>(payers, which);
    }
    for (std::size_t at = 0; at < keys.size(); at += turn) {
      std::array<double, guards> took{};
      std::shuffle(order.begin(), order.end(), random);
      for (const std::size_t which : order) took[which] = payers[which](at);
      const double none = (took[0] + took[1] + took[2]) / static_cast<double>(copies);
      for (std::size_t i = 0; i < guards; ++i) cost[i].push_back(i < copies ? took[i] : took[i] - none);
    }
  }
  const auto mean = [&](std::size_t kind) {
    double sum = 0;
    for (std::size_t i = 0; i < copies; ++i) sum += median(cost[kind * copies + i]);
    return sum / static_cast<double>(copies);
  };
  const auto extent = [&](std::size_t kind) {
    double low = median(cost[kind * copies]), high = low;
    for (std::size_t i = 1; i < copies; ++i) {
      low = std::min(low, median(cost[kind * copies + i]));
      high = std::max(high, median(cost[kind * copies + i]));
    }
    char text[40];
    std::snprintf(text, sizeof text, "(%.0f to %.0f)", low, high);
    return std::string(text);
  };
  std::printf("%-16s %6.0f %-14s %+8.1f %-14s %+8.1f %-14s <= %.0f  %s\n", name, mean(0), extent(0).c_str(),
              mean(1), extent(1).c_str(), mean(2), extent(2).c_str(), goal,
              mean(2) <= goal ? "met" : "NOT MET");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool once = argc == 3 && std::string_view(argv[1]) == "once";
  std::size_t count = once ? 20'000 : argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  count = count / turn * turn;
  if (count == 0 || (argc > 2 && !once)) {
    std::fprintf(stderr, "usage: %s [payments, 500 at least] | once none|metrics|composed\n", argv[0]);
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
    } else if (std::string_view(argv[2]) == "composed") {
      IdempotencyGuard guard{NothingStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{},
                             Observers{metrics, NoObserver{}}};
      pay(guard, 0, count);
    } else {
      IdempotencyGuard guard{NothingStore{}, KeyedMutex{}, SystemClock{}, GuardOptions{}};
      pay(guard, 0, count);
    }
    return 0;
  }
  std::printf("%-16s %6s %-14s %8s %-14s %8s %-14s goal\n", "ns a payment", "none", "", "readings", "",
              "metrics", "");
  measure<MemoryStore>("MemoryStore");
  measure<NothingStore>("nothing stored");
}
