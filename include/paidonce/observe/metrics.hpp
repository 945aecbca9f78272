#pragma once
// Counts what a guard tells, and how long it took.

#include <cstddef>
#include <memory>

#include <paidonce/observe/metric_cells.hpp>
#include <paidonce/observe/metrics_snapshot.hpp>
#include <paidonce/observer.hpp>

namespace paidonce::inline v1 {

/// An observer with counters and latency histograms. It is shared by any number of guards and threads, none
/// of which waits for another; it holds 10 KB for each thread that pays at the same time. A guard is
/// given it as an lvalue, and it must outlive the guard:
///
///     Metrics metrics;
///     IdempotencyGuard guard{store, KeyedMutex{}, SystemClock{}, GuardOptions{}, metrics};
///
/// It keeps no keys.
class Metrics {
 public:
  static constexpr bool measures_time = true;

  /// Throws std::bad_alloc, as `snapshot` does not.
  Metrics() : cells_(std::make_shared<detail::MetricCells>()) {}
  ~Metrics() { cells_->close(); }
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void on(const events::Began&) noexcept {
    cells_->write([](Cell& cell) { Cell::add(cell.began); });
  }
  void on(const events::Completed& completed) noexcept {
    const Cell::Latency end = completed.record.state == State::succeeded  ? Cell::succeeded
                              : completed.record.state == State::declined ? Cell::declined
                                                                          : Cell::released;
    cells_->write([end, &times = completed.times](Cell& cell) {
      if (measured(times)) return add(cell, end, times);
      Cell::add(cell.untimed[end]);
    });
  }
  void on(const events::InDoubt& in_doubt) noexcept {
    cells_->write([&times = in_doubt.times](Cell& cell) {
      if (measured(times)) return add(cell, Cell::in_doubt, times);
      Cell::add(cell.still_in_doubt);
    });
  }
  void on(const events::Replayed&) noexcept {
    cells_->write([](Cell& cell) { Cell::add(cell.replayed); });
  }
  void on(const events::Refused& refused) noexcept {
    cells_->write(
        [which = static_cast<std::size_t>(refused.refusal)](Cell& cell) { Cell::add(cell.refused[which]); });
  }
  void on(const events::Waited& waited) noexcept {
    cells_->write([time = waited.waited](Cell& cell) { cell.add(Cell::waiting, time); });
  }
  void on(const events::LeaseLost&) noexcept {
    cells_->write([](Cell& cell) { Cell::add(cell.lease_lost); });
  }
  void on(const events::StoreFailed& failed) noexcept {
    cells_->write(
        [which = static_cast<std::size_t>(failed.call)](Cell& cell) { Cell::add(cell.store_failed[which]); });
  }

  /// What was counted so far, threads that have ended included. Any thread, at any time; a payment that runs
  /// beside it does not wait.
  MetricsSnapshot snapshot() const {
    MetricsSnapshot all;
    cells_->for_each([&all](const Cell& cell) { read(cell, all); });
    return all;
  }

 private:
  using Cell = detail::MetricCell;

  static bool measured(const events::Times& times) noexcept {
    return (times.beginning.count() | times.paying.count() | times.recording.count()) != 0;
  }
  static void add(Cell& cell, Cell::Latency end, const events::Times& times) noexcept {
    cell.add(Cell::beginning, times.beginning);
    cell.add(end, times.paying);
    cell.add(Cell::recording, times.recording);
  }
  static void read(const Cell& cell, MetricsSnapshot& into) noexcept {
    const auto add = [](MetricsSnapshot::Count& to, const Cell::Count& from) {
      to += from.load(std::memory_order_relaxed);
    };
    cell.read(Cell::succeeded, into.paying.succeeded);
    cell.read(Cell::declined, into.paying.declined);
    cell.read(Cell::released, into.paying.released);
    cell.read(Cell::in_doubt, into.paying.in_doubt);
    cell.read(Cell::beginning, into.beginning);
    cell.read(Cell::recording, into.recording);
    cell.read(Cell::waiting, into.waiting);
    add(into.began, cell.began);
    add(into.replayed, cell.replayed);
    add(into.refused.key_reused, cell.refused[0]);
    add(into.refused.in_progress, cell.refused[1]);
    add(into.refused.refuse_if, cell.refused[2]);
    add(into.untimed.succeeded, cell.untimed[Cell::succeeded]);
    add(into.untimed.declined, cell.untimed[Cell::declined]);
    add(into.untimed.released, cell.untimed[Cell::released]);
    add(into.still_in_doubt, cell.still_in_doubt);
    add(into.lease_lost, cell.lease_lost);
    add(into.store_failed.find, cell.store_failed[0]);
    add(into.store_failed.insert, cell.store_failed[1]);
    add(into.store_failed.replace, cell.store_failed[2]);
  }

  std::shared_ptr<detail::MetricCells> cells_;
};

static_assert(Observer<Metrics>);

}  // namespace paidonce::inline v1
