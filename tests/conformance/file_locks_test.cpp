// FileLock between processes.

#include <paidonce/locks/file_lock.hpp>

#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "file_lock_support.hpp"
#include "integration/support/process.hpp"
#include "lock_process.hpp"
#include "support/catch.hpp"
// Catch2 comes first.
#include <paidonce/testing/conformance_catch.hpp>

#if defined(__SANITIZE_THREAD__)
#define PAIDONCE_UNDER_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PAIDONCE_UNDER_TSAN
#endif
#endif

using namespace paidonce;
using conformance::LockProcess;
using conformance::ProcessLock;
using conformance::Program;
using integration::TemporaryDirectory;

namespace {

const std::string client = FILE_LOCK_CLIENT;
const IdempotencyKey key("shop", "order-1");
const std::string hex = conformance::to_hex(key.bytes());
constexpr Duration long_enough = std::chrono::minutes(5);

/// A file for each lock that is asked for.
struct Processes {
  std::shared_ptr<TemporaryDirectory> directory = std::make_shared<TemporaryDirectory>();
  std::shared_ptr<std::atomic<int>> failed = std::make_shared<std::atomic<int>>(0);
  int files = 0;

  ProcessLock make() { return ProcessLock(client, *directory / std::to_string(++files), *failed); }
  /// This process.
  FileLock second_handle() { return FileLock{*directory / std::to_string(files)}; }
  void break_backend(ProcessLock& lock) { lock.break_backend(); }
};

/// Whether nobody holds the key, in whatever process.
bool is_free(FileLock& lock, const IdempotencyKey& which = key) {
  return lock.acquire(which, Duration(0)).has_value();
}

/// Starts to wait for the key on another thread.
std::future<bool> wait_for(FileLock& lock) {
  return std::async(std::launch::async, [&lock] { return lock.acquire(key, long_enough).has_value(); });
}

}  // namespace

TEST_CASE("FileLock is a lock over several processes", "[conformance][lock][file_lock]") {
  Processes processes;
  check_lock_conformance(processes, {.rounds = 30});
  CHECK(*processes.failed == 0);
}

TEST_CASE("threads of several processes add to a number and lose none of it", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const std::string number = (directory / "number").string();
  constexpr int processes = 3, threads = 3, rounds = 200;
  const long zero = 0;
  std::ofstream(number, std::ios::binary).write(reinterpret_cast<const char*>(&zero), sizeof zero);
  std::vector<std::unique_ptr<LockProcess>> all;
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < processes; ++i)
    all.push_back(std::make_unique<LockProcess>(client, directory / "lock"));
  for (auto& process : all)
    answers.push_back(process->ask("count " + number + ' ' + hex + ' ' + std::to_string(threads) + ' ' +
                                   std::to_string(rounds)));
  for (auto& answer : answers) CHECK(answer.get() == "ok");
  long sum = 0;
  std::ifstream(number, std::ios::binary).read(reinterpret_cast<char*>(&sum), sizeof sum);
  CHECK(sum == processes * threads * rounds);
  for (auto& process : all) CHECK(process->end() == 0);
}

TEST_CASE("what a process held is free as soon as it is killed", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  FileLock lock{directory / "lock"};
  LockProcess process(client, directory / "lock");
  REQUIRE(process.ask("acquire 0 " + hex).get() == "held");
  CHECK(!is_free(lock));
  SECTION("for who comes then") {
    process.kill();
    CHECK(is_free(lock));
  }
  SECTION("for who waits") {
    auto waiting = wait_for(lock);
    CHECK(waiting.wait_for(Duration(30)) == std::future_status::timeout);
    process.kill();
    CHECK(waiting.get());
  }
}

TEST_CASE("a program that a holder has started holds nothing", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const std::string fifo = (directory / "fifo").string();
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  FileLock lock{directory / "lock"};
  LockProcess process(client, directory / "lock");
  REQUIRE(process.ask("acquire 0 " + hex).get() == "held");
  REQUIRE(process.ask("run wait " + fifo).get() == "ok");
  const int its_end = ::open(fifo.c_str(), O_WRONLY | O_CLOEXEC);  // returns once the other runs
  CHECK(!is_free(lock));
  process.kill();
  CHECK(is_free(lock));
  ::close(its_end);
}

TEST_CASE("a wait for another process lasts as long as was asked for", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  FileLock lock{directory / "lock"};
  LockProcess process(client, directory / "lock");
  REQUIRE(process.ask("acquire 0 " + hex).get() == "held");
  for (const Duration wait : {Duration(1), Duration(35)}) {
    const auto since = std::chrono::steady_clock::now();
    CHECK(!lock.acquire(key, wait));
    CHECK(std::chrono::steady_clock::now() - since >= wait);
  }
}

TEST_CASE("an interrupt ends a wait for another process", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  FileLock lock{directory / "lock"};
  LockProcess process(client, directory / "lock");
  REQUIRE(process.ask("acquire 0 " + hex).get() == "held");
  auto first = wait_for(lock), second = wait_for(lock);
  CHECK(first.wait_for(Duration(20)) == std::future_status::timeout);
  lock.interrupt();
  CHECK(!first.get());
  CHECK(!second.get());
  CHECK(!lock.acquire(key, long_enough));
  CHECK(is_free(lock, IdempotencyKey("shop", "order-2")));
}

TEST_CASE("a file that was removed or replaced is locked no more", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const auto file = directory / "lock";
  FileLock lock{file};
  auto held = lock.acquire(IdempotencyKey("shop", "order-2"), Duration(0));
  SECTION("removed") { std::filesystem::remove(file); }
  SECTION("moved away, and made again by another process") {
    std::filesystem::rename(file, directory / "elsewhere");
    LockProcess process(client, file);
    REQUIRE(process.ask("acquire 0 " + hex).get() == "held");
  }
  SECTION("another put in its place") {
    std::ofstream(directory / "other").put('\n');
    std::filesystem::rename(directory / "other", file);
  }
  CHECK_THROWS_MATCHES(lock.acquire(key, Duration(0)), Error, support::has_code<Error>(errc::store_replaced));
  CHECK_THROWS_MATCHES(lock.acquire(key, long_enough), Error,
                       support::says<Error>("restart all programs that lock it"));
  held.reset();  // still goes well
}

TEST_CASE("who waits while the file is removed is told", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const auto file = directory / "lock";
  FileLock lock{file};
  LockProcess process(client, file);
  REQUIRE(process.ask("acquire 0 " + hex).get() == "held");
  auto waiting = wait_for(lock);
  CHECK(waiting.wait_for(Duration(20)) == std::future_status::timeout);
  std::filesystem::remove(file);
  CHECK_THROWS_MATCHES(waiting.get(), Error, support::has_code<Error>(errc::store_replaced));
}

TEST_CASE("a forked child is refused, and releases nothing of its parent's", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  FileLock lock{directory / "lock"};
  Program program({client, "fork", (directory / "lock").string(), hex});
  CHECK(program.read() == "forked 0");
  CHECK(!is_free(lock));
  program.write("release");
  CHECK(program.read() == "released");
  CHECK(is_free(lock));
  CHECK(program.end() == 0);
}

#ifndef PAIDONCE_UNDER_TSAN  // which has no fork of several threads
TEST_CASE("a child that was forked while threads wait can end", "[lock][file_lock]") {
  const TemporaryDirectory directory;
  Program program({client, "fork_with_waiters", (directory / "lock").string(), hex});
  CHECK(program.read() == "forked 0");
  CHECK(program.end() == 0);
}
#endif

TEST_CASE("a process that may not write, or has no descriptor left, is told what to do",
          "[lock][file_lock]") {
  const TemporaryDirectory directory;
  const auto place = directory / "place";
  std::filesystem::create_directory(place);
  const auto open = [&](const char* without) {
    return Program({client, "open", (place / "lock").string(), without}).read().value_or("nothing");
  };
  const std::string unavailable =
      "error " + std::to_string(static_cast<int>(errc::lock_unavailable)) + " the lock file ";
  const auto full = open("full");
  CHECK_THAT(full, support::starts_with(unavailable));
  CHECK_THAT(full, support::contains("ulimit -n"));

  namespace fs = std::filesystem;
  fs::permissions(directory / ".", fs::perms::others_exec | fs::perms::owner_all);
  fs::permissions(place, fs::perms(0555));
  const auto forbidden = open("nobody");
  CHECK_THAT(forbidden, support::starts_with(unavailable));
  CHECK_THAT(forbidden, support::contains("must be writable for this user"));
  fs::permissions(place, fs::perms(0777));
  CHECK(open("nobody") == "ok");
}
