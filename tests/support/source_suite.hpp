#pragma once
// What every MessageSource must pass before payments may come from it. A fixture:
//
//   struct Fixture {
//     static constexpr std::size_t held = 4;            // messages that a consumer takes at most; 0: no
//     bound void fresh();                                      // from now on, a queue that nobody has used
//     auto consumer();                                   // a std::unique_ptr to a consumer of it
//     void put(const std::string& key, const std::string& body);
//     std::vector<paidonce::DeadLetter> dead_letters();  // that were set aside, in any order
//   };
//
// A consumer that is destroyed has left; one that was killed is a test of its own for each broker.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/message_source.hpp>

#include "support/catch.hpp"

namespace support {

inline constexpr paidonce::Duration patience{20'000};  // for what must come
inline constexpr paidonce::Duration a_while{150};      // for what must not

template <class Fixture>
class SourceSuite {
 public:
  explicit SourceSuite(Fixture& fixture) : fixture_(fixture) {}

  void run() {
    clause("what is put comes out, whatever its bytes", [&] { bytes(); });
    clause("an empty queue gives nothing, after the pause", [&] { empty(); });
    clause("a stop ends a receive that waits", [&] { stops(); });
    clause("a message that is put wakes a receive that waits", [&] { wakes(); });
    clause("what is acknowledged never comes again", [&] { acked(); });
    clause("what a consumer had comes again when it has left, counted, and in order", [&] { left(); });
    clause("a retry comes after its pause, counted, and before later messages of its key",
           [&] { retried(); });
    clause("a retry without a pause comes at once", [&] { given_back(); });
    clause("a retry for some other day does not come, and is given to others with the rest", [&] { far(); });
    clause("a delivery that the worker takes back is not counted", [&] { not_counted(); });
    clause("a dead letter is set aside with its reason, and holds nobody back", [&] { buried(); });
    clause("a message that was settled cannot be settled again", [&] { settled_twice(); });
    clause("a consumer holds no more than it may", [&] { bounded(); });
    clause("two consumers keep the order of every key, and lose nothing", [&] { in_order(); });
  }

 private:
  using Stop = paidonce::Stop;
  using Message = paidonce::Message;
  using Duration = paidonce::Duration;
  using Steady = std::chrono::steady_clock;

  template <class Check>
  void clause(const char* name, Check&& check) {
    INFO(name);
    fixture_.fresh();
    check();
  }

  template <class Source>
  Message next(Source& source, Duration pause = patience) {
    std::optional<Message> message = source.receive(pause, stop_);
    REQUIRE(message);
    return std::move(*message);
  }
  template <class Source>
  void expect_none(Source& source) {
    const std::optional<Message> message = source.receive(a_while, stop_);
    INFO(std::string(message ? message->key + ": " + message->body.substr(0, 20) : ""));
    CHECK(!message);
  }

  void bytes() {
    using std::string;
    const std::vector<std::pair<string, string>> all = {
        {"plain", "{\"amount\": 1}"},
        {string("nul\0within", 10), string("\0\0a\0", 4)},
        {"new\nline\r\n", "\r\n\r\n$5\r\nhello"},
        {"empty body", ""},
        {"", "empty key"},
        {"\xff\xfe\x80", string(256, '\xff')},
        {string(255, 'k'), string(1 << 20, 'b')},
        {"key %s {x} \"'", "%n%s \x1b[31m"},
    };
    for (const auto& [key, body] : all) fixture_.put(key, body);
    const auto consumer = fixture_.consumer();
    std::set<std::pair<string, string>> came;
    std::set<string> ids;
    for (std::size_t each = 0; each < all.size(); ++each) {
      const Message message = next(*consumer);
      CHECK(message.deliveries == 1);
      ids.insert(message.id);
      came.emplace(message.key, message.body);
      consumer->ack(message);
    }
    CHECK((came == std::set<std::pair<string, string>>(all.begin(), all.end())));
    CHECK(ids.size() == all.size());
    expect_none(*consumer);
  }

  void empty() {
    const auto consumer = fixture_.consumer();
    const auto began = Steady::now();
    CHECK(!consumer->receive(Duration(100), stop_));
    CHECK(Steady::now() - began >= Duration(100));
    CHECK(!consumer->receive(Duration(0), stop_));
  }

  void stops() {
    const auto consumer = fixture_.consumer();
    expect_none(*consumer);  // connects
    Stop stop;
    std::atomic<int> ended{0};
    const auto wait = [&] {
      if (!consumer->receive(std::chrono::hours(1), stop)) ++ended;
    };
    std::thread one(wait), two(wait);
    const auto asked = Steady::now();
    stop.request();
    one.join();
    two.join();
    CHECK(ended == 2);
    CHECK(Steady::now() - asked < std::chrono::seconds(5));
    fixture_.put("k", "later");
    CHECK(!consumer->receive(patience, stop));  // also where there is one
  }

  void wakes() {
    const auto consumer = fixture_.consumer();
    expect_none(*consumer);
    std::optional<Message> message;
    std::thread waiting([&] { message = consumer->receive(patience, stop_); });
    fixture_.put("k", "b");
    waiting.join();
    REQUIRE(message);
    consumer->ack(*message);
  }

  void acked() {
    for (const char* key : {"a", "b", "c"}) fixture_.put(key, "1");
    {
      const auto consumer = fixture_.consumer();
      for (int each = 0; each < 3; ++each) consumer->ack(next(*consumer));
      expect_none(*consumer);
    }
    const auto other = fixture_.consumer();
    expect_none(*other);
    fixture_.put("a", "2");  // and the key is free
    CHECK(next(*other).body == "2");
  }

  void left() {
    for (const char* body : {"1", "2", "3"}) fixture_.put("k", body);
    {
      const auto first = fixture_.consumer();
      CHECK(next(*first).body == "1");
      expect_none(*first);  // the others wait for it
    }
    const auto second = fixture_.consumer();
    for (const char* body : {"1", "2", "3"}) {
      const Message message = next(*second);
      CHECK(message.body == body);
      if (message.body == "1") CHECK(message.deliveries >= 2);
      second->ack(message);
    }
    expect_none(*second);
  }

  void retried() {
    for (const char* body : {"1", "2"}) fixture_.put("k", body);
    const auto consumer = fixture_.consumer();
    const Message first = next(*consumer);
    CHECK(first.body == "1");
    const auto from = Steady::now();
    consumer->retry_later(first, Duration(400));
    fixture_.put("other", "3");
    const Message other = next(*consumer);
    CHECK(other.body == "3");  // does not wait
    consumer->ack(other);
    const Message again = next(*consumer);
    CHECK(Steady::now() - from >= Duration(399));
    CHECK(again.body == "1");
    CHECK(again.key == "k");
    CHECK(again.id == first.id);
    CHECK(again.deliveries == 2);
    consumer->ack(again);
    const Message second = next(*consumer);
    CHECK(second.body == "2");
    CHECK(second.deliveries == 1);
    consumer->ack(second);
  }

  void given_back() {
    fixture_.put("k", "1");
    const auto consumer = fixture_.consumer();
    consumer->retry_later(next(*consumer), Duration(0));
    const Message again = next(*consumer);
    CHECK(again.body == "1");
    consumer->ack(again);
    expect_none(*consumer);
  }

  void far() {
    fixture_.put("k", "1");
    {
      const auto consumer = fixture_.consumer();
      consumer->retry_later(next(*consumer), Duration::max());
      expect_none(*consumer);
    }
    if constexpr (Fixture::held != 0) CHECK(next(*fixture_.consumer()).body == "1");
  }

  void not_counted() {
    fixture_.put("k", "1");
    const auto consumer = fixture_.consumer();
    Message message = next(*consumer);
    --message.deliveries;
    consumer->retry_later(message, Duration(1));
    const Message again = next(*consumer);
    CHECK(again.deliveries == 1);
    consumer->ack(again);
  }

  void buried() {
    const std::string poison("not\0json", 8), reason = "undecodable: expected {";
    fixture_.put("k", poison);
    fixture_.put("k", "2");
    {
      const auto consumer = fixture_.consumer();
      const Message message = next(*consumer);
      consumer->dead_letter(message, reason);
      const Message behind = next(*consumer);
      CHECK(behind.body == "2");
      consumer->ack(behind);
      expect_none(*consumer);
    }
    const auto other = fixture_.consumer();
    expect_none(*other);
    const std::vector<paidonce::DeadLetter> letters = fixture_.dead_letters();
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].message.key == "k");
    CHECK((letters[0].message.body == poison));
    CHECK(letters[0].reason == reason);
  }

  void settled_twice() {
    fixture_.put("k", "1");
    fixture_.put("k", "2");
    const auto consumer = fixture_.consumer();
    const Message first = next(*consumer);
    consumer->ack(first);
    const Message second = next(*consumer);
    consumer->ack(first);
    consumer->retry_later(first, Duration(0));
    consumer->dead_letter(first, "late");
    CHECK(second.body == "2");
    expect_none(*consumer);
    consumer->retry_later(second, Duration(0));  // is still out, and in nobody's way
    CHECK(next(*consumer).body == "2");
    CHECK(fixture_.dead_letters().empty());
  }

  void bounded() {
    if constexpr (Fixture::held != 0) {
      const std::size_t most = Fixture::held;
      for (std::size_t each = 0; each < 3 * most; ++each) fixture_.put("", std::to_string(each));
      const auto consumer = fixture_.consumer();
      std::vector<Message> out;
      while (std::optional<Message> message = consumer->receive(2 * a_while, stop_))
        out.push_back(std::move(*message));
      CHECK(out.size() == most);
      for (const Message& message : out) consumer->ack(message);
      CHECK(next(*consumer).deliveries == 1);
    }
  }

  void in_order() {
    constexpr int keys = 12, each = 15;
    for (int turn = 0; turn < each; ++turn)
      for (int key = 0; key < keys; ++key) fixture_.put("key" + std::to_string(key), std::to_string(turn));
    std::mutex mutex;
    std::map<std::string, int> done;     // of each key
    std::map<std::string, int> at_work;  // likewise
    int left = keys * each, wrong = 0, together = 0;
    Stop stop;
    const auto one = fixture_.consumer(), two = fixture_.consumer();
    const auto work = [&](auto& consumer, unsigned salt) {
      while (const std::optional<Message> message = consumer.receive(patience, stop)) {
        {
          const std::lock_guard lock(mutex);
          together += at_work[message->key]++;
        }
        const bool later =
            message->deliveries == 1 && (message->body.size() + salt + message->key.size()) % 3 == 0;
        {
          const std::lock_guard lock(mutex);
          --at_work[message->key];
          if (!later) {
            if (message->deliveries == 1 || done[message->key] <= std::stoi(message->body))
              wrong += done[message->key]++ != std::stoi(message->body);
            left = keys * each;
            for (const auto& [key, count] : done) left -= count;
          }
        }
        if (later)
          consumer.retry_later(*message, Duration(1));
        else
          consumer.ack(*message);
        const std::lock_guard lock(mutex);
        if (left == 0) stop.request();
      }
    };
    std::thread threads[] = {std::thread([&] { work(*one, 0); }), std::thread([&] { work(*one, 1); }),
                             std::thread([&] { work(*two, 0); }), std::thread([&] { work(*two, 2); })};
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(together == 0);
    CHECK(left == 0);
  }

  Fixture& fixture_;
  Stop stop_;
};

template <class Fixture>
void check_source_conformance(Fixture& fixture) {
  SourceSuite<Fixture>(fixture).run();
}

}  // namespace support
