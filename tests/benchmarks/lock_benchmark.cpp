// What it costs to acquire a free key and to release it, with each lock, and for a FileLock beside keys that
// are held: the kernel walks them all.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/locks/file_lock.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/locks/no_lock.hpp>

namespace {

using namespace paidonce;

const std::vector<IdempotencyKey>& keys() {
  static const std::vector<IdempotencyKey> all = [] {
    std::vector<IdempotencyKey> made;
    for (int i = 0; i < 1024; ++i) made.push_back(IdempotencyKey::generate("shop"));
    return made;
  }();
  return all;
}

template <class L>
void pass(benchmark::State& state, L& lock) {
  std::size_t i = 0;
  for (auto _ : state) {
    auto hold = lock.acquire(keys()[i++ % keys().size()], Duration(0));
    benchmark::DoNotOptimize(hold);
  }
}

void no_lock(benchmark::State& state) {
  NoLock lock;
  pass(state, lock);
}

void keyed_mutex(benchmark::State& state) {
  KeyedMutex lock;
  pass(state, lock);
}

/// The argument: keys that are held meanwhile, half of them by another handle.
void file_lock(benchmark::State& state) {
  std::string directory = (std::filesystem::temp_directory_path() / "paidonce-XXXXXX").string();
  if (!::mkdtemp(directory.data())) std::abort();
  {
    FileLock lock{std::filesystem::path(directory) / "lock"},
        other{std::filesystem::path(directory) / "lock"};
    std::vector<FileLock::Hold> holds;
    for (int i = 0; i < state.range(0); ++i)
      holds.push_back(
          std::move(*(i % 2 == 0 ? lock : other).acquire(IdempotencyKey::generate("held"), Duration(0))));
    pass(state, lock);
  }
  std::filesystem::remove_all(directory);
}

BENCHMARK(no_lock);
BENCHMARK(keyed_mutex);
BENCHMARK(file_lock)->Arg(0)->Arg(100)->Arg(1000)->Arg(10'000);

}  // namespace

BENCHMARK_MAIN();
