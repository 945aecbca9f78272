#pragma once
// What was counted of the payments of a guard, as a plain value.

#include <cstdint>

#include <paidonce/observe/latency_histogram.hpp>

namespace paidonce::inline v1 {

/// The numbers of a `Metrics` at a moment. All of them only grow, so the difference of two is what happened
/// between them. Taken while payments run, they are of slightly different moments.
struct MetricsSnapshot {
  using Count = std::uint64_t;

  /// Time in callables, by what became of the payment. A callable's call is counted in exactly one of them.
  struct Paying {
    LatencyHistogram succeeded, declined, released, in_doubt;
    friend bool operator==(const Paying&, const Paying&) = default;
  };
  Paying paying;
  LatencyHistogram beginning;  ///< until the begin record was stored, of the same calls
  LatencyHistogram recording;  ///< until the report was stored or known not to be, of the same calls
  LatencyHistogram waiting;    ///< of duplicates, for the lock or a running attempt

  Count began = 0;     ///< attempts whose callable was started
  Count replayed = 0;  ///< stored results given out again
  struct Refused {
    Count key_reused = 0, in_progress = 0, refuse_if = 0;
    friend bool operator==(const Refused&, const Refused&) = default;
  };
  Refused refused;
  /// Payments that came to their end in calls without times: settled by the provider's answer or a person's,
  /// released before the callable could start, or paid in a transaction of the store.
  struct Untimed {
    Count succeeded = 0, declined = 0, released = 0;
    friend bool operator==(const Untimed&, const Untimed&) = default;
  };
  Untimed untimed;
  Count still_in_doubt = 0;  ///< calls and questions of recovery that ended in doubt and ran no callable
  Count lease_lost = 0;
  struct StoreFailed {
    Count find = 0, insert = 0, replace = 0;
    friend bool operator==(const StoreFailed&, const StoreFailed&) = default;
  };
  StoreFailed store_failed;  ///< by the call that threw

  Count succeeded() const noexcept { return paying.succeeded.count() + untimed.succeeded; }
  Count declined() const noexcept { return paying.declined.count() + untimed.declined; }
  Count released() const noexcept { return paying.released.count() + untimed.released; }
  /// Attempts that left their payment in doubt.
  Count in_doubt() const noexcept { return paying.in_doubt.count(); }
  Count waited() const noexcept { return waiting.count(); }

  /// Of two guards together.
  MetricsSnapshot& operator+=(const MetricsSnapshot& other) noexcept;
  /// What happened since `earlier`. Nothing goes below zero.
  friend MetricsSnapshot operator-(MetricsSnapshot later, const MetricsSnapshot& earlier) noexcept;
  friend bool operator==(const MetricsSnapshot&, const MetricsSnapshot&) = default;

 private:
  /// Calls `each(mine, other's)` with every number of two snapshots.
  template <class Each>
  static void each_of(MetricsSnapshot& mine, const MetricsSnapshot& other, Each each) {
    each(mine.paying.succeeded, other.paying.succeeded);
    each(mine.paying.declined, other.paying.declined);
    each(mine.paying.released, other.paying.released);
    each(mine.paying.in_doubt, other.paying.in_doubt);
    each(mine.beginning, other.beginning);
    each(mine.recording, other.recording);
    each(mine.waiting, other.waiting);
    each(mine.began, other.began);
    each(mine.replayed, other.replayed);
    each(mine.refused.key_reused, other.refused.key_reused);
    each(mine.refused.in_progress, other.refused.in_progress);
    each(mine.refused.refuse_if, other.refused.refuse_if);
    each(mine.untimed.succeeded, other.untimed.succeeded);
    each(mine.untimed.declined, other.untimed.declined);
    each(mine.untimed.released, other.untimed.released);
    each(mine.still_in_doubt, other.still_in_doubt);
    each(mine.lease_lost, other.lease_lost);
    each(mine.store_failed.find, other.store_failed.find);
    each(mine.store_failed.insert, other.store_failed.insert);
    each(mine.store_failed.replace, other.store_failed.replace);
  }
};

inline MetricsSnapshot& MetricsSnapshot::operator+=(const MetricsSnapshot& other) noexcept {
  each_of(*this, other, [](auto& mine, const auto& others) { mine += others; });
  return *this;
}

inline MetricsSnapshot operator-(MetricsSnapshot later, const MetricsSnapshot& earlier) noexcept {
  struct Minus {
    void operator()(LatencyHistogram& mine, const LatencyHistogram& others) const { mine = mine - others; }
    void operator()(std::uint64_t& mine, std::uint64_t others) const {
      mine = mine > others ? mine - others : 0;
    }
  };
  MetricsSnapshot::each_of(later, earlier, Minus{});
  return later;
}

}  // namespace paidonce::inline v1
