#pragma once
// Where a `Metrics` counts: a cell of numbers for each thread, so that counting is an addition and no thread
// waits for another.
//
// A cell is written by one thread at a time, with plain loads and stores; snapshots read beside it. A thread
// that ends gives its cells back, numbers and all, and the next new thread goes on with them: there are as
// many cells as threads have lived at a time.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include <paidonce/observe/latency_histogram.hpp>

namespace paidonce::inline v1::detail {

/// Each payment writes the first line of it, and a line of each of three histograms. No two cells share a
/// line, nor a pair of lines that are fetched together.
struct alignas(128) MetricCell {
  using Count = std::atomic<std::uint64_t>;
  enum Latency : std::size_t { succeeded, beginning, recording, declined, released, in_doubt, waiting };
  static constexpr std::size_t latencies = 7;

  /// For the one thread that writes this cell.
  static void add(Count& count, std::uint64_t more = 1) noexcept {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void add(Latency what, LatencyHistogram::Nanoseconds time) noexcept {
    const LatencyHistogram::Nanoseconds held = time.count() > 0 ? time : LatencyHistogram::Nanoseconds(0);
    add(counts[what][LatencyHistogram::bucket_of(held)]);
    add(sums[what], static_cast<std::uint64_t>(held.count()));
  }
  void read(Latency what, LatencyHistogram& into) const noexcept {
    for (std::size_t bucket = 0; bucket < LatencyHistogram::buckets; ++bucket)
      into.add(bucket, counts[what][bucket].load(std::memory_order_relaxed));
    into.add_to_sum(sums[what].load(std::memory_order_relaxed));
  }

  std::array<Count, latencies> sums{};
  Count began{0};
  std::array<std::array<Count, LatencyHistogram::buckets>, latencies> counts{};
  Count replayed{0}, lease_lost{0}, still_in_doubt{0};
  std::array<Count, 3> refused{}, store_failed{};
  std::array<Count, latencies> untimed{};  // those that are the end of a payment
};

/// The cells of one `Metrics`. Threads that counted in them hold on to this object, so that its address is
/// not that of another while they may still compare with it; the cells themselves end with `close`.
class MetricCells : public std::enable_shared_from_this<MetricCells> {
 public:
  /// Calls `write` with a cell that nobody else writes meanwhile.
  template <class Write>
  void write(Write write) noexcept {
    const Found& found = last_found();
    if (found.cells == this) [[likely]]
      return write(*found.cell);
    write_elsewhere(write);
  }

  /// Calls `read` with each cell there is.
  template <class Read>
  void for_each(Read read) const {
    const std::scoped_lock hold(mutex_);
    for (const auto& cell : cells_) read(*cell);
    read(common_);
  }

  /// Nobody writes or reads any more.
  void close() noexcept {
    const std::scoped_lock hold(mutex_);
    closed_.store(true, std::memory_order_relaxed);
    cells_.clear();
    free_.clear();
  }

 private:
  /// The cell that this thread wrote last. Needs neither construction nor destruction.
  struct Found {
    const MetricCells* cells;
    MetricCell* cell;
    bool thread_ends;
  };
  static Found& last_found() noexcept {
    static thread_local constinit Found found{};
    return found;
  }

  /// All cells that this thread writes, of however many objects.
  class OfThread {
   public:
    ~OfThread() {
      last_found() = {nullptr, nullptr, true};
      for (const Mine& mine : all_) mine.cells->give_back(*mine.cell);
    }
    /// Throws std::bad_alloc.
    MetricCell& of(MetricCells& cells) {
      for (const Mine& mine : all_)
        if (mine.cells.get() == &cells) return *mine.cell;
      forget_closed();
      all_.reserve(all_.size() + 1);
      MetricCell& cell = cells.take();
      all_.push_back({cells.shared_from_this(), &cell});
      return cell;
    }

   private:
    struct Mine {
      std::shared_ptr<MetricCells> cells;
      MetricCell* cell;  // no longer there once the cells are closed
    };
    void forget_closed() noexcept {
      last_found() = {};  // it may be of one of them, and no other may be found for want of memory
      std::erase_if(all_,
                    [](const Mine& mine) { return mine.cells->closed_.load(std::memory_order_relaxed); });
    }
    std::vector<Mine> all_;
  };

  template <class Write>
  [[gnu::cold, gnu::noinline]] void write_elsewhere(Write write) noexcept {
    if (MetricCell* const cell = cell_of_thread()) return write(*cell);
    const std::scoped_lock hold(mutex_);
    write(common_);
  }

  /// Null where there is no memory for one, and at the very end of a thread.
  [[gnu::cold, gnu::noinline]] MetricCell* cell_of_thread() noexcept {
    if (last_found().thread_ends) return nullptr;
    try {
      static thread_local OfThread mine;
      MetricCell& cell = mine.of(*this);
      last_found() = {this, &cell, false};
      return &cell;
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  MetricCell& take() {
    const std::scoped_lock hold(mutex_);
    if (!free_.empty()) {
      MetricCell& cell = *free_.back();
      free_.pop_back();
      return cell;
    }
    free_.reserve(cells_.size() + 1);  // so that giving back needs no memory
    cells_.push_back(std::make_unique<MetricCell>());
    return *cells_.back();
  }
  void give_back(MetricCell& cell) noexcept {
    const std::scoped_lock hold(mutex_);
    free_.push_back(&cell);  // of those that are closed, too: nobody takes it
  }

  mutable std::mutex mutex_;  // of what follows, and of writing `common_`
  std::vector<std::unique_ptr<MetricCell>> cells_;
  std::vector<MetricCell*> free_;
  MetricCell common_;  // of threads that have none of their own
  std::atomic<bool> closed_{false};
};

}  // namespace paidonce::inline v1::detail
