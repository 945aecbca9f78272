// Eight threads with one file store: new payments, duplicates, sweeps and compaction, with the store's own
// threads beside them. What was paid once is paid once, also when it is opened again.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "fault/fast_directory.hpp"
#include "support/catch.hpp"

using namespace paidonce;

namespace {

std::string answer_to(unsigned order) {
  return "paid " + std::to_string(order) + ' ' +
         std::string(order * 131 % 700, static_cast<char>('a' + order % 26));
}
IdempotencyKey key_of(unsigned order) { return {"shop", "order-" + std::to_string(order)}; }

void crowd(std::chrono::seconds length) {
  const fault::FastDirectory files;
  FileStoreOptions store_options;
  store_options.segment_bytes = std::size_t{256} << 10U;
  store_options.max_record_bytes = std::size_t{8} << 10U;
  store_options.compact_at_percent = 30;
  store_options.shards = 8;
  constexpr unsigned most = 4'000'000;
  std::vector<std::atomic<std::uint8_t>> charges(most);
  std::atomic<unsigned> next{0};
  std::atomic<std::size_t> wrong{0}, replayed{0}, refused{0}, swept{0}, compacted{0}, passing{0};
  {
    FileStore store(files / "store", store_options);
    ManualClock clock;
    GuardOptions options;
    options.heartbeat = false;
    options.wait = std::chrono::seconds(20);
    options.retention = std::chrono::hours(24 * 365 * 20);
    IdempotencyGuard<FileStore&, KeyedMutex, ManualClock> guard(store, KeyedMutex(), clock, options);
    const auto end = std::chrono::steady_clock::now() + length;

    const auto pay = [&](unsigned order) {
      const auto outcome = guard.execute(key_of(order), fingerprint(order), [&] {
        charges[order].fetch_add(1);
        return answer_to(order);
      });
      if (outcome.status() != Status::completed || outcome.response() != answer_to(order)) wrong.fetch_add(1);
      if (outcome.replayed()) replayed.fetch_add(1);
    };
    // Payments whose retention is over soon, by a clock in haste: they are swept and begun anew all the time.
    const auto pass = [&](unsigned order) {
      CallOptions soon;
      soon.retention = std::chrono::seconds(60);
      const auto outcome = guard.execute(
          IdempotencyKey("passing", std::to_string(order)), fingerprint(order),
          [&] { return answer_to(order); }, soon);
      if (outcome.status() != Status::completed || outcome.response() != answer_to(order)) wrong.fetch_add(1);
      passing.fetch_add(1);
    };
    const auto work = [&](unsigned seed) {
      std::mt19937 random(seed);
      try {
        while (std::chrono::steady_clock::now() < end) {
          switch (random() % 8) {
            case 0:
            case 1:
            case 2:
              if (const unsigned order = next.fetch_add(1); order < most) pay(order);
              break;
            case 3:
            case 4:  // a duplicate, perhaps of one that runs
              if (const unsigned known = next.load(); known > 0)
                pay(known - 1 - static_cast<unsigned>(random() % std::min(known, 50U)));
              break;
            case 5:
            case 6: pass(static_cast<unsigned>(random() % 100)); break;
            default:
              clock.advance(std::chrono::seconds(1));
              if (random() % 20 == 0) swept.fetch_add(store.erase_expired(clock.now(), 50));
              if (random() % 200 == 0) compacted.fetch_add(store.compact());
              break;
          }
        }
      } catch (const std::exception& error) {
        refused.fetch_add(1);
        const std::string what = error.what();
        static std::mutex printing;
        const std::lock_guard lock(printing);
        std::fprintf(stderr, "%s\n", what.c_str());
      }
    };
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 8; ++thread) threads.emplace_back(work, thread + 1);
    for (std::thread& thread : threads) thread.join();
    compacted.fetch_add(store.stats().compacted);
  }
  CHECK(wrong == 0);
  CHECK(refused == 0);
  CHECK(replayed > 0);
  CHECK(passing > 0);
  CHECK(swept > 0);
  CHECK(compacted > 0);
  const unsigned paid = std::min(next.load(), most);
  CHECK(paid > 50);
  std::size_t not_once = 0, not_there = 0;
  FileStore store(files / "store", store_options);
  for (unsigned order = 0; order < paid; ++order) {
    const unsigned charged = charges[order].load();
    not_once += charged != 1 ? 1U : 0U;
    const auto found = store.find(key_of(order));
    not_there += !found || found->state != State::succeeded || found->response != answer_to(order) ? 1U : 0U;
  }
  INFO(paid << " payments, " << replayed << " replayed, " << swept << " swept, " << compacted
            << " segments compacted");
  CHECK(not_once == 0);
  CHECK(not_there == 0);
}

}  // namespace

TEST_CASE("eight threads pay, repeat, sweep and compact for some seconds", "[store][file][threads]") {
  crowd(std::chrono::seconds(5));
}

TEST_CASE("eight threads pay, repeat, sweep and compact for a minute", "[store][file][threads][soak]") {
  crowd(std::chrono::seconds(60));
}
