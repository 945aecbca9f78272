#pragma once
// How long things took, counted in buckets that grow with what they count.

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace paidonce::inline v1 {

/// A plain value. Four buckets for each doubling, from 1 ns to 73 minutes, and one for what took longer: what
/// is read from a bucket is never too low, and at most a quarter too high. Every power of two is a bound.
///
/// Log-linear buckets are what HdrHistogram counts in: G. Tene, hdrhistogram.org.
class LatencyHistogram {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  /// All buckets; the last one has no bound.
  static constexpr std::size_t buckets = 165;

  /// The bucket that counts a time. What is negative counts as zero.
  static constexpr std::size_t bucket_of(Nanoseconds time) noexcept {
    constexpr std::uint64_t longest = std::uint64_t{1} << 42;
    // Bounds belong to the bucket below them, as Prometheus has it: one is taken off what is not zero.
    const auto units = static_cast<std::uint64_t>(time.count() > 0 ? time.count() - 1 : 0);
    const std::uint64_t held = units < longest ? units : longest;
    const auto shift = static_cast<std::size_t>(std::bit_width(held | 4) - 3);
    return 4 * shift + static_cast<std::size_t>(held >> shift);
  }

  /// The longest time that a bucket counts; the last bucket's is the longest there is.
  static constexpr Nanoseconds bound_of(std::size_t bucket) noexcept {
    if (bucket >= buckets - 1) return Nanoseconds::max();
    const std::size_t shift = bucket < 8 ? 0 : bucket / 4 - 1;
    return Nanoseconds((std::int64_t(bucket - 4 * shift) + 1) << shift);
  }

  void add(Nanoseconds time) noexcept {
    ++counts_[bucket_of(time)];
    if (time.count() > 0) sum_ += static_cast<std::uint64_t>(time.count());
  }
  /// Adds what was counted elsewhere.
  void add(std::size_t bucket, std::uint64_t count) noexcept { counts_[bucket] += count; }
  void add_to_sum(std::uint64_t nanoseconds) noexcept { sum_ += nanoseconds; }

  std::uint64_t count() const noexcept {
    std::uint64_t all = 0;
    for (const std::uint64_t count : counts_) all += count;
    return all;
  }
  /// How many took `time` at most. Exact where `time` is the bound of a bucket, as powers of two are; else
  /// those of the bucket that holds it are left out.
  std::uint64_t count_up_to(Nanoseconds time) const noexcept {
    std::uint64_t all = 0;
    for (std::size_t bucket = 0; bucket < buckets && bound_of(bucket) <= time; ++bucket)
      all += counts_[bucket];
    return all;
  }
  std::uint64_t count_in(std::size_t bucket) const noexcept { return counts_[bucket]; }
  /// All times together, in nanoseconds. Exact.
  std::uint64_t sum() const noexcept { return sum_; }
  Nanoseconds mean() const noexcept {
    const std::uint64_t all = count();
    return Nanoseconds(all == 0 ? 0 : static_cast<std::int64_t>(sum_ / all));
  }

  /// The bound of the bucket in which `part` of all are reached (0.99: 99 of 100 took no longer); zero where
  /// nothing was counted.
  Nanoseconds quantile(double part) const noexcept {
    const std::uint64_t all = count();
    if (all == 0) return Nanoseconds(0);
    const double rank = std::clamp(part, 0.0, 1.0) * static_cast<double>(all);
    std::uint64_t reached = 0;
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
      reached += counts_[bucket];
      if (reached > 0 && static_cast<double>(reached) >= rank) return bound_of(bucket);
    }
    return Nanoseconds::max();
  }

  LatencyHistogram& operator+=(const LatencyHistogram& other) noexcept {
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) counts_[bucket] += other.counts_[bucket];
    sum_ += other.sum_;
    return *this;
  }
  /// What was added since `earlier`. Nothing goes below zero.
  friend LatencyHistogram operator-(LatencyHistogram later, const LatencyHistogram& earlier) noexcept {
    const auto minus = [](std::uint64_t& from, std::uint64_t what) { from = from > what ? from - what : 0; };
    for (std::size_t bucket = 0; bucket < buckets; ++bucket)
      minus(later.counts_[bucket], earlier.counts_[bucket]);
    minus(later.sum_, earlier.sum_);
    return later;
  }
  friend bool operator==(const LatencyHistogram&, const LatencyHistogram&) = default;

 private:
  std::array<std::uint64_t, buckets> counts_{};
  std::uint64_t sum_ = 0;
};

}  // namespace paidonce::inline v1
