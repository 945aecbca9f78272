#pragma once
// What a stock of records costs the payments beside it: a table that grows, and a sweep that erases.

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/stores/sqlite.hpp>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"
#include "benchmarks/file/report.hpp"

namespace sqlite_benchmark {

using namespace file_benchmark;

/// Payments through a store that is there already.
class StockPeer final : public Peer {
 public:
  StockPeer(paidonce::SqliteStore& store, std::uint64_t first) : store_(store), first_(first) {}
  void pay(Lane& lane) override {
    const paidonce::Record first = begun(), second = completed();
    lane.pay_one_by_one([&](std::uint64_t id) {
      const paidonce::IdempotencyKey key = key_of(first_ + id);
      if (store_.insert(key, first) || !store_.replace(key, first.version, second))
        throw std::runtime_error("the store refused a payment");
    });
  }

 private:
  paidonce::SqliteStore& store_;
  const std::uint64_t first_;
};

/// Completed records, up to so many in all, each transaction with a thousand.
inline void fill(paidonce::SqliteStore& store, std::uint64_t from, std::uint64_t to,
                 paidonce::Timestamp expires) {
  paidonce::Record record = completed();
  record.expires_at = expires;
  for (std::uint64_t id = from; id < to;)
    store.transact([&](paidonce::SqliteStore::Transaction& transaction) {
      for (const std::uint64_t end = std::min(to, id + 1000); id < end; ++id)
        transaction.insert(key_of((std::uint64_t{1} << 50) + id), record);
    });
}

/// Payments a second with one thread and with 32, at each size of the table.
inline void measure_growth(const std::filesystem::path& directory, double seconds, std::vector<Goal>& goals) {
  paidonce::SqliteStore store(directory / "payments.db");
  std::vector<double> alone, many;
  std::uint64_t stored = 0, paid = 0;
  for (const std::uint64_t size : {10'000U, 100'000U, 500'000U, 2'000'000U}) {
    fill(store, stored, size, paidonce::Timestamp::max());
    stored = size;
    for (const std::size_t threads : {std::size_t{1}, std::size_t{32}}) {
      StockPeer peer(store, ++paid << 52);
      const Run run = measure(peer, {threads, 0}, std::chrono::duration<double>(seconds));
      (threads == 1 ? alone : many).push_back(run.payments_per_second);
      std::fprintf(stderr, "%llu records, %zu threads: %.0f payments/s, p99 %.0f us, %.0f MB\n",
                   static_cast<unsigned long long>(size), threads, run.payments_per_second, run.p99,
                   static_cast<double>(std::filesystem::file_size(directory / "payments.db")) / 1e6);
    }
  }
  goals.push_back({"2,000,000 records / 10,000 records, 1 thread", alone.back() / alone.front(), 0.8});
  goals.push_back({"2,000,000 records / 10,000 records, 32 threads", many.back() / many.front(), 0.8});
}

/// Payments by 8 threads, first alone and then beside a sweep of what has expired.
inline void measure_sweep(const std::filesystem::path& directory, double seconds, std::vector<Goal>& goals) {
  paidonce::SqliteStore store(directory / "payments.db");
  constexpr std::uint64_t expired = 500'000;
  fill(store, 0, expired, paidonce::Timestamp(paidonce::Duration(1)));
  const std::chrono::duration<double> time(seconds);
  StockPeer before(store, std::uint64_t{1} << 52);
  const Run alone = measure(before, {8, 0}, time);
  std::atomic<bool> ends{false};
  std::uint64_t erased = 0;
  const auto began = Clock::now();
  Clock::duration took{};
  std::thread sweeper([&] {
    while (!ends) {
      const std::size_t now = store.erase_expired(paidonce::Timestamp(paidonce::Duration(2)), 1000);
      if (now == 0) break;
      erased += now;
      took = Clock::now() - began;
    }
  });
  StockPeer beside(store, std::uint64_t{2} << 52);
  const Run swept = measure(beside, {8, 0}, time);
  ends = true;
  sweeper.join();
  std::fprintf(
      stderr,
      "alone: %.0f payments/s, p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n"
      "beside a sweep: %.0f payments/s, p50 %.0f us, p99 %.0f us, p99.9 %.0f us; %.0f records erased a "
      "second\n",
      alone.payments_per_second, alone.p50, alone.p99, alone.p999, swept.payments_per_second, swept.p50,
      swept.p99, swept.p999, static_cast<double>(erased) / std::chrono::duration<double>(took).count());
  goals.push_back({"p99 of payments beside a sweep / alone", swept.p99 / alone.p99, 2, Goal::Better::lower});
}

}  // namespace sqlite_benchmark
