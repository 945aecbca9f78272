// Many threads, one payment.

#include <atomic>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/paidonce.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "fault/event.hpp"
#include "support/catch.hpp"
#include "support/sanitizer.hpp"
#include "support/tested_store.hpp"

using namespace paidonce;
using support::TestedStore;

namespace {

/// Runs `body(i)` on `count` threads at the same time and waits for all of them.
void on_threads(int count, const std::function<void(int)>& body) {
  std::atomic<bool> go{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      go.wait(false);
      body(i);
    });
  go = true;
  go.notify_all();
  for (std::thread& thread : threads) thread.join();
}

/// Tells when calls arrive at the lock: those that wait there, or that go on to poll.
template <class L>
class WatchedLock {
 public:
  using Hold = typename L::Hold;

  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) {
    (wait.count() == 0 ? arrived : waiting).happen();
    return lock_.acquire(key, wait);
  }
  void interrupt() noexcept requires InterruptibleLock<L> { lock_.interrupt(); }

  fault::Event arrived, waiting;

 private:
  L lock_ = {};
};

/// As a lock whose waits nobody can end.
struct PlainMutex {
  using Hold = KeyedMutex::Hold;
  std::optional<Hold> acquire(const IdempotencyKey& key, Duration wait) { return lock.acquire(key, wait); }
  KeyedMutex lock = {};
};
static_assert(!InterruptibleLock<WatchedLock<PlainMutex>>);

/// Blocks until `others` other calls wait, in whatever way this lock makes them.
template <class L>
void until_waiting(WatchedLock<L>& lock, int others) {
  // Without a lock everyone obtains it at once and then polls; the one that runs has been counted too.
  if constexpr (std::is_same_v<L, NoLock>)
    lock.arrived.await(others + 1);
  else
    lock.waiting.await(others);
}

GuardOptions waits(Duration wait) {
  GuardOptions options;
  options.wait = wait;
  return options;
}

const IdempotencyKey key("shop", "order-1001");
const Fingerprint request = fingerprint("order-1001", "4.50", "EUR");

template <class L>
void one_of_64_runs_others_are_told() {
  IdempotencyGuard guard(TestedStore{}, L{}, SystemClock{});
  std::atomic<int> runs{0}, completed{0}, in_progress{0}, other{0};
  fault::Event answered;
  std::atomic<bool> all_answered{false};
  on_threads(64, [&](int) {
    const auto outcome = guard.execute(key, request, [&]() -> std::string {
      ++runs;
      all_answered = answered.await(63);
      return "paid";
    });
    if (outcome.status() == Status::in_progress)
      ++in_progress;
    else if (outcome.succeeded() && !outcome.replayed() && outcome.response() == "paid")
      ++completed;
    else
      ++other;
    answered.happen();
  });
  CHECK(all_answered);
  CHECK(runs == 1);
  CHECK(completed == 1);
  CHECK(in_progress == 63);
  CHECK(other == 0);
}

template <class L>
void one_of_64_runs_others_wait() {
  WatchedLock<L> lock;
  IdempotencyGuard guard(TestedStore{}, lock, SystemClock{}, waits(std::chrono::minutes(5)));
  std::atomic<int> runs{0}, completed{0}, replayed{0}, other{0};
  on_threads(64, [&](int) {
    const auto outcome = guard.execute(key, request, [&]() -> std::string {
      ++runs;
      until_waiting(lock, 63);
      return "paid";
    });
    if (!outcome.succeeded() || outcome.response() != "paid")
      ++other;
    else if (outcome.replayed())
      ++replayed;
    else
      ++completed;
  });
  CHECK(runs == 1);
  CHECK(completed == 1);
  CHECK(replayed == 63);
  CHECK(other == 0);
}

/// `shut_down` while 32 calls wait for one that runs.
template <class L>
void shut_down_ends_waits() {
  WatchedLock<L> lock;
  IdempotencyGuard guard(TestedStore{}, lock, SystemClock{}, waits(std::chrono::minutes(5)));
  std::atomic<int> runs{0}, completed{0}, shut{0}, other{0};
  fault::Event turned_away;
  std::atomic<bool> all_turned_away{false};
  on_threads(33, [&](int) {
    try {
      const auto outcome = guard.execute(key, request, [&]() -> std::string {
        ++runs;
        until_waiting(lock, 32);
        guard.shut_down();
        all_turned_away = turned_away.await(32);  // they do not wait for this one
        return "paid";
      });
      ++(outcome.succeeded() && !outcome.replayed() ? completed : other);
    } catch (const Error& error) {
      ++(error.code() == errc::shutting_down && retryable(error) ? shut : other);
      turned_away.happen();
    }
  });
  CHECK(all_turned_away);
  CHECK(runs == 1);
  CHECK(completed == 1);
  CHECK(shut == 32);
  CHECK(other == 0);
  CHECK(guard.find(key)->state == State::succeeded);
  CHECK_THROWS_MATCHES(guard.execute(key, request, [] { return std::string(); }), Error,
                       support::has_code<Error>(errc::shutting_down));
}

constexpr int many_in_memory = support::thread_sanitizer || support::address_sanitizer ? 10'000 : 100'000;
const int many_keys = support::tested_in_memory() ? many_in_memory : 300;

/// Every key ten times, on eight threads that take each other's keys at the same time.
template <class L>
void every_key_runs_once(Duration wait) {
  constexpr int threads = 8, duplicates = 10;
  IdempotencyGuard guard(TestedStore{}, L{}, SystemClock{}, waits(wait));
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(many_keys));
  std::atomic<int> next{0}, fresh{0}, replayed{0}, in_progress{0}, other{0};
  on_threads(threads, [&](int) {
    for (int call; (call = next++) < many_keys * duplicates;) {
      const int order = call / duplicates;  // duplicates come side by side
      const auto outcome =
          guard.execute(IdempotencyKey("shop", std::to_string(order)), fingerprint(order),
                        [&] { return std::to_string(++runs[static_cast<std::size_t>(order)]); });
      if (outcome.status() == Status::in_progress)
        ++in_progress;
      else if (!outcome.succeeded() || outcome.response() != "1")
        ++other;
      else
        ++(outcome.replayed() ? replayed : fresh);
    }
  });
  int wrong = 0;
  for (const std::atomic<int>& count : runs) wrong += count != 1;
  CHECK(wrong == 0);
  CHECK(fresh == many_keys);
  CHECK(fresh + replayed + in_progress == many_keys * duplicates);
  CHECK(other == 0);
  if (wait.count() > 0) CHECK(in_progress == 0);
}

}  // namespace

TEST_CASE("of 64 threads with one key one pays, and 63 are told that it is in progress",
          "[fault][concurrency]") {
  one_of_64_runs_others_are_told<KeyedMutex>();
  one_of_64_runs_others_are_told<NoLock>();
}

TEST_CASE("of 64 threads with one key one pays, and 63 wait and get what it paid", "[fault][concurrency]") {
  one_of_64_runs_others_wait<KeyedMutex>();
  one_of_64_runs_others_wait<PlainMutex>();
  one_of_64_runs_others_wait<NoLock>();
}

TEST_CASE("a shutdown ends 32 waits at once, and the payment that runs finishes", "[fault][concurrency]") {
  shut_down_ends_waits<KeyedMutex>();
  shut_down_ends_waits<PlainMutex>();
  shut_down_ends_waits<NoLock>();
}

TEST_CASE("of ten duplicates of each of many keys exactly one runs", "[fault][concurrency]") {
  const Duration wait = GENERATE(Duration(0), Duration(std::chrono::minutes(1)));
  SECTION("with a lock for each key") { every_key_runs_once<KeyedMutex>(wait); }
  SECTION("without a lock") { every_key_runs_once<NoLock>(wait); }
}

TEST_CASE("a wait that is too short ends in progress, with KeyedMutex and without", "[fault][concurrency]") {
  IdempotencyGuard with(TestedStore{}, KeyedMutex{}, SystemClock{});
  IdempotencyGuard without(TestedStore{}, NoLock{}, SystemClock{});
  const auto check = [](auto& guard) {
    std::optional<Outcome<std::string>> inner;
    const auto outer = guard.execute(key, request, [&]() -> std::string {
      CallOptions options;
      options.wait = Duration(20);
      std::thread duplicate([&] {
        inner.emplace(guard.execute(
            key, request, [] { return std::string("twice"); }, options));
      });
      duplicate.join();
      return "once";
    });
    CHECK(outer.response() == "once");
    REQUIRE(inner);
    CHECK(inner->status() == Status::in_progress);
    CHECK(inner->retry_after() > Duration(0));
  };
  check(with);
  check(without);
}

namespace {

/// A store on a bad line: some calls never arrive, of some the reply is lost.
class BadLine {
  template <class Operation>
  auto call(const Operation& operation) {
    const unsigned roll = lost_ == 0 ? 100 : static_cast<unsigned>(dice_() % 100);
    if (roll < lost_) ++losses;
    if (roll < lost_ / 2) throw Error(errc::store_unavailable, "never arrived");
    auto result = operation();
    if (roll < lost_) throw Error(errc::store_unavailable, "the reply was lost");
    return result;
  }

 public:
  std::optional<Record> find(const IdempotencyKey& which) {
    return call([&] { return below.find(which); });
  }
  std::optional<Record> insert(const IdempotencyKey& which, const Record& record) {
    return call([&] { return below.insert(which, record); });
  }
  bool replace(const IdempotencyKey& which, Version expected, const Record& record) {
    return call([&] { return below.replace(which, expected, record); });
  }

  /// Of a hundred calls of this thread so many are lost.
  static void lose(unsigned percent, unsigned seed) {
    lost_ = percent;
    dice_.seed(seed);
  }

  TestedStore below = {};
  std::atomic<int> losses{0};  ///< calls that were lost, or whose reply was

 private:
  static inline thread_local unsigned lost_ = 0;
  static inline thread_local std::minstd_rand dice_{};
};

/// Eight threads pay the same orders on a bad line, and some payments throw. Nothing is charged twice, what
/// was reported paid stays so, and in the end every order is paid once.
template <class L>
void pay_on_a_bad_line(unsigned percent) {
  constexpr int threads = 8;
  const int orders = support::tested_in_memory() ? many_keys / 50 : 50;
  BadLine store;
  ManualClock clock;
  GuardOptions options;
  options.heartbeat = false;
  IdempotencyGuard<BadLine&, L, ManualClock&> guard(store, L{}, clock, options);
  const auto count = static_cast<std::size_t>(orders);
  std::vector<std::atomic<int>> charges(count), reported(count);
  std::atomic<int> wrong{0}, failures{0};
  const auto pay_order = [&](int order, bool throws) {
    const auto index = static_cast<std::size_t>(order);
    const auto ask = [&](const Record&) -> PaymentResult<std::string> {
      if (charges[index] == 0) return not_executed("the ledger does not have it");
      return succeeded(std::to_string(order));
    };
    bool started = false;
    try {
      const auto outcome = guard.execute(
          IdempotencyKey("shop", std::to_string(order)), fingerprint(order),
          [&]() -> PaymentResult<std::string> {
            started = true;
            ++charges[index];
            if (throws) throw std::runtime_error("lost");
            return succeeded(std::to_string(order));
          },
          ask);
      if (outcome.succeeded()) {
        ++reported[index];
        if (outcome.response() != std::to_string(order)) ++wrong;
      } else if (outcome.status() == Status::in_doubt) {
        if (started && (outcome.evidence() != nullptr) == throws) ++wrong;
      } else if (started || outcome.status() != Status::in_progress) {
        ++wrong;
      }
      return outcome.succeeded();
    } catch (const Error&) {
      if (started) ++wrong;
      ++failures;
      return false;
    }
  };
  on_threads(threads, [&](int thread) {
    BadLine::lose(percent, 2026U + static_cast<unsigned>(thread));
    for (int order = 0; order < orders; ++order)
      for (int again = 0; again < 3; ++again) pay_order(order, (order + thread) % 5 == 0);
  });
  CHECK(wrong == 0);
  CHECK(store.losses > orders * static_cast<int>(percent) / 10);  // the line was as bad as it was to be
  if (percent >= 40) CHECK(failures > 0);  // four losses in a row, which one in ten does not always make
  BadLine::lose(0, 0);
  clock.advance(options.lease);
  int unpaid = 0, twice = 0;
  for (int order = 0; order < orders; ++order) {
    if (reported[static_cast<std::size_t>(order)] > 0 && charges[static_cast<std::size_t>(order)] != 1)
      ++wrong;
    if (!pay_order(order, false)) ++unpaid;
    if (charges[static_cast<std::size_t>(order)] != 1) ++twice;
  }
  CHECK(unpaid == 0);
  CHECK(twice == 0);
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("many threads on a bad line charge every order once", "[fault][concurrency]") {
  const unsigned percent = GENERATE(10U, 40U, 70U);
  pay_on_a_bad_line<KeyedMutex>(percent);
  pay_on_a_bad_line<NoLock>(percent);
}
