#pragma once
// What else a file store costs: a replay, opening, memory and disk, and running payments beside a compaction.

#include <fcntl.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>
#include <paidonce/stores/file/crc32c.hpp>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"
#include "benchmarks/file/report.hpp"
#include "benchmarks/file/store_peers.hpp"

namespace file_benchmark {

inline double seconds_of(const auto& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Of this thread: what a busy machine disturbs least.
inline double processor_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Finished payments, written by callbacks.
inline void fill(paidonce::FileStore& store, std::uint64_t count) {
  const paidonce::Record first = begun(), second = completed();
  std::uint64_t id = 0;
  PaymentsInFlight payments(store, std::min<std::uint64_t>(count, 512));
  payments.run(
      [&]() -> std::optional<PaymentsInFlight::Step> {
        if (id == count) return std::nullopt;
        return PaymentsInFlight::Step{key_of(id++), &first, &second};
      },
      [](Clock::time_point) {});
}

// ---- replay

/// The guard over a file store, and over a store in memory: processor time of a replay, in turns.
inline void measure_replay(const std::filesystem::path& directory, std::size_t rounds,
                           std::vector<Goal>& goals) {
  constexpr std::uint64_t count = 100'000;
  const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
  paidonce::MemoryStore memory;
  paidonce::FileStore file(directory / "replay");
  {
    paidonce::IdempotencyGuard paid(memory);  // borrowed
    for (std::uint64_t id = 0; id < count; ++id) pay(paid, request, key_of(id));
  }
  std::vector<std::pair<paidonce::IdempotencyKey, paidonce::Record>> records;
  records.reserve(count);  // in the order in which the other store was filled: neighbours in memory matter
  for (std::uint64_t id = 0; id < count; ++id)
    records.emplace_back(key_of(id), memory.find(key_of(id)).value());
  std::latch written(static_cast<std::ptrdiff_t>(records.size()));
  for (const auto& [key, record] : records)
    file.async_insert(key, record,
                      [&](std::exception_ptr, std::optional<paidonce::Record>) { written.count_down(); });
  written.wait();
  records = {};

  std::vector<paidonce::IdempotencyKey> keys;
  for (std::uint64_t id = 0; id < count; ++id) keys.push_back(key_of((id * 68'491 + 12'345) % count));
  const auto nanoseconds = [&](auto& guard, std::size_t same) {
    const double begin = processor_seconds();
    for (std::uint64_t i = 0; i < count; ++i) pay(guard, request, keys[same != 0 ? 0 : i]);
    return (processor_seconds() - begin) * 1e9 / static_cast<double>(count);
  };
  paidonce::IdempotencyGuard over_memory(std::move(memory));
  paidonce::IdempotencyGuard over_file(std::move(file));
  std::array<std::vector<double>, 2> ratios, ours;
  for (std::size_t round = 0; round < std::max<std::size_t>(rounds, 5); ++round)
    for (const std::size_t same : {std::size_t{0}, std::size_t{1}}) {
      const double there = nanoseconds(over_memory, same), here = nanoseconds(over_file, same);
      ratios[same].push_back(here / there);
      ours[same].push_back(here);
    }
  std::printf("\nreplay over a file store: %.0f ns of scattered keys, %.0f ns of one key\n", median(ours[0]),
              median(ours[1]));
  goals.push_back({"replay over FileStore / over MemoryStore, scattered keys", median(ratios[0]), 1.1,
                   Goal::Better::lower});
  goals.push_back(
      {"replay over FileStore / over MemoryStore, one key", median(ratios[1]), 1.1, Goal::Better::lower});
}

// ---- opening, memory, disk

enum class PageCache { warm, cold };

/// Asks the kernel to forget the files' pages; they must be on the disk already.
inline void forget_pages(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const int fd = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    ::fdatasync(fd);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

/// Reads the first `bytes` of the log's files, in their order. Returns their checksum.
inline std::uint32_t read_and_checksum(const std::filesystem::path& directory, std::uint64_t bytes) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<char> buffer(std::size_t{1} << 20);
  std::uint32_t crc = 0;
  for (const auto& file : files) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    for (;;) {
      const ssize_t got = ::read(fd, buffer.data(), std::min<std::uint64_t>(buffer.size(), bytes));
      if (got <= 0) break;
      crc = paidonce::crc32c(crc, buffer.data(), static_cast<std::size_t>(got));
      bytes -= static_cast<std::uint64_t>(got);
    }
    ::close(fd);
  }
  return crc;
}

inline double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

struct Opening {
  double seconds = 0, resident_bytes = 0, allocated_bytes = 0, records = 0;
};

/// In a process of its own, so that memory is counted from nothing.
inline Opening open_in_child(const std::filesystem::path& directory) {
  int pipe[2];
  if (::pipe(pipe) != 0) throw std::runtime_error("no pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    Opening result;
    ::malloc_trim(0);
    const double resident = resident_bytes();
    const auto allocated = [] {
      const auto info = ::mallinfo2();
      return static_cast<double>(info.uordblks + info.hblkhd);
    };
    const double before = allocated();
    const auto begin = Clock::now();
    const paidonce::FileStore store(directory);
    result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    result.resident_bytes = resident_bytes() - resident;
    result.allocated_bytes = allocated() - before;
    result.records = static_cast<double>(store.stats().records);
    const bool told = ::write(pipe[1], &result, sizeof result) == sizeof result;
    ::_exit(told ? 0 : 1);
  }
  ::close(pipe[1]);
  Opening result;
  const bool heard = ::read(pipe[0], &result, sizeof result) == sizeof result;
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!heard || status != 0) throw std::runtime_error("the store could not be opened");
  return result;
}

inline void measure_opening(const std::filesystem::path& directory, std::size_t rounds,
                            std::vector<Goal>& goals) {
  constexpr std::uint64_t count = 1'000'000;
  const std::filesystem::path path = directory / "opening";
  paidonce::FileStoreStats stats;
  {
    paidonce::FileStoreOptions options;
    options.compact_at_percent = 99;
    paidonce::FileStore store(path, options);
    fill(store, count);
    stats = store.stats();
  }
  const auto bytes = static_cast<double>(stats.log_bytes);
  const auto key_size = static_cast<double>(key_of(0).bytes().size());
  const auto first = static_cast<double>(paidonce::to_bytes(begun()).size());
  const auto second = static_cast<double>(paidonce::to_bytes(completed()).size());
  const double a_payment = bytes / static_cast<double>(count);
  std::printf(
      "\n%.0f bytes of log a payment, before compaction; key of %.0f bytes, record of %.0f and %.0f in its "
      "byte "
      "form; size of the files %.0f\n",
      a_payment, key_size, first, second, static_cast<double>(stats.disk_bytes) / static_cast<double>(count));
  goals.push_back({"log a payment / key and record of both writes",
                   a_payment / (2 * key_size + first + second), 1.6, Goal::Better::lower});
  goals.push_back({"log a payment / key and record as completed", a_payment / (key_size + second), 1.6,
                   Goal::Better::lower});

  for (const PageCache cache : {PageCache::warm, PageCache::cold}) {
    std::vector<double> ratios, reads, opens;
    Opening opening;
    for (std::size_t round = 0; round < rounds; ++round) {
      if (cache == PageCache::cold) forget_pages(path);
      std::uint32_t checksum = 0;
      const double read = seconds_of([&] { checksum = read_and_checksum(path, stats.log_bytes); });
      if (checksum == 0) std::fprintf(stderr, "the checksum is zero\n");  // it is used
      if (cache == PageCache::cold) forget_pages(path);
      opening = open_in_child(path);
      ratios.push_back(opening.seconds / read);
      reads.push_back(read);
      opens.push_back(opening.seconds);
    }
    const std::string which = cache == PageCache::warm ? "cached" : "not cached";
    std::printf("opening %.0f records, %s: %.2f s; reading and checksumming %.0f MB: %.2f s\n",
                opening.records, which.c_str(), median(opens), bytes / 1e6, median(reads));
    goals.push_back({"opening 1,000,000 payments / reading and checksumming, " + which, median(ratios), 2,
                     Goal::Better::lower});
    if (cache == PageCache::warm) {
      goals.push_back({"bytes of memory a record, resident after opening",
                       opening.resident_bytes / opening.records, 400, Goal::Better::lower});
      goals.push_back({"bytes of memory a record, as allocated", opening.allocated_bytes / opening.records,
                       400, Goal::Better::lower});
    }
  }
}

// ---- compaction

/// Payments through the guard, with somebody compacting beside them or not.
class CompactingPeer final : public Peer {
 public:
  CompactingPeer(const std::filesystem::path& directory, std::uint64_t finished, bool compacts)
      : store_(opened(directory)), guard_(store_), compacts_(compacts) {
    fill(store_, finished);
  }
  void enter(Lane& lane) override {
    if (compacts_ && lane.number() == 0) compactor_ = std::thread([this] { dropped_ = store_.compact(); });
  }
  void pay(Lane& lane) override {
    const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
    // Behind those that were there before.
    lane.pay_one_by_one([&](std::uint64_t id) {
      file_benchmark::pay(guard_, request, key_of(id + (std::uint64_t{1} << 50)));
    });
  }
  /// Segments; waits for the end of the compaction.
  std::size_t dropped() {
    if (compactor_.joinable()) compactor_.join();
    return dropped_;
  }
  ~CompactingPeer() override { dropped(); }

 private:
  static paidonce::FileStore opened(const std::filesystem::path& directory) {
    paidonce::FileStoreOptions options;
    options.compact_at_percent = 99;
    return paidonce::FileStore(directory, options);
  }

  paidonce::FileStore store_;
  paidonce::IdempotencyGuard<paidonce::FileStore&> guard_;
  const bool compacts_;
  std::thread compactor_;
  std::atomic<std::size_t> dropped_{0};
};

inline void measure_compaction(const std::filesystem::path& directory, std::size_t rounds, double seconds,
                               std::vector<Goal>& goals) {
  for (const std::size_t threads : {std::size_t{8}, std::size_t{32}}) {
    std::vector<double> ratios, with, without, speeds;
    for (std::size_t round = 0; round < rounds; ++round) {
      Run runs[2];
      for (const bool compacts : {false, true}) {
        const std::filesystem::path path = directory / "compaction";
        std::filesystem::remove_all(path);
        CompactingPeer peer(path, 400'000, compacts);
        runs[compacts] = measure(peer, {threads, 0}, std::chrono::duration<double>(seconds));
        if (compacts && peer.dropped() == 0) throw std::runtime_error("nothing was compacted");
        if (compacts)
          std::fprintf(stderr, "compaction, %zu threads: %zu segments dropped\n", threads, peer.dropped());
      }
      without.push_back(runs[0].p99);
      with.push_back(runs[1].p99);
      ratios.push_back(runs[1].p99 / runs[0].p99);
      speeds.push_back(runs[1].payments_per_second / runs[0].payments_per_second);
    }
    std::printf(
        "p99 of payments, %zu threads: %.0f us, beside a compaction %.0f us; payments a second: %.2f of\n",
        threads, median(without), median(with), median(speeds));
    goals.push_back({"p99 beside a compaction / without, " + std::to_string(threads) + " threads",
                     median(ratios), 3, Goal::Better::lower});
  }
}

}  // namespace file_benchmark
