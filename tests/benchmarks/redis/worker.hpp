#pragma once
// A worker over a queue in memory, beside threads that call the guard for the same messages without one.

#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
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

/// From the start of the threads to the end of the last.
template <class Guard>
Run run_worker(Guard& guard, const Width& width, std::size_t messages) {
  paidonce::MemoryQueue<> queue(messages);
  for (std::size_t id = 0; id < messages; ++id) {
    paidonce::Message message = message_of(id);
    queue.put(std::move(message.key), std::move(message.body));
  }
  paidonce::Stop stop;
  std::atomic<std::size_t> left{messages};
  paidonce::PaymentWorkerOptions options;
  options.threads = width.threads;
  const auto pay = [&](paidonce::Attempt&, std::uint64_t) {
    if (left.fetch_sub(1, std::memory_order_relaxed) == 1) stop.request();
    return response();
  };
  paidonce::PaymentWorker worker(guard, queue, &read_message, pay, options);
  const auto began = Clock::now();
  worker.run(stop);
  const auto ended = Clock::now();
  if (worker.stats().completed != messages || queue.size() != 0)
    throw std::runtime_error("a worker did not pay everything");
  return rate_of(messages, ended - began);
}

template <class Guard>
Run run_plain(Guard& guard, const Width& width, std::size_t messages) {
  std::vector<paidonce::Message> all;
  for (std::size_t id = 0; id < messages; ++id) all.push_back(message_of(id));
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failures(width.threads);
  std::vector<std::thread> threads;
  const auto began = Clock::now();
  for (std::size_t i = 0; i < width.threads; ++i)
    threads.emplace_back([&, i] {
      try {
        for (std::size_t at; (at = next.fetch_add(1, std::memory_order_relaxed)) < messages;) {
          const auto request = read_message(all[at]);
          expect_success(guard.execute(
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
  return rate_of(messages, ended - began);
}

}  // namespace redis_benchmark
