#include <paidonce/stores/combine/combiner.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

struct Add : detail::CombinedOperation {
  using CombinedOperation::CombinedOperation;
  int sum = 0;
};
using Batch = std::span<Add* const>;

/// Holds batches back until they are let go.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++came_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void await(int callers) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return came_ >= callers; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int came_ = 0;
  bool open_ = false;
};

bool sorted_and_distinct(Batch batch) {
  for (std::size_t i = 1; i < batch.size(); ++i)
    if (batch[i - 1]->key >= batch[i]->key) return false;
  return true;
}

}  // namespace

TEST_CASE("a caller alone is a batch of its own", "[combiner]") {
  detail::Combiner<Add> combiner(2, 8);
  for (int i = 0; i < 3; ++i) {
    Add add("key");
    combiner.run(add, [](Batch batch, std::size_t) {
      REQUIRE(batch.size() == 1);
      batch[0]->sum = 1;
    });
    CHECK(add.sum == 1);
  }
  CHECK(combiner.counts().batches == 3);
  CHECK(combiner.counts().operations == 3);
}

TEST_CASE("what a batch throws is the failure of all of it, and of nobody else", "[combiner]") {
  detail::Combiner<Add> combiner(1, 8);
  Add add("key");
  CHECK_THROWS_AS(combiner.run(add, [](Batch, std::size_t) { throw std::runtime_error("no"); }),
                  std::runtime_error);
  Add after("key");
  combiner.run(after, [](Batch, std::size_t) {});
  CHECK_FALSE(after.failure);
}

TEST_CASE("an operation that fails alone fails alone", "[combiner]") {
  detail::Combiner<Add> combiner(1, 8);
  Gate gate;
  std::thread first([&] {
    Add add("first");
    combiner.run(add, [&](Batch, std::size_t) { gate.pass(); });
  });
  gate.await(1);
  const auto execute = [](Batch batch, std::size_t) {
    for (Add* const each : batch)
      if (each->key == "bad") each->failure = std::make_exception_ptr(std::runtime_error("bad"));
  };
  std::atomic<int> failed{0}, fine{0};
  std::vector<std::thread> threads;
  for (const char* key : {"a", "bad", "c"})
    threads.emplace_back([&, key] {
      Add add(key);
      try {
        combiner.run(add, execute);
        ++fine;
      } catch (const std::runtime_error&) {
        ++failed;
      }
    });
  gate.open();
  first.join();
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 1);
  CHECK(fine == 2);
}

TEST_CASE("many callers are done once each, their keys sorted and distinct, lanes one at a time",
          "[combiner]") {
  constexpr std::size_t lanes = 3, most = 5;
  detail::Combiner<Add> combiner(lanes, most);
  std::atomic<int> busy[lanes] = {};
  std::atomic<bool> wrong{false};
  std::mutex mutex;
  std::map<std::string, int, std::less<>> sums;
  const auto execute = [&](Batch batch, std::size_t lane) {
    if (busy[lane].exchange(1) != 0 || batch.size() > most || !sorted_and_distinct(batch)) wrong = true;
    {
      const std::lock_guard lock(mutex);
      for (Add* const each : batch) each->sum = ++sums[std::string(each->key)];
    }
    busy[lane] = 0;
  };
  constexpr int each_thread = 400;
  std::vector<std::thread> threads;
  for (int number = 0; number < 12; ++number)
    threads.emplace_back([&, number] {
      for (int i = 0; i < each_thread; ++i) {
        const std::string key = std::to_string((number * 7 + i) % 9);  // often the same as somebody else's
        Add add(key);
        combiner.run(add, execute);
        if (add.sum == 0) wrong = true;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(wrong);
  int all = 0;
  for (const auto& [key, sum] : sums) all += sum;
  CHECK(all == 12 * each_thread);
  CHECK(combiner.counts().operations == 12 * each_thread);
}

TEST_CASE("those that wait while a batch runs share the next one", "[combiner]") {
  detail::Combiner<Add> combiner(1, 8);
  Gate gate;
  std::thread first([&] {
    Add add("first");
    combiner.run(add, [&](Batch, std::size_t) { gate.pass(); });
  });
  gate.await(1);
  std::vector<std::thread> threads;
  std::atomic<std::size_t> largest{0};
  for (const char* key : {"a", "a", "b", "c"})
    threads.emplace_back([&, key] {
      Add add(key);
      combiner.run(add, [&](Batch batch, std::size_t) {
        if (batch.size() > largest) largest = batch.size();
      });
    });
  while (combiner.queued() < 4) std::this_thread::yield();
  gate.open();
  first.join();
  for (std::thread& thread : threads) thread.join();
  CHECK(largest == 3);  // two of "a" are never in one batch
  CHECK(combiner.counts().batches == 3);
}

TEST_CASE("a second lane is for what does not fit into the next batch of the first", "[combiner]") {
  detail::Combiner<Add> combiner(2, 2, detail::LaneSharing::full_batches, std::chrono::hours(1));
  Gate gate;
  std::thread first([&] {
    Add add("first");
    combiner.run(add, [&](Batch, std::size_t) { gate.pass(); });
  });
  gate.await(1);
  const auto execute = [&](Batch batch, std::size_t lane) {
    for (Add* const each : batch) each->sum = static_cast<int>(10 * lane + batch.size());
  };
  Add a("a"), b("b");
  std::thread second([&] { combiner.run(a, execute); });
  while (combiner.queued() < 1 && a.sum == 0) std::this_thread::yield();
  combiner.run(b, execute);  // while the first lane is held
  second.join();
  const auto so_far = combiner.counts();
  gate.open();
  first.join();
  CHECK(a.sum == 12);
  CHECK(b.sum == 12);
  CHECK(so_far.batches == 2);
}

TEST_CASE("lanes that share evenly take half of the callers each", "[combiner]") {
  detail::Combiner<Add> combiner(2, 8, detail::LaneSharing::evenly, std::chrono::hours(1));
  Gate gates[2];
  std::atomic<std::size_t> lanes_used{0};
  std::vector<std::thread> held;
  for (Gate& gate : gates) {  // the second does not wait for the first
    held.emplace_back([&] {
      Add add(&gate == gates ? "first" : "second");
      combiner.run(add, [&](Batch batch, std::size_t lane) {
        if (batch.size() == 1) lanes_used += lane + 1;
        gate.pass();
      });
    });
    gate.await(1);
  }
  CHECK(lanes_used == 3);
  std::atomic<int> largest{0}, done{0};
  std::vector<std::thread> threads;
  for (const char* key : {"a", "b", "c", "d", "e"})
    threads.emplace_back([&, key] {
      Add add(key);
      combiner.run(add, [&](Batch batch, std::size_t) {
        for (int seen = largest; seen < static_cast<int>(batch.size()); seen = largest)
          if (largest.compare_exchange_weak(seen, static_cast<int>(batch.size()))) break;
        for (Add* const each : batch) each->sum = 1;
      });
      done += add.sum;
    });
  while (combiner.queued() < 5) std::this_thread::yield();
  gates[1].open();  // six callers are left then, five of them in the queue
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 5);
  CHECK(largest == 3);
  gates[0].open();
  for (std::thread& thread : held) thread.join();
}

TEST_CASE("a lane that hangs keeps nobody waiting who comes later", "[combiner]") {
  detail::Combiner<Add> combiner(2, 8);
  Gate gate;
  std::thread first([&] {
    Add add("first");
    combiner.run(add, [&](Batch, std::size_t) { gate.pass(); });
  });
  gate.await(1);
  const auto later = std::chrono::steady_clock::now() + std::chrono::milliseconds(40);
  while (std::chrono::steady_clock::now() < later) std::this_thread::yield();
  Add add("later");
  combiner.run(add, [](Batch batch, std::size_t) { batch[0]->sum = 1; });
  CHECK(add.sum == 1);
  gate.open();
  first.join();
}

TEST_CASE("nobody stays behind a lane that hangs, whoever comes or does not", "[combiner]") {
  detail::Combiner<Add> combiner(2, 8);
  Gate gate;
  std::thread first([&] {
    Add add("first");
    combiner.run(add, [&](Batch, std::size_t) { gate.pass(); });
  });
  gate.await(1);
  std::vector<std::thread> threads;  // all of them come before it can be seen that the first lane hangs
  std::atomic<int> done{0};
  for (const char* key : {"a", "b", "c", "a"})
    threads.emplace_back([&, key] {
      Add add(key);
      combiner.run(add, [](Batch batch, std::size_t) {
        for (Add* const each : batch) each->sum = 1;
      });
      done += add.sum;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(done == 4);
  gate.open();
  first.join();
}
