#pragma once
// What each process of the shop does: it serves all orders, beside all the others, and relays receipts.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <random>
#include <thread>
#include <vector>

#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/orders/relay.hpp>

#include "letters.hpp"
#include "plan.hpp"
#include "shop.hpp"

namespace checkout {

inline RelayOptions relay_options() {
  RelayOptions options;
  options.lease = std::chrono::seconds(2);  // short, because processes die often here
  options.deadline = std::chrono::seconds(1);
  options.poll = Duration(50);
  return options;
}

/// Beside the orders, until it is stopped. What ends it is kept for whoever asks.
template <class Outbox>
class RelayThread {
 public:
  RelayThread(Outbox& outbox, Letters& letters)
      : relay_(outbox, Send{letters}, relay_options()), thread_([this] {
          try {
            relay_.run(stop_);
          } catch (...) {
            problem_ = std::current_exception();
          }
        }) {}
  ~RelayThread() { end(); }

  void finish() {
    end();
    if (problem_) std::rethrow_exception(problem_);
  }

 private:
  void end() {
    stop_.request();
    if (thread_.joinable()) thread_.join();
  }

  struct Send {
    Letters& letters;
    void operator()(const OutboxMessage& message) const { letters.receive(message); }
  };
  Stop stop_;
  std::exception_ptr problem_;
  Relay<Outbox, Send> relay_;
  std::thread thread_;
};

template <class Database>
void work(Database& database, const Files& files, std::vector<Wish> wishes, unsigned seed) {
  const Provider provider(files.ledger());
  Letters letters(files.letters());
  Shop<Database> shop(database, provider);
  RelayThread relay(database.outbox, letters);
  std::mt19937 random(seed);
  SteadyTimer timer;
  Stop never;
  for (bool done = false; !done;) {
    done = true;
    std::shuffle(wishes.begin(), wishes.end(), random);
    for (const Wish& wish : wishes) {
      try {
        done = shop.serve(wish) && done;
      } catch (const Error& busy) {
        if (!retryable(busy)) throw;
        done = false;
      }
    }
    if (!done) pause(timer, Duration(20), never);
  }
  relay.finish();
}

}  // namespace checkout
