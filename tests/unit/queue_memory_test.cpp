// A queue within the process, as a broker for the tests of everybody else.

#include <string>
#include <thread>
#include <vector>

#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/testing/instant_timer.hpp>
#include <paidonce/testing/manual_clock.hpp>

#include "support/catch.hpp"

namespace {

using namespace paidonce;

/// A queue whose time passes where somebody waits.
struct Instant {
  explicit Instant(std::size_t most = 100) : queue(most, InstantTimer(clock)) {}

  std::string next() {
    Stop stop;
    const auto message = queue.receive(Duration(0), stop);
    if (!message) return "none";
    last = *message;
    return message->body;
  }

  ManualClock clock;
  MemoryQueue<InstantTimer> queue;
  Message last;
};

}  // namespace

TEST_CASE("A memory queue hands each key's messages out in order and one at a time", "[queue]") {
  Instant here;
  for (const char* const body : {"a1", "b1", "a2"}) here.queue.put(std::string(1, body[0]), body);
  CHECK(here.next() == "a1");
  const Message first = here.last;
  CHECK(here.next() == "b1");
  CHECK(here.next() == "none");
  CHECK(here.queue.out() == 2);
  here.queue.ack(first);
  CHECK(here.next() == "a2");
  CHECK(here.queue.size() == 2);
}

TEST_CASE("A message that is put off comes again when its pause is over", "[queue]") {
  Instant here;
  here.queue.put("", "slow");
  CHECK(here.next() == "slow");
  here.queue.retry_later(here.last, Duration(10));
  CHECK(here.next() == "none");
  Stop stop;
  const Duration before = here.clock.elapsed();
  const auto again = here.queue.receive(Duration(1000), stop);
  REQUIRE(again);
  CHECK(again->deliveries == 2);
  CHECK(here.clock.elapsed() - before == Duration(10));
  CHECK_FALSE(here.queue.receive(Duration(1000), stop));
  CHECK(here.clock.elapsed() - before == Duration(1010));
}

TEST_CASE("What a consumer had out comes again when it is gone and it settles nothing more", "[queue]") {
  Instant here;
  for (const char* const body : {"a1", "a2", "b1"}) here.queue.put(std::string(1, body[0]), body);
  Stop stop;
  Message late;
  {
    MemoryQueue<InstantTimer>::Consumer consumer(here.queue);
    late = consumer.receive(Duration(0), stop).value();
    consumer.ack(consumer.receive(Duration(0), stop).value());
  }
  CHECK(here.next() == "a1");
  CHECK(here.last.deliveries == 2);
  here.queue.ack(late);
  CHECK(here.queue.out() == 1);
  CHECK(here.next() == "none");
  here.queue.ack(here.last);
  CHECK(here.next() == "a2");
}

TEST_CASE("Dead letters are kept with their reason and count against the bound", "[queue]") {
  Instant here(2);
  here.queue.put("", "bad");
  here.queue.put("", "good");
  CHECK_THROWS_AS(here.queue.put("", "too many"), Error);
  CHECK(here.next() == "bad");
  here.queue.dead_letter(here.last, "undecodable");
  REQUIRE(here.queue.dead_letters().size() == 1);
  CHECK(here.queue.dead_letters()[0].message.body == "bad");
  CHECK(here.queue.dead_letters()[0].reason == "undecodable");
  CHECK_THROWS_AS(here.queue.put("", "too many"), Error);
  CHECK(here.queue.take_dead_letters().size() == 1);
  here.queue.put("", "fits");
  CHECK(here.queue.size() == 2);
  CHECK_THROWS_AS(MemoryQueue<>(0), Error);
}

TEST_CASE("Whoever waits for a message gets it when it is put or when it is free and ends when it is stopped",
          "[queue]") {
  MemoryQueue<> queue;
  Stop stop;
  std::vector<std::string> got;
  std::thread consumer([&] {
    while (auto message = queue.receive(std::chrono::hours(1), stop)) {
      got.push_back(message->body);
      if (message->deliveries == 1)
        queue.retry_later(*message, Duration(1));
      else
        queue.ack(*message);
      if (got.size() == 4) stop.request();
    }
  });
  queue.put("a", "one");
  queue.put("a", "two");
  consumer.join();
  CHECK(got == std::vector<std::string>{"one", "one", "two", "two"});
  CHECK(queue.size() == 0);
}
