#pragma once
// The counts of a PaymentWorker, added to by all of its threads.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <paidonce/queue/payment_worker/options.hpp>

namespace paidonce::inline v1::detail {

class WorkerTally {
 public:
  using Count = std::uint64_t PaymentWorkerStats::*;

  void add(Count count) noexcept {
    for (std::size_t at = 0; at < counts.size(); ++at)
      if (counts[at] == count) cells_[at].fetch_add(1, std::memory_order_relaxed);
  }
  PaymentWorkerStats stats() const noexcept {
    PaymentWorkerStats stats;
    for (std::size_t at = 0; at < counts.size(); ++at)
      stats.*counts[at] = cells_[at].load(std::memory_order_relaxed);
    return stats;
  }

 private:
  using Stats = PaymentWorkerStats;
  static constexpr std::array<Count, 11> counts = {
      &Stats::received,  &Stats::completed,     &Stats::declined,     &Stats::replayed,
      &Stats::in_doubt,  &Stats::retried,       &Stats::dead_letters, &Stats::given_back,
      &Stats::unsettled, &Stats::broker_errors, &Stats::store_errors};
  static_assert(sizeof(Stats) == counts.size() * sizeof(std::uint64_t));

  std::array<std::atomic<std::uint64_t>, counts.size()> cells_{};
};

}  // namespace paidonce::inline v1::detail
