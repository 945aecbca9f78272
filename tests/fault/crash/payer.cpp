// payer <directory> <orders> <mode> <threads> <compacts|grows> <direct|buffered> <point> <count>
//
// Pays orders through a guard over a file store, with a ledger at the other end of standard output, which is
// a socket, and kills itself at the `count`-th pass of a crash point: `point` is its name, "any", "none", or
// "list", which only tells the names. The mode says what the guard can do about doubt: "reconcile" (ask),
// "promise" (the provider deduplicates) or "doubt" (neither).

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include "fault/crash/points.hpp"

namespace {

using namespace crash;

std::atomic<const char*> phase{"open"};

/// Crash points before and after each call that changes something.
struct CrashingFiles : PosixFiles {
  template <class Call>
  auto around(const char* what, const Call& call) {
    const std::string name = std::string(phase.load()) + ": " + what;
    point(name + ", before");
    const auto result = call();
    const int error = errno;
    point(name + ", after");
    errno = error;
    return result;
  }
  int open_at(int directory, const char* name, int flags) {
    if (std::strcmp(name, "log.tmp") != 0) return PosixFiles::open_at(directory, name, flags);
    return around("making a segment", [&] { return PosixFiles::open_at(directory, name, flags); });
  }
  int make_directory(const char* path) {
    return around("making the directory", [&] { return PosixFiles::make_directory(path); });
  }
  ssize_t write(int fd, const void* from, std::size_t size, off_t at) {
    const std::string name = phase.load();
    point(name + ": write, before");
    // A large one in two halves: what is killed in between leaves a torn group.
    if (const std::size_t half = size / 8192 * 4096; half > 0) {
      const ssize_t first = PosixFiles::write(fd, from, half, at);
      if (first != static_cast<ssize_t>(half)) return first;
      point(name + ": write, half done");
      const ssize_t second = PosixFiles::write(fd, static_cast<const char*>(from) + half, size - half,
                                               at + static_cast<off_t>(half));
      const int error = errno;
      point(name + ": write, after");
      errno = error;
      return second < 0 ? second : first + second;
    }
    const ssize_t written = PosixFiles::write(fd, from, size, at);
    const int error = errno;
    point(name + ": write, after");
    errno = error;
    return written;
  }
  int sync_data(int fd) {
    return around("sync of data", [&] { return PosixFiles::sync_data(fd); });
  }
  int sync(int fd) {
    return around("sync", [&] { return PosixFiles::sync(fd); });
  }
  int truncate(int fd, off_t size) {
    return around("truncation", [&] { return PosixFiles::truncate(fd, size); });
  }
  int rename_at(int directory, const char* from, const char* to) {
    return around("rename", [&] { return PosixFiles::rename_at(directory, from, to); });
  }
  int unlink_at(int directory, const char* name) {
    return around("unlink", [&] { return PosixFiles::unlink_at(directory, name); });
  }
  int lock(int fd, int how) {
    return around("lock of the directory", [&] { return PosixFiles::lock(fd, how); });
  }
};

/// Direct writes are not everywhere: with this one each group is synced by fdatasync.
struct BufferedFiles : CrashingFiles {
  int open_at(int directory, const char* name, int flags) {
    if ((flags & O_DIRECT) != 0) {
      errno = EINVAL;
      return -1;
    }
    return CrashingFiles::open_at(directory, name, flags);
  }
};

template <class Files>
int pay(int socket, const std::string& directory, unsigned orders, const std::string& mode, unsigned threads,
        bool compacts) {
  Provider provider(socket);
  FileStoreOptions store_options;
  store_options.segment_bytes = std::size_t{64} << 10U;
  store_options.max_record_bytes = std::size_t{4} << 10U;
  store_options.housekeeping = Housekeeping::by_hand;
  BasicFileStore<Files> store(directory, store_options);
  phase = "pay";
  GuardOptions options;
  options.provider_deduplicates = mode == "promise";
  options.heartbeat = false;
  {
    IdempotencyGuard<BasicFileStore<Files>&, CrashingLock, SystemClock, CrashingObserver> guard(
        store, CrashingLock(), SystemClock(), options);
    std::atomic<unsigned> next{0};
    const auto work = [&] {
      for (unsigned number = next++; number < orders; number = next++) {
        const unsigned order = number % (orders / 2);  // each comes twice
        provider.tell(order, pay_one(guard, provider, order, mode));
        point("guard: unlocked and told");
        if (compacts && number % 16 == 15) {
          phase = "sweep";
          const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
          store.erase_expired(now, 100);  // nothing is: retention is a day
          phase = "compact";
          store.compact();
          phase = "pay";
        }
      }
    };
    std::vector<std::thread> others;
    for (unsigned thread = 1; thread < threads; ++thread) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }
  phase = "close";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fprintf(stderr, "usage: see the first lines of payer.cpp\n");
    return 2;
  }
  const int socket = STDOUT_FILENO;
  Points all(socket, argv[7], std::strtoul(argv[8], nullptr, 10));
  points = &all;
  const bool buffered = std::string_view(argv[6]) == "buffered";
  const auto orders = static_cast<unsigned>(std::atoi(argv[2]));
  const auto threads = static_cast<unsigned>(std::atoi(argv[4]));
  const bool compacts = std::string_view(argv[5]) == "compacts";
  try {
    return buffered ? pay<BufferedFiles>(socket, argv[1], orders, argv[3], threads, compacts)
                    : pay<CrashingFiles>(socket, argv[1], orders, argv[3], threads, compacts);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "payer: %s\n", error.what());
    return 1;
  }
}
