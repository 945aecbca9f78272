// How fast abandoned payments are settled, and what bounds it: the provider's answers, or finding them.
//
//   recovery_benchmark [DIR] [stored payments; 1,000,000] [abandoned; 10,000]
//
// Fills a file store in DIR (made and removed; default: under the temporary directory) with completed
// payments and, among them, abandoned ones; opens it again; settles all with a provider that takes a
// millisecond for an answer, by 8 questions at a time. Beside it, for the ratio: the same questions asked by
// the same number of threads that have nothing else to do. Then the same with a store that holds the
// abandoned ones alone.

#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/recover.hpp>
#include <paidonce/stores/file.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace paidonce;
using Seconds = std::chrono::duration<double>;
namespace fs = std::filesystem;

constexpr std::size_t at_a_time = 8;

double seconds(auto&& what) {
  const auto start = std::chrono::steady_clock::now();
  what();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

/// The provider answers: its latency is its own, so this is a wait and not work.
void answer() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

Record record(State state, Timestamp now) {
  Record made;
  made.fingerprint = fingerprint("order");
  made.state = state;
  made.version = next_version(now);
  made.attempt_id = 7;
  made.attempts = 1;
  made.created_at = made.updated_at = made.lease_until = now;
  made.amount = "4.50 EUR";
  if (state != State::in_progress) {
    made.expires_at = now + std::chrono::hours(24);
    made.response.assign(200, 'r');
    made.response_format = Codec<std::string>::format;
  }
  return made;
}

void fill(FileStore& store, std::size_t stored, std::size_t abandoned) {
  const Timestamp now = SystemClock().now();
  const Record done = record(State::succeeded, now), open = record(State::in_progress, now);
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 128; ++thread)
    threads.emplace_back([&] {
      for (std::size_t at; (at = next++) < stored + abandoned;)
        (void)store.insert(IdempotencyKey("shop", "order-" + std::to_string(at)),
                           at % (stored / abandoned + 1) == 0 ? open : done);
    });
  for (std::thread& thread : threads) thread.join();
}

void run(const fs::path& directory, std::size_t stored, std::size_t abandoned, double alone) {
  {
    FileStore store(directory);
    fill(store, stored, abandoned);
  }
  FileStore store(directory);
  IdempotencyGuard guard(store);
  RecoveryOptions options;
  options.concurrency = at_a_time;
  RecoveryReport report;
  const double took = seconds([&] {
    report = recover(
        guard,
        [](const Doubt&) -> PaymentResult<std::string> {
          answer();
          return succeeded(std::string("receipt"));
        },
        options);
  });
  std::size_t met = 0;
  const double finding = seconds([&] {
    store.scan({{State::in_progress, State::in_doubt}}, [&](const IdempotencyKey&, const Record&) {
      ++met;
      return true;
    });
  });
  std::printf("%9zu stored, %zu settled: %.2f s, %.2f of the questions alone; nothing found in %.6f s\n",
              stored, report.succeeded, took, took / alone, finding);
  if (met != 0) std::printf("          %zu are still open\n", met);
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path directory =
      argc > 1 ? fs::path(argv[1]) : fs::temp_directory_path() / "paidonce-recovery-benchmark";
  const std::size_t stored = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const std::size_t abandoned = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 10'000;
  if (abandoned == 0 || stored == 0) {
    std::fprintf(stderr, "recovery_benchmark: both numbers must be at least 1\n");
    return 2;
  }
  for (int round = 0; round < 3; ++round) {
    const double alone = seconds([&] {
      std::atomic<std::size_t> next{0};
      std::vector<std::thread> threads;
      for (std::size_t thread = 0; thread < at_a_time; ++thread)
        threads.emplace_back([&] {
          while (next++ < abandoned) answer();
        });
      for (std::thread& thread : threads) thread.join();
    });
    std::printf("the questions alone: %.2f s\n", alone);
    for (const std::size_t beside : {stored, std::size_t{1}}) {
      run(directory, beside, abandoned, alone);
      fs::remove_all(directory);
    }
  }
}
