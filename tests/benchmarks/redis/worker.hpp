#pragma once
// A worker over a queue in memory, beside threads that call the guard for the same messages without one.

#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/payment_worker.hpp>

#include "benchmarks/redis/guarded.hpp"

namespace redis_benchmark {

/// Messages whose body is a payment's number, each with a key of its own.
inline paidonce::Message message_of(std::uint64_t id) {
  paidonce::Message message;
  message.key = KeyText(id).view();
  message.body = std::to_string(id);
  return message;
}

inline paidonce::PaymentRequest<std::uint64_t> read_message(const paidonce::Message& message) {
  std::uint64_t id = 0;
  std::from_chars(message.body.data(), message.body.data() + message.body.size(), id);
  return {key_of(id), paidonce::fingerprint("order", 1), id};
}

inline Run rate_of(std::size_t messages, Clock::duration took) {
  Run run;
  run.payments_per_second = static_cast<double>(messages) / std::chrono::duration<double>(took).count();
  return run;
}

/// A queue that is full in the beginning; its time is that from the start of the threads to the end of the
/// last.
template <class Guard>
class WorkerQueue {
 public:
  WorkerQueue(Guard& guard, std::size_t messages) : guard_(guard), messages_(messages), queue_(messages) {
    for (std::size_t id = 0; id < messages; ++id) {
      paidonce::Message message = message_of(id);
      queue_.put(std::move(message.key), std::move(message.body));
    }
  }
  Run run(const Width& width) {
    paidonce::Stop stop;
    std::atomic<std::size_t> left{messages_};
    paidonce::PaymentWorkerOptions options;
    options.threads = width.threads;
    const auto pay = [&](paidonce::Attempt&, std::uint64_t) {
      if (left.fetch_sub(1, std::memory_order_relaxed) == 1) stop.request();
      return response();
    };
    paidonce::PaymentWorker worker(guard_, queue_, &read_message, pay, options);
    const auto began = Clock::now();
    worker.run(stop);
    const auto ended = Clock::now();
    if (worker.stats().completed != messages_ || queue_.size() != 0)
      throw std::runtime_error("a worker did not pay everything");
    return rate_of(messages_, ended - began);
  }

 private:
  Guard& guard_;
  const std::size_t messages_;
  paidonce::MemoryQueue<> queue_;
};

/// The same messages, dealt out by a counter.
template <class Guard>
class PlainThreads {
 public:
  PlainThreads(Guard& guard, std::size_t messages) : guard_(guard) {
    for (std::size_t id = 0; id < messages; ++id) messages_.push_back(message_of(id));
  }
  Run run(const Width& width) {
    std::atomic<std::size_t> next{0};
    std::vector<std::exception_ptr> failures(width.threads);
    std::vector<std::thread> threads;
    const auto began = Clock::now();
    for (std::size_t i = 0; i < width.threads; ++i)
      threads.emplace_back([&, i] {
        try {
          for (std::size_t at; (at = next.fetch_add(1, std::memory_order_relaxed)) < messages_.size();) {
            const auto request = read_message(messages_[at]);
            expect_success(guard_.execute(
                request.key, request.fingerprint, [](paidonce::Attempt&) { return response(); },
                request.options));
          }
        } catch (...) {
          failures[i] = std::current_exception();
        }
      });
    for (std::thread& thread : threads) thread.join();
    const auto ended = Clock::now();
    for (const std::exception_ptr& failure : failures)
      if (failure) std::rethrow_exception(failure);
    return rate_of(messages_.size(), ended - began);
  }

 private:
  Guard& guard_;
  std::vector<paidonce::Message> messages_;
};

}  // namespace redis_benchmark
