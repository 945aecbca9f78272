#pragma once
// How payments are timed: lanes that pay until a moment has come, and what they say of it.

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace file_benchmark {

using Clock = std::chrono::steady_clock;

/// Counts durations in steps of three percent.
class Histogram {
 public:
  void add(Clock::duration took) {
    const auto ns = static_cast<std::uint64_t>(std::max<Clock::rep>(took.count(), 1));
    ++counts_[place(ns)];
    ++count_;
  }
  void add(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
  }
  /// Microseconds that this part of them, from 0 to 1, did not exceed.
  double at(double part) const {
    const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) > wanted) return static_cast<double>(value(i)) / 1000;
    return 0;
  }
  std::uint64_t count() const { return count_; }

 private:
  static constexpr unsigned sub_bits = 5;
  static std::size_t place(std::uint64_t ns) {
    const auto bits = static_cast<unsigned>(std::bit_width(ns));
    if (bits <= sub_bits + 1) return ns;
    const unsigned shift = bits - sub_bits - 1;
    return (std::size_t{shift} << sub_bits) + (ns >> shift);
  }
  static std::uint64_t value(std::size_t place) {
    if (place < 2u << sub_bits) return place;
    const std::size_t shift = (place >> sub_bits) - 1;
    return (place - (shift << sub_bits)) << shift;
  }

  std::array<std::uint64_t, 2048> counts_{};
  std::uint64_t count_ = 0;
};

/// What one thread pays: its payments' numbers, and how long each took.
class Lane {
 public:
  explicit Lane(std::size_t number) : number_(number), next_id_(std::uint64_t{number} << 40) {}

  std::size_t number() const { return number_; }
  std::uint64_t next_id() { return next_id_++; }
  std::uint64_t payments() const { return payments_; }
  const Histogram& latencies() const { return latencies_; }
  void start(Clock::time_point begin, Clock::time_point end) { begin_ = begin, end_ = end; }
  Clock::time_point begin() const { return begin_; }
  bool goes_on(Clock::time_point now) const { return now < end_; }

  /// One payment is done. It counts if the time was not over, and its latency counts in any case: what was
  /// left waiting at the end is to be seen.
  void done(Clock::time_point began, Clock::time_point now) {
    latencies_.add(now - began);
    if (now < end_) ++payments_;
  }

  /// Payments one behind the other.
  template <class Pay>
  void pay_one_by_one(Pay pay) {
    for (Clock::time_point began = begin_; goes_on(began);) {
      pay(next_id());
      const Clock::time_point now = Clock::now();
      done(began, now);
      began = now;
    }
  }

 private:
  std::size_t number_;
  std::uint64_t next_id_;
  std::uint64_t payments_ = 0;
  Clock::time_point begin_, end_;
  Histogram latencies_;
};

/// One way to make payments durable, over a directory that is empty in the beginning.
class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;

  /// Called on each thread, before the time begins.
  virtual void enter(Lane&) {}
  /// Called on each thread: pays until the lane does not go on.
  virtual void pay(Lane&) = 0;
};

/// How a peer is used in a run: by threads that block, or from one thread with payments in flight.
struct Width {
  std::size_t threads = 1;
  std::size_t in_flight = 0;  ///< 0: by threads

  std::string name() const {
    return in_flight != 0 ? std::to_string(in_flight) + " in flight" : std::to_string(threads);
  }
  friend bool operator==(const Width&, const Width&) = default;
};

struct Run {
  double payments_per_second = 0;
  double p50 = 0, p99 = 0, p999 = 0;  ///< microseconds for a payment
  double slowest = 0, fastest = 0;    ///< payments a second of a thread
};

inline Run measure(Peer& peer, const Width& width, std::chrono::duration<double> duration) {
  std::vector<std::unique_ptr<Lane>> lanes;
  for (std::size_t i = 0; i < width.threads; ++i) lanes.push_back(std::make_unique<Lane>(i));
  std::latch entered(static_cast<std::ptrdiff_t>(width.threads)), started(1);
  std::vector<std::exception_ptr> failures(width.threads);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < width.threads; ++i)
    threads.emplace_back([&, i] {
      try {
        peer.enter(*lanes[i]);
      } catch (...) {
        failures[i] = std::current_exception();
      }
      entered.count_down();
      started.wait();
      try {
        if (!failures[i]) peer.pay(*lanes[i]);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    });
  entered.wait();
  const auto begin = Clock::now();
  for (const auto& lane : lanes)
    lane->start(begin, begin + std::chrono::duration_cast<Clock::duration>(duration));
  started.count_down();
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);

  Run run;
  Histogram all;
  std::uint64_t least = UINT64_MAX, most = 0, sum = 0;
  for (const auto& lane : lanes) {
    all.add(lane->latencies());
    least = std::min(least, lane->payments());
    most = std::max(most, lane->payments());
    sum += lane->payments();
  }
  run.payments_per_second = static_cast<double>(sum) / duration.count();
  run.slowest = static_cast<double>(least) / duration.count();
  run.fastest = static_cast<double>(most) / duration.count();
  run.p50 = all.at(0.5), run.p99 = all.at(0.99), run.p999 = all.at(0.999);
  return run;
}

/// What a peer is given.
struct Setup {
  std::filesystem::path directory;
  Width width;
};

/// A peer by name.
struct Entry {
  std::string name;
  std::string what;
  bool by_callbacks = false;
  std::function<std::unique_ptr<Peer>(const Setup&)> make;
};

}  // namespace file_benchmark
