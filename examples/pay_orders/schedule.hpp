#pragma once
// Which line goes when, and on which thread.

#include <atomic>
#include <cstddef>
#include <exception>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "orders.hpp"

namespace pay_orders {

/// Positions in `lines`. `first` holds each order as the file first names it, its repetitions included: they
/// may run at the same time, the guard sorts them out. `then` holds what asks something else of an order that
/// was named before: it goes last, so that it is always the file's first line that is paid, whatever the
/// threads do.
struct Schedule {
  std::vector<std::size_t> first, then;
};

inline Schedule schedule(const std::vector<OrderLine>& lines) {
  Schedule schedule;
  std::map<std::string, const OrderLine*> named;
  for (std::size_t at = 0; at < lines.size(); ++at) {
    if (lines[at].wrong()) continue;
    const OrderLine& first = *named.try_emplace(lines[at].order_id, &lines[at]).first->second;
    const bool same = first.money->text() == lines[at].money->text() && first.source == lines[at].source;
    (same ? schedule.first : schedule.then).push_back(at);
  }
  return schedule;
}

/// Calls `work(position)` for each of them on so many threads, and returns when all are done. What the work
/// throws first ends it and is thrown again here.
template <class Work>
void on_threads(unsigned threads, const std::vector<std::size_t>& positions, Work&& work) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto loop = [&] {
    try {
      for (std::size_t at; (at = next++) < positions.size();) work(positions[at]);
    } catch (...) {
      next = positions.size();
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> pool;
    while (pool.size() < threads && pool.size() < positions.size()) pool.emplace_back(loop);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace pay_orders
