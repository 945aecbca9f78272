#include <paidonce/guard/heartbeats.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "fault/event.hpp"
#include "support/catch.hpp"

using namespace paidonce;
using detail::boot_now;
using detail::BootTime;
using detail::Heartbeats;

namespace {

constexpr BootTime millisecond = 1'000'000;
constexpr BootTime far_away = 30'000 * millisecond;

/// Counts its beats, and beats again in a millisecond until it has had enough.
struct Counting final : Heartbeats::Beat {
  explicit Counting(int most = 1 << 30) : left(most) {}
  BootTime beat() noexcept override {
    beaten.happen();
    return --left > 0 ? boot_now() + millisecond : Heartbeats::never;
  }
  fault::Event beaten;
  int left;
};

/// Beats until it is let go.
struct Slow final : Heartbeats::Beat {
  BootTime beat() noexcept override {
    begun.happen();
    go_on.await();
    ended = true;
    return Heartbeats::never;
  }
  fault::Event begun, go_on;
  std::atomic<bool> ended{false};
};

}  // namespace

TEST_CASE("a beat is made when it is due, and again when it says so", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  Counting beat;
  const BootTime due = boot_now() + 5 * millisecond;
  heartbeats.add(beat, due);
  CHECK(beat.beaten.await());
  CHECK(boot_now() >= due);
  CHECK(beat.beaten.await(5));
  heartbeats.remove(beat);
}

TEST_CASE("a beat that was added before the start is made", "[heartbeats]") {
  Heartbeats heartbeats;
  Counting beat(1);
  heartbeats.add(beat, boot_now());
  heartbeats.start();
  heartbeats.start();
  CHECK(beat.beaten.await());
  heartbeats.remove(beat);
}

TEST_CASE("an earlier beat is not held up by a later one", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  Counting later, earlier(1);
  heartbeats.add(later, boot_now() + far_away);
  heartbeats.add(earlier, boot_now() + millisecond);
  CHECK(earlier.beaten.await());
  CHECK(later.beaten.count() == 0);
  heartbeats.remove(earlier);
  heartbeats.remove(later);
}

TEST_CASE("a beat that says never is not made again", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  Counting once(1), often(20);
  heartbeats.add(once, boot_now());
  heartbeats.add(often, boot_now());
  CHECK(often.beaten.await(20));
  CHECK(once.beaten.count() == 1);
  heartbeats.remove(often);
  heartbeats.remove(once);
}

TEST_CASE("removing waits for a beat that is under way", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  Slow slow;
  heartbeats.add(slow, boot_now());
  REQUIRE(slow.begun.await());
  auto removed = std::async(std::launch::async, [&] {
    heartbeats.remove(slow);
    return slow.ended.load();
  });
  CHECK(removed.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout);
  slow.go_on.happen();
  CHECK(removed.get());
}

TEST_CASE("removing does not wait for the beat of another", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  Slow slow;
  heartbeats.add(slow, boot_now());
  REQUIRE(slow.begun.await());
  std::vector<std::unique_ptr<Counting>> others;
  for (int i = 0; i < 64; ++i) {  // in the same part of the list, too
    others.push_back(std::make_unique<Counting>());
    heartbeats.add(*others.back(), boot_now() + far_away);
  }
  for (const auto& other : others) heartbeats.remove(*other);
  CHECK(!slow.ended);
  slow.go_on.happen();
  heartbeats.remove(slow);
}

TEST_CASE("beats are removed in any order, and the others go on", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  std::vector<std::unique_ptr<Counting>> beats;
  for (int i = 0; i < 200; ++i) {
    beats.push_back(std::make_unique<Counting>());
    heartbeats.add(*beats.back(), boot_now());
  }
  for (std::size_t i = 0; i < 200; i += 2) {
    const std::size_t chosen = (i * 7) % 200;
    heartbeats.remove(*beats[chosen]);
    beats[chosen].reset();
  }
  for (const auto& beat : beats)
    if (beat) CHECK(beat->beaten.await(beat->beaten.count() + 2));
  for (const auto& beat : beats)
    if (beat) heartbeats.remove(*beat);
}

TEST_CASE("threads that add and remove at the same time leave nothing behind", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        Counting first, second;
        heartbeats.add(first, boot_now());  // due now: the timer beats while this removes
        heartbeats.add(second, boot_now() + far_away);
        heartbeats.remove(first);
        heartbeats.remove(second);
      }
    });
  for (std::thread& thread : threads) thread.join();
  Counting last(1);
  heartbeats.add(last, boot_now());
  CHECK(last.beaten.await());
  heartbeats.remove(last);
}

TEST_CASE("nothing wakes the timer while nothing is due", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread)
    threads.emplace_back([&] {
      for (int i = 0; i < 50'000; ++i) {  // short payments: over long before their first beat
        Counting beat;
        heartbeats.add(beat, boot_now() + far_away);
        heartbeats.remove(beat);
      }
    });
  for (std::thread& thread : threads) thread.join();
  // One for the first of them, and one for each lease that passed meanwhile, on the slowest machine.
  CHECK(heartbeats.wake_ups() <= 5);
}

TEST_CASE("payments that come one by one do not wake the timer each", "[heartbeats]") {
  Heartbeats heartbeats;
  heartbeats.start();
  for (int i = 0; i < 200; ++i) {
    Counting beat;
    heartbeats.add(beat, boot_now() + far_away);
    heartbeats.remove(beat);
    std::this_thread::yield();  // the timer gets every chance to look at the empty list
  }
  CHECK(heartbeats.wake_ups() <= 5);
}
