#include <paidonce/locks/keyed_mutex.hpp>

#include <pthread.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "fault/event.hpp"
#include "support/catch.hpp"

using namespace paidonce;

// A thread that is cancelled leaves frames that AddressSanitizer still takes for live when it undoes the
// stack for signals, which it makes for each thread: it makes none here.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "use_sigaltstack=0"; }

namespace {

constexpr Duration long_enough = std::chrono::minutes(5);
const IdempotencyKey key("shop", "order-1");

/// Whether nobody has the key.
bool is_free(KeyedMutex& mutex, const IdempotencyKey& which = key) {
  return mutex.acquire(which, Duration(0)).has_value();
}

/// Whether `count` threads wait for the key: each takes a place in the queue before it sleeps, so another
/// who waits its time out and comes behind them shows that they are there only by being served last.
class Queue {
 public:
  explicit Queue(KeyedMutex& mutex) : mutex_(mutex) {}

  /// A thread that waits for the key and notes when it was served.
  void join(int name) {
    threads_.emplace_back([this, name] {
      coming_.happen();
      const auto hold = mutex_.acquire(key, long_enough);
      std::lock_guard lock(served_mutex_);
      served_.push_back(hold ? name : -name);
    });
    coming_.await(static_cast<int>(threads_.size()));
  }
  std::vector<int> served() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return served_;
  }

 private:
  KeyedMutex& mutex_;
  fault::Event coming_;
  std::vector<std::thread> threads_;
  std::mutex served_mutex_;
  std::vector<int> served_;
};

}  // namespace

TEST_CASE("a key that is held is refused at once to whoever does not wait", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  auto hold = mutex.acquire(key, Duration(0));
  REQUIRE(hold);
  CHECK(!is_free(mutex));
  hold.reset();
  CHECK(is_free(mutex));
}

TEST_CASE("a wait ends when its time is up, and not before", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  const auto hold = mutex.acquire(key, Duration(0));
  const auto since = std::chrono::steady_clock::now();
  CHECK(!mutex.acquire(key, Duration(30)));
  CHECK(std::chrono::steady_clock::now() - since >= Duration(30));
  CHECK(!mutex.acquire(key, Duration(-5)));
}

TEST_CASE("keys do not hinder each other, wherever they lie", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  std::vector<KeyedMutex::Hold> holds;
  for (int i = 0; i < 5000; ++i) {
    auto hold = mutex.acquire(IdempotencyKey("shop", std::to_string(i)), Duration(0));
    REQUIRE(hold);
    holds.push_back(std::move(*hold));
  }
  for (int i = 0; i < 5000; ++i) CHECK(!is_free(mutex, IdempotencyKey("shop", std::to_string(i))));
  CHECK(is_free(mutex, IdempotencyKey("other shop", "1")));
  holds.clear();
  for (int i = 0; i < 5000; ++i) CHECK(is_free(mutex, IdempotencyKey("shop", std::to_string(i))));
}

TEST_CASE("a hold moves, and is released once, on any thread", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  auto first = mutex.acquire(key, Duration(0));
  REQUIRE(first);
  KeyedMutex::Hold moved = std::move(*first);
  first.reset();
  CHECK(!is_free(mutex));
  const IdempotencyKey other("shop", "order-2");
  {
    auto second = mutex.acquire(other, Duration(0));
    moved = std::move(*second);
  }  // what was held before went with the temporary
  CHECK(is_free(mutex));
  CHECK(!is_free(mutex, other));
  std::thread([hold = std::move(moved)]() mutable { KeyedMutex::Hold dies = std::move(hold); }).join();
  CHECK(is_free(mutex, other));
}

TEST_CASE("a key goes from hand to hand and never to two at once", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  int counter = 0;  // not atomic: the lock is what guards it
  std::atomic<int> inside{0}, together{0}, refused{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        const auto hold = mutex.acquire(key, long_enough);
        if (!hold) ++refused;
        if (inside.fetch_add(1) != 0) ++together;
        ++counter;
        --inside;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(counter == 8000);
  CHECK(together == 0);
  CHECK(refused == 0);
}

TEST_CASE("no wait is missed where others give up beside it", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  std::atomic<int> counter{0}, given_up{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread)
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 300; ++i) {
        const bool impatient = thread % 2 == 0;
        const auto hold = mutex.acquire(key, impatient ? Duration(i % 2) : long_enough);
        ++(hold ? counter : given_up);
        std::this_thread::yield();
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(counter + given_up == 2400);
  CHECK(counter >= 1200);
  CHECK(is_free(mutex));
}

TEST_CASE("an interrupt ends all waits and those to come, and leaves free keys to be taken",
          "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  auto hold = mutex.acquire(key, Duration(0));
  Queue queue(mutex);
  for (int name = 1; name <= 4; ++name) queue.join(name);
  mutex.interrupt();
  auto served = queue.served();
  for (const int name : served) CHECK(name < 0);
  CHECK(served.size() == 4);
  CHECK(!mutex.acquire(key, long_enough));
  CHECK(is_free(mutex, IdempotencyKey("shop", "order-2")));
  hold.reset();
  CHECK(is_free(mutex));
}

TEST_CASE("whoever waits is served when the holder lets go", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  auto hold = mutex.acquire(key, Duration(0));
  Queue queue(mutex);
  for (int name = 1; name <= 4; ++name) queue.join(name);
  hold.reset();
  auto served = queue.served();
  CHECK(served.size() == 4);
  for (const int name : served) CHECK(name > 0);
  CHECK(is_free(mutex));
}

namespace {

struct Waiting {
  KeyedMutex& mutex;
  fault::Event coming = {};
};

void* wait_for_key(void* argument) {
  Waiting& waiting = *static_cast<Waiting*>(argument);
  waiting.coming.happen();
  static_cast<void>(waiting.mutex.acquire(key, long_enough));
  return nullptr;
}

}  // namespace

TEST_CASE("a thread that is cancelled while it waits leaves the queue", "[lock][keyed_mutex]") {
  KeyedMutex mutex;
  auto hold = mutex.acquire(key, Duration(0));
  for (int round = 0; round < 20; ++round) {  // cancelled before, while, or after it fell asleep
    Waiting waiting{mutex};
    pthread_t thread{};
    REQUIRE(pthread_create(&thread, nullptr, &wait_for_key, &waiting) == 0);
    REQUIRE(waiting.coming.await());
    pthread_cancel(thread);
    void* result = nullptr;
    pthread_join(thread, &result);
    CHECK(result == PTHREAD_CANCELED);
  }
  Queue queue(mutex);
  queue.join(1);
  hold.reset();
  CHECK(queue.served() == std::vector<int>{1});
  CHECK(is_free(mutex));
}
